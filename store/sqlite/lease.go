package sqlite

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/tenter-dev/tenter/internal/journal"
	"github.com/tenter-dev/tenter/internal/saturate"
	"github.com/tenter-dev/tenter/store"
)

// forgetAfter is how long the row of a worker that died is kept.
const forgetAfter = 24 * time.Hour

// definition is how a store.Definition is kept.
type definition struct {
	Workflow string `json:"workflow"`
	Version  int    `json:"version"`
}

// Renew extends a worker's lease, or registers it.
func (s *Store) Renew(ctx context.Context, l store.Lease) error {
	defs := make([]definition, len(l.Definitions))
	for i, d := range l.Definitions {
		defs[i] = definition(d)
	}
	js, err := json.Marshal(defs)
	if err != nil {
		return fmt.Errorf("encode definitions: %w", err)
	}
	return s.w.do(ctx, func(w *writer) error {
		now := s.Now()
		err := w.on(qWorkerRenew).bindText(l.Worker).bindText(l.Build).bindData(js).bindTime(now).bindTime(saturate.After(now, l.For)).bindInt(int64(thisEdition.known())).run()
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

// definitionCache saves decoding the same lists of definitions all the time.
type definitionCache struct {
	mu    sync.Mutex
	lists map[string][]definition
}

func (dc *definitionCache) get(js string) ([]definition, error) {
	dc.mu.Lock()
	defer dc.mu.Unlock()
	if list, ok := dc.lists[js]; ok {
		return list, nil
	}
	var list []definition
	if err := json.Unmarshal([]byte(js), &list); err != nil {
		return nil, fmt.Errorf("read definitions of a worker: %w", err)
	}
	if len(dc.lists) >= 64 || dc.lists == nil {
		dc.lists = make(map[string][]definition)
	}
	dc.lists[js] = list
	return list, nil
}

// available looks for a live worker that can execute a run, and says why not if
// there is none.
func (s *Store) available(c *conn, workflow string, version int) (reason string, err error) {
	lists, err := readAll(c.on(qWorkersLive).bindTime(s.Now()), whole((*stmt).text))
	if err != nil {
		return "", err
	}
	known := false
	for _, js := range lists {
		list, err := s.defs.get(js)
		if err != nil {
			return "", err
		}
		if slices.ContainsFunc(list, func(d definition) bool {
			known = known || d.Workflow == workflow
			return d.Workflow == workflow && (version == 0 || d.Version == version)
		}) {
			return "", nil
		}
	}
	switch {
	case len(lists) == 0:
		return journal.ReasonNoWorker(), nil
	case !known:
		return journal.ReasonNoWorkflow(workflow), nil
	}
	return journal.ReasonNoVersion(version, workflow), nil
}
