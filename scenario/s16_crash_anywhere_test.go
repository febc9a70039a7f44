package scenario_test

import (
	"context"
	"flag"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/tenter-dev/tenter/internal/pgtest"
)

// scenarioKills makes S16 last longer, on a server that waits for the disk.
var scenarioKills = flag.Int("scenario.kills", 0, "how many processes S16 kills on each store")

// S16: processes are killed at random moments under mixed load, one of them or all at
// once; then the database is checked. The load asks them for everything, over RPC and
// HTTP: the test itself has the database open only in the end. So whoever accepts a
// payload may die of it, and when all have died the next one has to recover the file.

func TestS16CrashAnywhere(t *testing.T) {
	t.Parallel()
	t.Run("sqlite", func(t *testing.T) {
		t.Parallel()
		crashAnywhere(t, "sqlite:"+filepath.Join(t.TempDir(), "scenario.db"))
	})
	t.Run("postgres", func(t *testing.T) {
		t.Parallel()
		if *scenarioKills > 0 {
			crashAnywhere(t, pgtest.Start(t).URL())
		} else {
			crashAnywhere(t, pgtest.Database(t))
		}
	})
}

func crashAnywhere(t *testing.T, url string) {
	t.Helper()
	makeSchema(t, url)
	db := &database{url: url}
	s := setScene(t, db)
	services := []*service{
		newRole(t, db, role{Database: url, Lease: workLease, Webhooks: true}),
		newRole(t, db, role{Database: url, Lease: workLease, Webhooks: true}),
		newRole(t, db, role{Database: url, Webhooks: true}), // it executes nothing
	}
	s.api, s.fronts = &remote{services: services}, services
	s.workersUp(2)
	over, stop := context.WithCancel(t.Context())
	defer stop()
	s.over = over
	a := &adversity{scene: s, services: services}
	kills := 20
	if *scenarioKills > 0 {
		kills = *scenarioKills
	}
	s.begin()
	for i := 0; a.kills < kills; i++ {
		a.pause(100*time.Millisecond, 600*time.Millisecond)
		a.progress()
		if i%8 == 7 {
			a.killAll()
		} else {
			a.kill(services[i%len(services)])
		}
	}
	stop()
	s.end(s.unfinished)
	fenced := a.fenced()
	for _, w := range services {
		w.close()
	}
	c := s.check()
	a.tell(c, fenced)
}

// killAll kills all processes at once.
func (a *adversity) killAll() {
	var all sync.WaitGroup
	for _, s := range a.services {
		id, began := s.id(), time.Now()
		all.Go(func() {
			s.kill()
			a.chron.suffer(mishap{process: id, what: "killed", began: began, over: time.Now()})
		})
	}
	all.Wait()
	a.kills += len(a.services)
}

// makeSchema makes the tables of a store, and leaves the database to others.
func makeSchema(t *testing.T, url string) {
	t.Helper()
	st, err := openStore(t.Context(), url, testLog(t))
	if err != nil {
		t.Fatal(err)
	}
	if err := st.Close(); err != nil {
		t.Fatal(err)
	}
}
