package postgres

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"
)

// compositeTypes are the types of the schema that functions take.
var compositeTypes = []string{"transition", "event", "effect", "message", "attempt", "payload", "definition"}

// compositeType is a composite type as the server knows it.
type compositeType struct {
	name       string
	oid, array uint32
	fields     []uint32
}

// readTypes looks up the types of the schema, once for all connections.
func readTypes(ctx context.Context, c *pgx.Conn, schema string) ([]compositeType, error) {
	rows, err := c.Query(ctx, `SELECT t.typname, t.oid, t.typarray, array_agg(a.atttypid ORDER BY a.attnum)
		FROM pg_type t JOIN pg_namespace n ON n.oid = t.typnamespace JOIN pg_attribute a ON a.attrelid = t.typrelid
		WHERE n.nspname = $1 AND t.typname = ANY ($2) AND a.attnum > 0 AND NOT a.attisdropped
		GROUP BY t.typname, t.oid, t.typarray`, schema, compositeTypes)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (t compositeType, err error) {
		err = row.Scan(&t.name, &t.oid, &t.array, &t.fields)
		return t, err
	})
}

// registerTypes teaches a connection the types of the schema. It asks nothing.
func registerTypes(m *pgtype.Map, types []compositeType) error {
	for _, t := range types {
		codec := &pgtype.CompositeCodec{}
		for _, oid := range t.fields {
			ft, ok := m.TypeForOID(oid)
			if !ok {
				return fmt.Errorf("type %s has a field of unknown type %d", t.name, oid)
			}
			codec.Fields = append(codec.Fields, pgtype.CompositeCodecField{Type: ft})
		}
		element := &pgtype.Type{Name: t.name, OID: t.oid, Codec: codec}
		m.RegisterType(element)
		m.RegisterType(&pgtype.Type{Name: "_" + t.name, OID: t.array, Codec: &pgtype.ArrayCodec{ElementType: element}})
	}
	return nil
}
