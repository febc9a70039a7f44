package postgres

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/tenter-dev/tenter/internal/pgtest"
	"github.com/tenter-dev/tenter/store"
	"github.com/tenter-dev/tenter/store/internal/refused"
)

func newRun(id string) store.NewRun {
	return store.NewRun{ID: id, Workflow: "flow", Version: 1, Secret: []byte("s")}
}

// hold has somebody else lock a run, until the returned function is called.
func hold(t *testing.T, url, run string) (release func()) {
	t.Helper()
	ctx := context.WithoutCancel(t.Context())
	c, err := pgx.Connect(ctx, url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close(ctx) })
	tx, err := c.Begin(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tx.Exec(ctx, "SELECT FROM tenter.runs WHERE id = $1 FOR UPDATE", run); err != nil {
		t.Fatal(err)
	}
	return func() {
		if err := tx.Commit(ctx); err != nil {
			t.Error(err)
		}
	}
}

func TestALockOfOthersHoldsUpOneRunOnly(t *testing.T) {
	t.Parallel()
	url := pgtest.Database(t)
	s := open(t, url, Options{})
	ctx := t.Context()
	for _, id := range []string{"held", "free"} {
		if err := s.Start(ctx, newRun(id)); err != nil {
			t.Fatal(err)
		}
	}
	release := hold(t, url, "held")

	waits := make(chan error, 10*maxAlone) // more than may be carried out alone at a time
	for range cap(waits) {
		go func() { waits <- s.Send(ctx, store.Message{RunID: "held", Kind: store.Woken}) }()
	}
	for range 50 {
		if err := s.Send(ctx, store.Message{RunID: "free", Kind: store.Woken}); err != nil {
			t.Fatal(err)
		}
	}
	limited, cancel := context.WithTimeout(ctx, 100*time.Millisecond)
	defer cancel()
	if err := s.Send(limited, store.Message{RunID: "held", Kind: store.CancelRequested}); !errors.Is(err, context.DeadlineExceeded) {
		// It may have been at the database in that moment.
		if err == nil || !strings.Contains(err.Error(), "unknown") {
			t.Errorf("a message that could not be sent in time: %v", err)
		}
	}
	select {
	case err := <-waits:
		t.Fatalf("a message to a locked run: %v", err)
	default:
	}
	release()
	for range cap(waits) {
		if err := <-waits; err != nil {
			t.Error(err)
		}
	}
	l, err := s.Load(ctx, "held", 0)
	if err != nil {
		t.Fatal(err)
	}
	woken := 0
	for _, m := range l.Mail {
		if m.Kind == store.Woken {
			woken++
		}
	}
	if woken != cap(waits) {
		t.Errorf("%d messages, want %d", woken, cap(waits))
	}
}

func TestTextThatCannotBeKeptHarmsNobodyElse(t *testing.T) {
	t.Parallel()
	s := open(t, pgtest.Database(t), Options{})
	var all sync.WaitGroup
	for i := range 100 {
		all.Go(func() {
			id := fmt.Sprintf("r%d", i)
			bad := i%10 == 0
			if bad {
				id += []string{"\x00", "\xff"}[i/10%2]
			}
			err := s.Start(t.Context(), newRun(id))
			if (err != nil) != bad {
				t.Errorf("start %q: %v", id, err)
			}
		})
	}
	all.Wait()
}

func TestAServerThatRestartsIsFoundAgain(t *testing.T) {
	t.Parallel()
	server := pgtest.Start(t)
	s := open(t, server.URL(), Options{})
	ctx := t.Context()
	if err := s.Start(ctx, newRun("before")); err != nil {
		t.Fatal(err)
	}
	server.Crash()
	err := s.Start(ctx, newRun("meanwhile"))
	if err == nil || refused.Is(err) {
		t.Errorf("without a server: %v", err)
	}
	server.Start()
	for {
		err := s.Start(ctx, newRun("after"))
		if err == nil {
			break
		}
		if refused.Is(err) || ctx.Err() != nil {
			t.Fatal(err)
		}
	}
	if _, err := s.Load(ctx, "before", 0); err != nil {
		t.Error(err)
	}
}

func TestCloseCarriesOutWhatWaits(t *testing.T) {
	t.Parallel()
	url := pgtest.Database(t)
	s := open(t, url, Options{})
	errs := make(chan error, 200)
	for i := range cap(errs) {
		go func() { errs <- s.Start(t.Context(), newRun(fmt.Sprint("r", i))) }()
	}
	first := <-errs
	if first != nil {
		t.Fatal(first)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	started := 1
	for range cap(errs) - 1 {
		switch err := <-errs; {
		case err == nil:
			started++
		case !errors.Is(err, store.ErrClosed):
			t.Error(err)
		}
	}
	runs, err := open(t, url, Options{}).Runs(t.Context(), store.Filter{Limit: 1000})
	if err != nil || len(runs) != started {
		t.Errorf("%d runs, %d were started: %v", len(runs), started, err)
	}
}

// Of runs that one batch creates, each has its own verdict.
func TestRunsOfABatchAreCreatedOrRefusedEachForItself(t *testing.T) {
	t.Parallel()
	s := open(t, pgtest.Database(t), Options{})
	ctx := t.Context()
	if err := s.Start(ctx, newRun("taken")); err != nil {
		t.Fatal(err)
	}
	at := s.Now()
	begin := func(id string, epoch int64) *op {
		run := newRun(id)
		return &op{kind: opApply, ctx: ctx, keys: []string{runKey(id)}, done: make(chan struct{}), arg: &store.Transition{
			RunID: id, Worker: "w", Epoch: epoch, Create: &run, At: at, Status: store.Running, Keep: true, Version: 1,
			Events: []store.Event{{At: at, Kind: store.Started, Data: []byte(id)}},
		}}
	}
	update := begin("nobody", 1)
	update.arg.(*store.Transition).Create = nil
	ops := []*op{begin("free 2", 1), begin("taken", 1), begin("epoch", 7), update, begin("free 1", 1)}
	if err := s.w.commit(ctx, ops); err != nil {
		t.Fatal(err)
	}
	for i, want := range []error{nil, store.ErrExists, store.ErrConflict, store.ErrNotFound, nil} {
		if !errors.Is(ops[i].err, want) {
			t.Errorf("operation %d: %v, want %v", i, ops[i].err, want)
		}
		id := ops[i].arg.(*store.Transition).RunID
		l, err := s.Load(ctx, id, 0)
		if want == nil && (err != nil || l.Run.Events != 1 || len(l.Events) != 1 || string(l.Events[0].Data) != id || l.Run.Worker != "w") {
			t.Errorf("run %s: %+v, %v", id, l, err)
		}
		if want != nil && err == nil && len(l.Events) > 0 {
			t.Errorf("run %s has events of a transition that was refused: %+v", id, l.Events)
		}
	}
}
