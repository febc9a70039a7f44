package postgres

import (
	"context"
	"encoding/json"

	"github.com/tenter-dev/tenter/store"
)

// Start inserts a run with a Started message.
func (s *Store) Start(ctx context.Context, r store.NewRun) error {
	if err := checkRun(&r); err != nil {
		return err
	}
	return s.w.do(&op{kind: opStart, ctx: ctx, arg: &r, keys: []string{runKey(r.ID)}, size: len(r.Input)})
}

// startAll starts runs.
func (s *Store) startAll(r *request, ops []*op) {
	runs := make([]json.RawMessage, len(ops))
	for i, o := range ops {
		runs[i] = encodeNewRun(o.arg.(*store.NewRun))
	}
	r.Queue(s.sql.start, runs).Query(answers(ops, func(o *op) {
		r.told.Mail = append(r.told.Mail, o.arg.(*store.NewRun).ID)
	}))
}
