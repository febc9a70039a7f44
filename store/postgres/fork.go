package postgres

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/tenter-dev/tenter/store"
)

// Fork makes a run of the beginning of another's journal.
func (s *Store) Fork(ctx context.Context, f store.Fork) (store.Hook, error) {
	data, err := encodeFork(&f)
	if err != nil {
		return store.Hook{}, err
	}
	o, err := s.verdicts(ctx, "fork run "+f.Origin.RunID, s.sql.fork, alone, data)
	if err == nil {
		s.tell(store.Signal{Mail: []string{f.Run.ID}})
	}
	owner, again, err := forked(ctx, o, err, s.Hook)
	if again {
		return s.Fork(ctx, f)
	}
	return owner, err
}

// Fork makes a run of the beginning of another's journal.
func (j *joined) Fork(ctx context.Context, f store.Fork) (store.Hook, error) {
	data, err := encodeFork(&f)
	if err != nil {
		return store.Hook{}, err
	}
	o, err := j.verdicts(ctx, "fork run "+f.Origin.RunID, "mail", f.Run.ID, `SELECT `+verdictColumns+` FROM tenter.fork('within', $2::jsonb) v`,
		j.s.peers.channel, string(data))
	owner, _, err := forked(ctx, o, err, j.Hook)
	return owner, err
}

func encodeFork(f *store.Fork) (json.RawMessage, error) {
	if err := checkRun(&f.Run); err != nil {
		return nil, err
	}
	if !isText(f.Origin.RunID) {
		return nil, store.ErrNotFound
	}
	data, err := json.Marshal(f)
	if err != nil {
		return nil, fmt.Errorf("encode the fork of run %s: %w", f.Origin.RunID, err)
	}
	return data, nil
}

// forked completes a refusal: with the hook that has a token, or with the worker that is too old.
// again says that the token has been released since.
func forked(ctx context.Context, o *op, err error, hook func(context.Context, string) (store.Hook, error)) (owner store.Hook, again bool, _ error) {
	switch {
	case errors.Is(err, store.ErrOldWorker):
		return owner, false, fmt.Errorf("%w: worker %s", err, o.receipt.Hook.Token)
	case !errors.Is(err, store.ErrExists) || o.receipt.Hook.Token == "":
		return owner, false, err
	}
	owner, e := hook(ctx, o.receipt.Hook.Token)
	if errors.Is(e, store.ErrNotFound) {
		return owner, true, err
	}
	if e != nil {
		return owner, false, e
	}
	return owner, false, err
}
