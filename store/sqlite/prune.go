package sqlite

import (
	"context"
	"time"
)

// Prune deletes runs that ended before a time. The file does not shrink; the space is
// used again.
func (s *Store) Prune(ctx context.Context, before time.Time, limit int) (pruned int, more bool, err error) {
	err = s.w.do(ctx, func(w *writer) error {
		pruned, more, err = w.prune(before, limit)
		return err
	})
	return pruned, more, err
}

func (w *writer) prune(before time.Time, limit int) (pruned int, more bool, err error) {
	type ended struct {
		id     string
		events int64
	}
	runs, err := readAll(w.on(qRunsEnded).bindTime(before).bindInt(int64(limit)), whole(func(st *stmt) ended { return ended{st.text(), st.int()} }))
	if err != nil {
		return 0, false, err
	}
	for events := int64(0); pruned < len(runs) && events < int64(limit); pruned++ {
		r := runs[pruned]
		for _, q := range []query{qPruneJournal, qPruneCuts, qUnreadDelete, qPruneHooks, qPruneTxSteps, qGenerationsDelete, qSubscriptionsDelete, qLinksDelete, qPruneRun} {
			if err := w.on(q).bindText(r.id).run(); err != nil {
				return 0, false, err
			}
		}
		events += r.events
	}
	return pruned, pruned < len(runs) || len(runs) == limit, nil
}
