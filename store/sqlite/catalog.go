package sqlite

import (
	"context"

	"github.com/tenter-dev/tenter/store"
)

// PutHookTypes keeps hook types, in the place of those with the same names.
func (s *Store) PutHookTypes(ctx context.Context, types []store.HookType) error {
	return s.w.do(ctx, func(w *writer) error {
		for _, t := range types {
			if err := w.on(qHookTypePut).bindText(t.Name).bindText(string(t.Payload)).run(); err != nil {
				return err
			}
		}
		return nil
	})
}

// HookTypes lists the hook types that were kept, by name.
func (s *Store) HookTypes(ctx context.Context) (types []store.HookType, err error) {
	err = s.pool.read(ctx, func(c *conn) error {
		types, err = readAll(c.on(qHookTypeList), whole(func(st *stmt) store.HookType {
			return store.HookType{Name: st.text(), Payload: []byte(st.text())}
		}))
		return err
	})
	return types, err
}
