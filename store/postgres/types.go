package postgres

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"
)

// compositeTypes are the types of the schema that functions take arrays of.
var compositeTypes = []string{"transition", "event_2", "effect", "message_2", "attempt", "payload_2", "definition", "backlog_change"}

// types are composite types, by name.
type types map[string]compositeType

// compositeType is a composite type as the server knows it.
type compositeType struct {
	oid, array uint32
}

// readTypes looks up types of the schema, once for all connections.
func readTypes(ctx context.Context, c *pgx.Conn, schema string, names []string) (types, error) {
	rows, err := c.Query(ctx, `SELECT t.typname, t.oid, t.typarray FROM pg_type t JOIN pg_namespace n ON n.oid = t.typnamespace
		WHERE n.nspname = $1 AND t.typname = ANY ($2)`, schema, names)
	if err != nil {
		return nil, err
	}
	all := types{}
	var name string
	var t compositeType
	_, err = pgx.ForEachRow(rows, []any{&name, &t.oid, &t.array}, func() error {
		all[name] = t
		return nil
	})
	if err == nil && len(all) < len(names) {
		err = fmt.Errorf("schema %q has only %d of its %d types", schema, len(all), len(names))
	}
	return all, err
}

// register tells a connection that arrays of the types come encoded. It asks nothing.
func (ts types) register(m *pgtype.Map) {
	for name, t := range ts {
		m.RegisterType(&pgtype.Type{Name: "_" + name, OID: t.array, Codec: pgtype.ByteaCodec{}})
	}
}

// array is an empty array of a type, with room for so many rows.
func (ts types) array(name string, rows int) *array { return newArray(ts[name].oid, rows) }
