package sqlite

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/tenter-dev/tenter/store"
)

// oldBinary is a worker of a binary that knows only the schema before the last, on a file.
type oldBinary struct {
	t     *testing.T
	s     *Store
	path  string
	first *store.Transition // the first one of a run, by a worker of today
}

func besideAnOldBinary(t *testing.T) *oldBinary {
	t.Helper()
	path := newPath(t)
	s, err := OpenWith(path, Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	at := s.Now()
	return &oldBinary{t, s, path, &store.Transition{
		RunID: "r", Worker: "new", Epoch: 1, Seq: 1, Create: &store.NewRun{ID: "r", Workflow: "w", Secret: []byte("secret")},
		At: at, Status: store.Waiting, Events: []store.Event{{At: at, Kind: store.Started}},
	}}
}

// lease lets the worker's lease end after some time from now on.
func (o *oldBinary) lease(ends time.Duration) {
	o.t.Helper()
	now := o.s.Now()
	err := o.s.w.do(o.t.Context(), func(w *writer) error {
		return w.exec("INSERT OR REPLACE INTO tenter_workers (name, build, definitions, renewed_at, lease_until, schema) VALUES ('old', '', '[]', '" +
			formatTime(now) + "', '" + formatTime(now.Add(ends)) + "', 2)")
	})
	if err != nil {
		o.t.Fatal(err)
	}
}

// served returns why the file does not serve such binaries, or nil.
func (o *oldBinary) served() error { return o.servedBy(edition{migrations[:2], 1}) }

// servedNow returns why it does not serve binaries of today.
func (o *oldBinary) servedNow() error { return o.servedBy(thisEdition) }

func (o *oldBinary) servedBy(e edition) error {
	return o.s.pool.read(o.t.Context(), func(c *conn) error { return e.checkServed(c, o.path) })
}

// TestRestartBesideAnOldBinary: a worker of a binary that knows no generations holds restarts up, and
// once a run has restarted, such binaries refuse the file.
func TestRestartBesideAnOldBinary(t *testing.T) {
	t.Parallel()
	old := besideAnOldBinary(t)
	s := old.s
	if _, err := s.Apply(t.Context(), old.first); err != nil {
		t.Fatal(err)
	}
	restart := &store.Transition{
		RunID: "r", Worker: "new", Epoch: 1, Seq: 2, After: 1, At: s.Now(), Status: store.Running, Keep: true,
		Events: []store.Event{{At: s.Now(), Kind: store.Restarted, Ref: "1"}}, Restart: &store.Restart{},
	}
	fork := store.Fork{
		Run:    store.NewRun{ID: "f", Workflow: "flow", Secret: []byte("other")},
		Origin: store.Origin{RunID: "r", Position: 1, Prefix: []store.Ancestor{{RunID: "r", Last: 1}}}, Epoch: 1, Seq: 1,
	}
	old.lease(time.Hour)
	if _, err := s.Fork(t.Context(), fork); !errors.Is(err, store.ErrOldWorker) || !strings.Contains(err.Error(), "worker old") {
		t.Errorf("a fork beside an old worker: %v", err)
	}
	before, err := s.Load(t.Context(), "r", 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Apply(t.Context(), restart); !errors.Is(err, store.ErrOldWorker) || !strings.Contains(err.Error(), "worker old") {
		t.Errorf("a restart beside an old worker: %v", err)
	}
	after, err := s.Load(t.Context(), "r", 0)
	if err != nil || after.Run.Events != before.Run.Events || after.Run.Status != before.Run.Status || after.Run.Epoch != before.Run.Epoch {
		t.Errorf("the run was %+v, and is %+v after a refused restart, %v", before.Run, after.Run, err)
	}
	if err := old.served(); err != nil {
		t.Errorf("an old binary before the first restart: %v", err)
	}
	old.lease(-time.Hour)
	if _, err := s.Fork(t.Context(), fork); err != nil {
		t.Error(err)
	}
	if err := old.served(); !errors.Is(err, ErrNewer) {
		t.Errorf("an old binary after the first fork: %v", err)
	}
	if _, err := s.Apply(t.Context(), restart); err != nil {
		t.Fatal(err)
	}
	if err := old.served(); !errors.Is(err, ErrNewer) {
		t.Errorf("an old binary after the first restart: %v", err)
	}
	if err := old.servedNow(); err != nil {
		t.Errorf("this binary after the first restart: %v", err)
	}
}

// TestPauseBesideAnOldBinary: a worker of a binary that knows no pauses would execute what is paused.
// It holds pauses up, and once there was one, such binaries refuse the file.
func TestPauseBesideAnOldBinary(t *testing.T) {
	t.Parallel()
	for _, workflow := range []bool{false, true} {
		old := besideAnOldBinary(t)
		s := old.s
		if _, err := s.Apply(t.Context(), old.first); err != nil {
			t.Fatal(err)
		}
		pause := func() error {
			if workflow {
				return s.PauseWorkflow(t.Context(), "w", store.Pause{Actor: "ada"})
			}
			return s.Pause(t.Context(), "r", store.Pause{Actor: "ada"})
		}
		old.lease(time.Hour)
		if err := pause(); !errors.Is(err, store.ErrOldWorker) || !strings.Contains(err.Error(), "worker old") {
			t.Errorf("a pause beside an old worker: %v", err)
		}
		if l, err := s.Load(t.Context(), "r", 0); err != nil || l.Run.Paused != nil {
			t.Errorf("after a refused pause the run is %+v, %v", l.Run, err)
		}
		if err := old.served(); err != nil {
			t.Errorf("an old binary before the first pause: %v", err)
		}
		old.lease(-time.Hour)
		if err := pause(); err != nil {
			t.Fatal(err)
		}
		if l, err := s.Load(t.Context(), "r", 0); err != nil || l.Run.Paused == nil || l.Run.Paused.Workflow != workflow {
			t.Errorf("the paused run is %+v, %v", l.Run, err)
		}
		if err := old.served(); !errors.Is(err, ErrNewer) {
			t.Errorf("an old binary after the first pause: %v", err)
		}
		if err := old.servedNow(); err != nil {
			t.Errorf("this binary after the first pause: %v", err)
		}
	}
}

// TestAwaitBesideAnOldBinary: a worker of a binary that would end runs and tell nobody holds
// subscriptions up, and once there has been one, such binaries refuse the file.
func TestAwaitBesideAnOldBinary(t *testing.T) {
	t.Parallel()
	old := besideAnOldBinary(t)
	s, awaits := old.s, old.first
	awaits.Effects = []store.Effect{{Kind: store.Subscribe, Subscription: store.Subscription{Ref: "1", Target: "none"}}}
	old.lease(time.Hour)
	if _, err := s.Apply(t.Context(), awaits); !errors.Is(err, store.ErrOldWorker) || !strings.Contains(err.Error(), "worker old") {
		t.Errorf("a subscription beside an old worker: %v", err)
	}
	if _, err := s.Load(t.Context(), "r", 0); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("the refused transition has created its run: %v", err)
	}
	if err := old.served(); err != nil {
		t.Errorf("an old binary before the first subscription: %v", err)
	}
	old.lease(-time.Hour)
	if _, err := s.Apply(t.Context(), awaits); err != nil {
		t.Fatal(err)
	}
	if err := old.served(); !errors.Is(err, ErrNewer) {
		t.Errorf("an old binary after the first subscription: %v", err)
	}
	if err := old.servedNow(); err != nil {
		t.Errorf("this binary after the first subscription: %v", err)
	}
}
