package postgres

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/tenter-dev/tenter/internal/journal"
	"github.com/tenter-dev/tenter/store"
)

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
	s.peers.claim(l)
	return s.call(ctx, "renew the lease of worker "+l.Worker, func(ctx context.Context, c *pgxpool.Conn) error {
		return s.clock.ask(func() (at time.Time, err error) {
			err = c.QueryRow(ctx, s.sql.renew, l.Worker, l.Build, defs, l.For, s.known).Scan(&at)
			return at, err
		})
	})
}

// Release ends a worker's lease and frees its runs, at once, save those that somebody
// else has locked: these as soon as they are not.
func (s *Store) Release(ctx context.Context, worker string) error {
	s.peers.claimNothing(worker)
	return s.call(ctx, "release the runs of worker "+worker, func(ctx context.Context, c *pgxpool.Conn) error {
		var freed, more bool
		if err := c.QueryRow(ctx, s.sql.release, worker).Scan(&freed, &more); err != nil {
			return err
		}
		if freed {
			s.tell(store.Signal{All: true}) // others may claim them now
		}
		if more {
			return errBusy
		}
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

// available looks among the definitions of the live workers for one that can execute
// a run, and says why not if there is none.
func (s *Store) available(lists []string, workflow string, version int) (reason string, err error) {
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
