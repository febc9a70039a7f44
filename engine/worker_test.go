package engine_test

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/tenter-dev/tenter/engine"
	"github.com/tenter-dev/tenter/store"
	"github.com/tenter-dev/tenter/workflow"
)

// A run that the worker claims while its actor reads the mailbox, as what it parked
// with, goes on.
func TestAClaimThatMeetsAReadOfTheMailboxStrandsNoRun(t *testing.T) {
	t.Parallel()
	inLab(t, func(t *testing.T, l *lab) {
		slow := &slowLoad{Store: l.store}
		l.eng, l.stop = l.runOn(slow, engine.Options{}, tokenWaiter, define("other"))
		r := mustStart(l, tokenWaiter, "t")
		reading, goOn := slow.next(r.ID())
		if _, err := workflow.Resume(t.Context(), l.eng, "t", "hello", workflow.IdempotencyKey("k")); err != nil {
			t.Fatal(err)
		}
		<-reading
		// A run that comes from elsewhere has the worker claim all that is due.
		if err := l.store.Start(t.Context(), store.NewRun{ID: "other", Workflow: "other", Secret: []byte("s"), Input: []byte(`""`)}); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		close(goOn)
		if got := mustResult(l, r); got != "hello" {
			t.Errorf("result is %q", got)
		}
	})
}

// slowLoad holds up one Load of a run.
type slowLoad struct {
	store.Store
	mu      sync.Mutex
	run     string
	reading chan struct{}
	goOn    chan struct{}
}

// next holds up the next Load of a run: it closes reading, and waits for goOn.
func (s *slowLoad) next(run string) (reading <-chan struct{}, goOn chan<- struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.run, s.reading, s.goOn = run, make(chan struct{}), make(chan struct{})
	return s.reading, s.goOn
}

func (s *slowLoad) Load(ctx context.Context, id string, after int64) (store.Loaded, error) {
	s.mu.Lock()
	hold := s.run != "" && s.run == id
	if hold {
		s.run = ""
	}
	s.mu.Unlock()
	if hold {
		close(s.reading)
		<-s.goOn
	}
	return s.Store.Load(ctx, id, after)
}
