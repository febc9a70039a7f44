package postgres

import (
	"context"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"
)

// types are the composite types of the schema, by name.
type types map[string]compositeType

// compositeType is a composite type as the server knows it.
type compositeType struct {
	name       string
	oid, array uint32
}

// readTypes looks up the types of the schema, once for all connections.
func readTypes(ctx context.Context, c *pgx.Conn, schema string) (types, error) {
	rows, err := c.Query(ctx, `SELECT t.typname, t.oid, t.typarray FROM pg_type t JOIN pg_namespace n ON n.oid = t.typnamespace
		WHERE n.nspname = $1 AND t.typtype = 'c' AND t.typarray <> 0`, schema)
	if err != nil {
		return nil, err
	}
	all := types{}
	var t compositeType
	_, err = pgx.ForEachRow(rows, []any{&t.name, &t.oid, &t.array}, func() error {
		all[t.name] = t
		return nil
	})
	return all, err
}

// register tells a connection that arrays of the types come encoded. It asks nothing.
func (ts types) register(m *pgtype.Map) {
	for _, t := range ts {
		m.RegisterType(&pgtype.Type{Name: "_" + t.name, OID: t.array, Codec: pgtype.ByteaCodec{}})
	}
}

// array is an empty array of a type, with room for so many rows.
func (ts types) array(name string, rows int) *array { return newArray(ts[name].oid, rows) }
