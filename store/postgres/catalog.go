package postgres

import (
	"context"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/tenter-dev/tenter/store"
)

// PutHookTypes keeps hook types, in the place of those with the same names.
func (s *Store) PutHookTypes(ctx context.Context, types []store.HookType) error {
	names, payloads := make([]string, len(types)), make([]string, len(types))
	for i, t := range types {
		names[i], payloads[i] = t.Name, string(t.Payload)
	}
	return s.call(ctx, "keep hook types", func(ctx context.Context, c *pgxpool.Conn) error {
		_, err := c.Exec(ctx, s.sql.putHookTypes, names, payloads)
		return err
	})
}

// HookTypes lists the hook types that were kept, by name.
func (s *Store) HookTypes(ctx context.Context) ([]store.HookType, error) {
	return list(ctx, s, "list hook types", func(row pgx.Row) (t store.HookType, err error) {
		var payload string
		err = row.Scan(&t.Name, &payload)
		t.Payload = []byte(payload)
		return t, err
	}, s.sql.hookTypes)
}
