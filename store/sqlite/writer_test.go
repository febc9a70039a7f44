package sqlite

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"zombiezen.com/go/sqlite"

	"github.com/tenter-dev/tenter/store"
)

func open(t *testing.T, o Options) *Store {
	t.Helper()
	s, err := OpenWith(filepath.Join(t.TempDir(), "a.db"), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

// batch queues operations while the writer is held up, so that they share a
// commit, and returns their errors.
func batch(t *testing.T, s *Store, ops ...func(w *writer) error) []error {
	t.Helper()
	held, free := make(chan bool), make(chan bool)
	errs := make([]error, len(ops))
	var wg sync.WaitGroup
	wg.Go(func() {
		_ = s.w.do(t.Context(), func(*writer) error { close(held); <-free; return nil })
	})
	<-held
	for i, o := range ops {
		queued := make(chan bool)
		wg.Go(func() {
			close(queued)
			errs[i] = s.w.do(t.Context(), o)
		})
		<-queued
		for {
			s.w.mu.Lock()
			n := len(s.w.queue)
			s.w.mu.Unlock()
			if n == i+1 {
				break
			}
		}
	}
	close(free)
	wg.Wait()
	return errs
}

func start(id string) func(w *writer) error {
	return func(w *writer) error { return w.startRun(store.NewRun{ID: id, Workflow: "w"}, w.acceptTime()) }
}

func TestBatchSharesACommit(t *testing.T) {
	s := open(t, Options{Private: true})
	before := s.Stats()
	errs := batch(t, s, start("a"), start("b"), start("a"), start("c"))
	for i, want := range []error{nil, nil, store.ErrExists, nil} {
		if !errors.Is(errs[i], want) {
			t.Errorf("operation %d: %v, want %v", i, errs[i], want)
		}
	}
	after := s.Stats()
	if n := after.Commits - before.Commits; n != 2 || after.Largest != 4 {
		t.Errorf("%d commits, stats %+v", n, after)
	}
}

// An error in the middle of an operation's writes leaves nothing of it, and all
// of the others.
func TestBatchWithAnError(t *testing.T) {
	s := open(t, Options{Private: true})
	var signals []store.Signal
	s.Watch(func(sig store.Signal) { signals = append(signals, sig) })
	boom := errors.New("boom")
	fail := func(w *writer) error {
		if err := start("half")(w); err != nil {
			return err
		}
		return boom
	}
	damage := func(w *writer) error { return w.insertHook(store.Hook{ID: "h", Token: "t"}) }
	errs := batch(t, s, start("a"), damage, fail, start("b"), damage)
	for i, want := range []error{nil, nil, boom, nil} {
		if !errors.Is(errs[i], want) {
			t.Errorf("operation %d: %v, want %v", i, errs[i], want)
		}
	}
	if errs[4] == nil || sqlite.ErrCode(errs[4]).ToPrimary() != sqlite.ResultConstraint {
		t.Errorf("the second insert: %v", errs[4])
	}
	runs, err := s.Runs(t.Context(), store.Filter{})
	if err != nil || len(runs) != 2 {
		t.Errorf("runs are %v, %v", runs, err)
	}
	if s.Stats().Reruns != 1 {
		t.Errorf("stats are %+v", s.Stats())
	}
	if err := s.Close(); err != nil { // the signals are all there then
		t.Fatal(err)
	}
	if diff := cmp.Diff([]store.Signal{{Mail: []string{"a", "b"}}}, signals, cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("signals (-want +got):\n%s", diff)
	}
}

func TestPrivateStoreIsIdle(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.db")
	synctest.Test(t, func(t *testing.T) {
		s, err := OpenWith(path, Options{Private: true})
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = s.Close() }()
		if err := s.Start(t.Context(), store.NewRun{ID: "r", Workflow: "w"}); err != nil {
			t.Fatal(err)
		}
		before := s.Now()
		pass(365 * 24 * time.Hour) // one hop
		r, err := s.Load(t.Context(), "r", 0)
		if err != nil || s.Now().Sub(before) < 365*24*time.Hour || !r.Run.CreatedAt.Equal(before) {
			t.Errorf("run is %+v, %v", r, err)
		}
	})
}

// locked opens a store and a transaction of another connection.
func locked(t *testing.T, path string, o Options) (s *Store, unlock func()) {
	t.Helper()
	s, err := OpenWith(path, o)
	if err != nil {
		t.Fatal(err)
	}
	c, err := openConn(path, sqlite.OpenReadWrite)
	if err != nil {
		t.Fatal(err)
	}
	if err := c.exec("BEGIN IMMEDIATE"); err != nil {
		t.Fatal(err)
	}
	return s, func() {
		if err := c.exec("COMMIT"); err != nil {
			t.Error(err)
		}
		_ = c.close()
	}
}

func TestBusy(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.db")
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		s, unlock := locked(t, path, Options{Logger: slog.New(slog.NewTextHandler(&log, nil))})
		defer func() { _ = s.Close() }()
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer cancel()
		if err := s.Start(ctx, store.NewRun{ID: "late", Workflow: "w"}); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("error is %v", err)
		}
		done := make(chan error)
		go func() { done <- s.Start(t.Context(), store.NewRun{ID: "r", Workflow: "w"}) }()
		pass(5 * time.Second)
		synctest.Wait()
		if n := strings.Count(log.String(), "another process"); n != 1 {
			t.Errorf("warned %d times: %s", n, &log)
		}
		unlock()
		if err := <-done; err != nil {
			t.Error(err)
		}
		runs, err := s.Runs(t.Context(), store.Filter{})
		if err != nil || len(runs) != 1 || runs[0].ID != "r" {
			t.Errorf("runs are %v, %v", runs, err)
		}
	})
}

func TestCloseWhileBusy(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.db")
	synctest.Test(t, func(t *testing.T) {
		s, unlock := locked(t, path, Options{})
		done := make(chan error)
		go func() { done <- s.Start(t.Context(), store.NewRun{ID: "r", Workflow: "w"}) }()
		synctest.Wait()
		go func() { _ = s.Close() }()
		if err := <-done; !errors.Is(err, store.ErrClosed) {
			t.Errorf("error is %v", err)
		}
		unlock()
	})
}

// pass lets time pass in a synctest bubble.
func pass(d time.Duration) {
	time.Sleep(d) //nolint:forbidigo // it is the bubble's time
}
