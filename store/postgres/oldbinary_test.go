package postgres

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/tenter-dev/tenter/internal/pgtest"
	"github.com/tenter-dev/tenter/store"
)

// oldBinary is a worker of a binary that knows only the schema before the last, in a schema with a run.
type oldBinary struct {
	t *testing.T
	s *Store
}

func besideAnOldBinary(t *testing.T) *oldBinary {
	t.Helper()
	s := open(t, pgtest.Database(t), Options{})
	at := s.Now()
	_, err := s.Apply(t.Context(), &store.Transition{
		RunID: "r", Worker: "new", Epoch: 1, Seq: 1, Create: &store.NewRun{ID: "r", Workflow: "w", Secret: []byte("secret")},
		At: at, Status: store.Waiting, Events: []store.Event{{At: at, Kind: store.Started}},
	})
	if err != nil {
		t.Fatal(err)
	}
	return &oldBinary{t, s}
}

// lease lets the worker's lease end after some time from now on.
func (o *oldBinary) lease(ends time.Duration) {
	o.t.Helper()
	_, err := o.s.pool.Exec(o.t.Context(), inSchema(o.s.opts.Schema, `INSERT INTO tenter.workers (name, build, definitions, renewed_at, lease_until, schema)
		VALUES ('old', '', '[]', now(), now() + $1::interval, 2) ON CONFLICT (name) DO UPDATE SET lease_until = excluded.lease_until`), ends)
	if err != nil {
		o.t.Fatal(err)
	}
}

// oldest returns the oldest binaries that the schema serves.
func (o *oldBinary) oldest() (n int) {
	o.t.Helper()
	err := o.s.pool.QueryRow(o.t.Context(), inSchema(o.s.opts.Schema, `SELECT coalesce(oldest, version) FROM tenter.migrations ORDER BY version DESC LIMIT 1`)).Scan(&n)
	if err != nil {
		o.t.Fatal(err)
	}
	return n
}

// TestRestartBesideAnOldBinary: a worker of a binary that knows no generations holds restarts up, and
// once a run has restarted, such binaries refuse the database.
func TestRestartBesideAnOldBinary(t *testing.T) {
	t.Parallel()
	old := besideAnOldBinary(t)
	s := old.s
	at := s.Now()
	restart := &store.Transition{
		RunID: "r", Worker: "new", Epoch: 1, Seq: 2, After: 1, At: at, Status: store.Running, Keep: true,
		Events: []store.Event{{At: at, Kind: store.Restarted, Ref: "1"}}, Restart: &store.Restart{},
	}
	fork := store.Fork{
		Run:    store.NewRun{ID: "f", Workflow: "flow", Secret: []byte("other")},
		Origin: store.Origin{RunID: "r", Position: 1, Prefix: []store.Ancestor{{RunID: "r", Last: 1}}}, Epoch: 1, Seq: 1,
	}
	old.lease(time.Hour)
	if _, err := s.Fork(t.Context(), fork); !errors.Is(err, store.ErrOldWorker) || !strings.Contains(err.Error(), "old") {
		t.Errorf("a fork beside an old worker: %v", err)
	}
	if _, err := s.Apply(t.Context(), restart); !errors.Is(err, store.ErrOldWorker) || !strings.Contains(err.Error(), "old") {
		t.Errorf("a restart beside an old worker: %v", err)
	}
	if l, err := s.Load(t.Context(), "r", 0); err != nil || l.Run.Events != 1 || l.Run.Epoch != 1 {
		t.Errorf("after a refused restart the run is %+v, %v", l.Run, err)
	}
	if n := old.oldest(); n != 1 {
		t.Errorf("before the first restart the schema serves binaries from %d on", n)
	}
	old.lease(-time.Hour)
	if _, err := s.Fork(t.Context(), fork); err != nil {
		t.Error(err)
	}
	if n := old.oldest(); n != 3 {
		t.Errorf("after the first fork the schema serves binaries from %d on", n)
	}
	if _, err := s.Apply(t.Context(), restart); err != nil {
		t.Fatal(err)
	}
	if n := old.oldest(); n != 3 {
		t.Errorf("after the first restart the schema serves binaries from %d on", n)
	}
}

// TestPauseBesideAnOldBinary: a worker of a binary that knows no pauses would execute what is paused.
// It holds pauses up, and once there was one, such binaries refuse the database.
func TestPauseBesideAnOldBinary(t *testing.T) {
	t.Parallel()
	for _, workflow := range []bool{false, true} {
		old := besideAnOldBinary(t)
		s := old.s
		pause := func() error {
			if workflow {
				return s.PauseWorkflow(t.Context(), "w", store.Pause{Actor: "ada"})
			}
			return s.Pause(t.Context(), "r", store.Pause{Actor: "ada"})
		}
		old.lease(time.Hour)
		if err := pause(); !errors.Is(err, store.ErrOldWorker) || !strings.Contains(err.Error(), "old") {
			t.Errorf("a pause beside an old worker: %v", err)
		}
		if l, err := s.Load(t.Context(), "r", 0); err != nil || l.Run.Paused != nil {
			t.Errorf("after a refused pause the run is %+v, %v", l.Run, err)
		}
		if n := old.oldest(); n != 1 {
			t.Errorf("before the first pause the schema serves binaries from %d on", n)
		}
		old.lease(-time.Hour)
		if err := pause(); err != nil {
			t.Fatal(err)
		}
		if l, err := s.Load(t.Context(), "r", 0); err != nil || l.Run.Paused == nil || l.Run.Paused.Workflow != workflow {
			t.Errorf("the paused run is %+v, %v", l.Run, err)
		}
		if n := old.oldest(); n != 3 {
			t.Errorf("after the first pause the schema serves binaries from %d on", n)
		}
	}
}
