package postgres

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/tenter-dev/tenter/internal/pgtest"
	"github.com/tenter-dev/tenter/store"
)

// waiting makes an operation that a writer without committers never carries out.
func waiting(t *testing.T, w *writer, kind opKind, size int, keys ...string) *op {
	t.Helper()
	o := &op{kind: kind, ctx: t.Context(), keys: keys, size: size}
	w.enqueue(o)
	return o
}

func TestCommittersAreNotInTheWayOfEachOther(t *testing.T) {
	t.Parallel()
	w := newWriter(nil)
	first := waiting(t, w, opApply, 1, "run a", "run parent")
	again := waiting(t, w, opApply, 1, "run a") // a run's transitions go one at a time
	batch := w.take()
	if !slices.Equal(batch, []*op{first}) {
		t.Fatalf("first batch: %v", batch)
	}
	child := waiting(t, w, opApply, 1, "run b", "run parent")
	send := waiting(t, w, opSend, 1, "run a")
	free := waiting(t, w, opSend, 1, "run c")
	if other := w.take(); !slices.Equal(other, []*op{free}) {
		t.Errorf("a batch meanwhile: %v", other)
	}
	w.release(batch)
	if next := w.take(); !slices.Equal(next, []*op{again, send, child}) {
		t.Errorf("the batch after: %v", next)
	}
}

func TestABatchIsBounded(t *testing.T) {
	t.Parallel()
	w := newWriter(nil)
	large := waiting(t, w, opAccept, 3*maxBytes, "token a")
	half := waiting(t, w, opAccept, maxBytes/2, "token b")
	rest := waiting(t, w, opAccept, maxBytes/2, "token c")
	more := waiting(t, w, opAccept, 1, "token d")
	for _, want := range [][]*op{{large}, {half, rest}, {more}} {
		if got := w.take(); !slices.Equal(got, want) {
			t.Errorf("a batch of %d, want %d", len(got), len(want))
		}
	}
	for range maxBatch + 1 {
		waiting(t, w, opSend, 1, "run")
	}
	if n := len(w.take()); n != maxBatch {
		t.Errorf("a batch of %d", n)
	}
}

func TestManyPayloadsForOneRun(t *testing.T) {
	t.Parallel()
	s := open(t, pgtest.Database(t), Options{})
	openHook(t, s)
	var all sync.WaitGroup
	for range 32 {
		all.Go(func() {
			for range 10 {
				if _, err := s.Accept(t.Context(), store.Payload{Token: "token"}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	if n := s.Stats().Alone; n != 0 {
		t.Errorf("%d were carried out alone", n)
	}
	if l, err := s.Load(t.Context(), "r", 0); err != nil || len(l.Mail) != 320 {
		t.Errorf("%d messages, %v", len(l.Mail), err)
	}
}

func TestCloseDoesNotWaitForALockOfOthers(t *testing.T) {
	t.Parallel()
	url := pgtest.Database(t)
	s := open(t, url, Options{})
	if err := s.Start(t.Context(), newRun("r")); err != nil {
		t.Fatal(err)
	}
	release := hold(t, url, "r")
	defer release()
	sent := make(chan error)
	go func() { sent <- s.Send(t.Context(), store.Message{RunID: "r", Kind: store.Woken}) }()
	for queued := false; !queued; wait(time.Millisecond) {
		s.w.mu.Lock()
		queued = s.w.busy > 0
		s.w.mu.Unlock()
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	if err := <-sent; !errors.Is(err, store.ErrClosed) {
		t.Errorf("what waited for the lock: %v", err)
	}
}

func TestNobodyTriesForACallerThatGaveUp(t *testing.T) {
	t.Parallel()
	url := pgtest.Database(t)
	s := open(t, url, Options{})
	if err := s.Start(t.Context(), newRun("r")); err != nil {
		t.Fatal(err)
	}
	release := hold(t, url, "r")
	defer release()
	var all sync.WaitGroup
	for i := range 50 {
		all.Go(func() {
			ctx, cancel := context.WithTimeout(t.Context(), time.Duration(i)*100*time.Microsecond)
			defer cancel()
			if err := s.Send(ctx, store.Message{RunID: "r", Kind: store.Woken}); err == nil {
				t.Error("a message was put in the mailbox of a locked run")
			}
		})
	}
	all.Wait()
	s.w.mu.Lock()
	defer s.w.mu.Unlock()
	for s.w.busy > 0 {
		s.w.idle.Wait()
	}
}
