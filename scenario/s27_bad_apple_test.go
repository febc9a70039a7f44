package scenario_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/tenter-dev/tenter/inspect"
	"github.com/tenter-dev/tenter/store"
	"github.com/tenter-dev/tenter/workflow"
)

// S27: a step kills its process every time, among 2,000 healthy runs on the same
// worker.

var (
	healthy      = workflow.Define("healthy", double)
	poisonedStep = workflow.Define("poisoned-step", dieInStep)
	poisonedCode = workflow.Define("poisoned-code", dieInCode)
)

// double takes three steps, of some milliseconds each.
func double(ctx workflow.Context, n int) (int, error) {
	sum := 0
	for range 2 {
		part, err := workflow.Step(ctx, "part", func(ctx context.Context) (int, error) { return n, busy(ctx, 5*time.Millisecond) })
		if err != nil {
			return 0, err
		}
		sum += part
	}
	return workflow.Step(ctx, "sum", func(context.Context) (int, error) { return sum, nil })
}

func dieInStep(ctx workflow.Context, _ int) (int, error) {
	return workflow.Step(ctx, "die", func(context.Context) (int, error) { return suicide() },
		workflow.MaxAttempts(2), workflow.Backoff(10*time.Millisecond, 10*time.Millisecond))
}

func dieInCode(workflow.Context, int) (int, error) { return suicide() }

// suicide ends the process as SIGKILL from outside does.
func suicide() (int, error) {
	self, err := os.FindProcess(os.Getpid())
	if err != nil {
		return 0, err
	}
	if err := self.Kill(); err != nil {
		return 0, err
	}
	select {}
}

// amongHealthy starts a run in the middle of n healthy ones, and waits until all of
// those are right.
func amongHealthy(t *testing.T, s *service, n int, name string) {
	t.Helper()
	for i := range n {
		if i == n/2 {
			s.start(name, "bad", 0)
		}
		s.start("healthy", fmt.Sprintf("good-%04d", i), i)
	}
	ctx := within(t)
	for i := range n {
		got, err := workflow.Get[int](s.api, fmt.Sprintf("good-%04d", i)).Result(ctx)
		if err != nil {
			t.Fatal(err)
		}
		if got != 2*i {
			t.Errorf("the run of %d returned %d", i, got)
		}
	}
}

func TestS27PoisonedStep(t *testing.T) {
	t.Parallel()
	onEachStore(t, poisonedStepKills)
}

func poisonedStepKills(t *testing.T, db *database) {
	t.Helper()
	s := newService(t, db, shortLease)
	amongHealthy(t, s, 2000, "poisoned-step")
	_, err := workflow.Get[int](s.api, "bad").Result(within(t))
	failed, ok := errors.AsType[*workflow.StepError](err)
	if !ok || failed.Attempts != 2 || !strings.Contains(err.Error(), "the worker died while attempt 2 of step die#1 was executing") {
		t.Errorf("the bad apple: %v", err)
	}
	t.Logf("%d processes died", s.died())
	s.close()
	events, err := s.api.Journal(t.Context(), "bad", 0, 0)
	if err != nil {
		t.Fatal(err)
	}
	announced := 0
	for _, e := range events {
		if e.Kind == inspect.EventStepStarted {
			announced++
		}
	}
	if announced != 2 { // before it was suspected it could die without one
		t.Errorf("%d attempts were announced, want 2", announced)
	}
	checkRuns(t, db.st, processWorkflows())
}

func TestS27PoisonedCode(t *testing.T) {
	t.Parallel()
	onEachStore(t, poisonedCodeKills)
}

func poisonedCodeKills(t *testing.T, db *database) {
	t.Helper()
	s := newService(t, db, shortLease)
	amongHealthy(t, s, 200, "poisoned-code")
	waitFor(t, func() bool {
		l, err := db.st.Load(t.Context(), "bad", 0)
		if err != nil {
			t.Fatal(err)
		}
		return l.Run.Status == store.Blocked && strings.Contains(l.Run.BlockedReason, "killed its worker")
	})
	t.Logf("%d processes died", s.died())
}
