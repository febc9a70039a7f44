package postgres

import (
	"context"
	"errors"

	"github.com/tenter-dev/tenter/store"
)

// Retry reopens a failed run from its journal.
func (s *Store) Retry(ctx context.Context, c store.Cut) (store.Hook, error) {
	back := c.Back
	if back == nil {
		back = []int64{}
	}
	o, err := s.verdicts(ctx, "retry run "+c.RunID, s.sql.retry, alone, c.RunID, c.Events, c.From, back, optText(c.Actor))
	switch {
	case errors.Is(err, store.ErrExists):
		owner, e := s.Hook(ctx, o.receipt.Hook.Token)
		if errors.Is(e, store.ErrNotFound) {
			return s.Retry(ctx, c) // released by now
		}
		if e != nil {
			return store.Hook{}, e
		}
		return owner, err
	case err == nil:
		s.tell(store.Signal{Mail: []string{c.RunID}})
	}
	return store.Hook{}, err
}
