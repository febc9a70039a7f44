package sqlite

import (
	"context"
	"strings"
	"time"

	"github.com/tenter-dev/tenter/internal/saturate"
	"github.com/tenter-dev/tenter/store"
	"github.com/tenter-dev/tenter/store/internal/workers"
)

// forgetAfter is how long the row of a worker that died is kept.
const forgetAfter = 24 * time.Hour

// Renew extends a worker's lease, or registers it.
func (s *Store) Renew(ctx context.Context, l store.Lease) error {
	js, err := workers.Encode(l.Definitions)
	if err != nil {
		return err
	}
	return s.w.do(ctx, func(w *writer) error {
		now := s.Now()
		err := w.on(qWorkerRenew).bindText(l.Worker).bindText(l.Build).bindData(js).bindTime(now).bindTime(saturate.After(now, l.For)).bindInt(int64(thisEdition.known())).bindOptText(strings.Join(l.LinkKeys, " ")).run()
		if err != nil {
			return err
		}
		// A run whose worker has no row counts as one whose lease has lapsed.
		return w.on(qWorkerPurge).bindTime(now.Add(-forgetAfter)).run()
	})
}

// Release ends a worker's lease and frees its runs, at once, and says so.
func (s *Store) Release(ctx context.Context, worker string) error {
	return s.w.do(ctx, func(w *writer) error {
		for _, st := range []*stmt{
			w.on(qExecutingRelease).bindText(worker),
			w.on(qWorkerDelete).bindText(worker),
			w.on(qRunRelease).bindText(worker),
		} {
			if err := st.run(); err != nil {
				return err
			}
		}
		w.sig.All = true // others may claim its runs now
		return nil
	})
}

// available looks for a live worker that can execute a run, and says why not if
// there is none.
func (s *Store) available(c *conn, workflow string, version int) (reason string, err error) {
	lists, err := readAll(c.on(qWorkersLive).bindTime(s.Now()), whole((*stmt).text))
	if err != nil {
		return "", err
	}
	return s.defs.Available(lists, workflow, version)
}
