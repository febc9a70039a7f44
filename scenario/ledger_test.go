package scenario_test

import (
	"context"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tenter-dev/tenter/workflow"
)

// A ledger is the outside world. Like a good payment provider it takes the step ID
// as the idempotency key: a step that is attempted again has no second effect.
type ledger struct {
	mu    sync.Mutex
	lines []string
	byID  map[string]string
}

func (l *ledger) enter(ctx context.Context, line string) error {
	id := workflow.InfoOf(ctx).StepID
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.byID == nil {
		l.byID = map[string]string{}
	}
	if _, again := l.byID[id]; !again {
		l.byID[id] = line
		l.lines = append(l.lines, line)
	}
	return nil
}

func (l *ledger) entries() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.lines)
}

func (l *ledger) want(t *testing.T, lines ...string) {
	t.Helper()
	if diff := cmp.Diff(lines, l.entries()); diff != "" {
		t.Errorf("effects (-want +got):\n%s", diff)
	}
}

// busy is what a step does that takes its time.
func busy(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}
