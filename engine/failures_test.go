package engine_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tenter-dev/tenter/engine"
	"github.com/tenter-dev/tenter/inspect"
	"github.com/tenter-dev/tenter/workflow"
)

func TestFailures(t *testing.T) {
	t.Parallel()
	inLab(t, func(t *testing.T, l *lab) {
		pay := workflow.Define("pay", func(ctx workflow.Context, order int) (string, error) {
			return "", workflow.Do(ctx, "charge", func(context.Context) error {
				switch {
				case order == 0:
					return nil
				case order < 4:
					return workflow.Fatal(fmt.Errorf("HTTP 503 for order %d\nretry later", 500+order))
				}
				return workflow.Fatal(fmt.Errorf("HTTP 402 for order %d", 500+order))
			})
		})
		ship := workflow.Define("ship", func(workflow.Context, int) (string, error) { return "", errors.New("error: parcel_7f is too large") })
		l.run(engine.Options{}, pay, ship)
		for order := range 6 {
			_, _ = mustStart(l, pay, order, workflow.RunID(fmt.Sprint("pay-", order))).Result(t.Context())
			l.advance(time.Second)
		}
		_, _ = mustStart(l, ship, 1, workflow.RunID("ship-1")).Result(t.Context())
		got, err := l.eng.Failures(t.Context(), inspect.FailureFilter{})
		if err != nil {
			t.Fatal(err)
		}
		for i := range got.Groups {
			got.Groups[i].First, got.Groups[i].Last = time.Time{}, time.Time{}
		}
		want := inspect.Failures{Runs: 6, Groups: []inspect.FailureGroup{
			{Workflow: "pay", Step: "charge", Error: "HTTP 503 for order …", RunIDs: []string{"pay-3", "pay-2", "pay-1"}},
			{Workflow: "pay", Step: "charge", Error: "HTTP 402 for order …", RunIDs: []string{"pay-5", "pay-4"}},
			{Workflow: "ship", Error: "error: … is too large", RunIDs: []string{"ship-1"}},
		}}
		if d := cmp.Diff(want, got); d != "" {
			t.Errorf("failures (-want +got):\n%s", d)
		}
		got, err = l.eng.Failures(t.Context(), inspect.FailureFilter{Workflow: "ship"})
		if err != nil || len(got.Groups) != 1 || got.Runs != 1 {
			t.Errorf("failures of ship are %+v, %v", got, err)
		}
	})
}

// What is cut off an error is cut off before a word that may be a token: the rest of one would not be
// masked for those who may only read.
func TestErrorsAreCutBeforeTokens(t *testing.T) {
	t.Parallel()
	inLab(t, func(t *testing.T, l *lab) {
		token := strings.Repeat("token7", 6)
		wf := workflow.Define("w", func(workflow.Context, int) (string, error) {
			return "", errors.New(strings.Repeat("a ", 140) + token + " is taken")
		})
		l.run(engine.Options{}, wf)
		_, _ = mustStart(l, wf, 1).Result(t.Context())
		runs, err := l.eng.Runs(t.Context(), inspect.RunFilter{})
		if err != nil || len(runs) != 1 || !strings.HasPrefix(runs[0].Error, "a a ") || strings.Contains(runs[0].Error, "token7") {
			t.Errorf("runs are %+v, %v", runs, err)
		}
	})
}

// Only the last failed runs are looked at, and it says so.
func TestFailuresAreBounded(t *testing.T) {
	t.Parallel()
	inLab(t, func(t *testing.T, l *lab) {
		wf := workflow.Define("w", func(workflow.Context, int) (string, error) { return "", errors.New("no") })
		l.run(engine.Options{}, wf)
		fail := func(n int) {
			for range n {
				_, _ = mustStart(l, wf, 1).Result(t.Context())
			}
		}
		for _, tt := range []struct {
			fail, want int
			more       bool
		}{{inspect.MaxFailures, inspect.MaxFailures, false}, {1, inspect.MaxFailures, true}} {
			fail(tt.fail)
			got, err := l.eng.Failures(t.Context(), inspect.FailureFilter{})
			if err != nil || got.Runs != tt.want || got.More != tt.more || len(got.Groups) != 1 || len(got.Groups[0].RunIDs) != tt.want {
				t.Errorf("failures of %d, more: %t, %v; want %d, %t", got.Runs, got.More, err, tt.want, tt.more)
			}
		}
	})
}
