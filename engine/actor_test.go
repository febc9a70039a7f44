package engine_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tenter-dev/tenter/engine"
	"github.com/tenter-dev/tenter/inspect"
	"github.com/tenter-dev/tenter/workflow"
)

// by is a context in which somebody acts.
func by(ctx context.Context, name string) context.Context {
	return workflow.WithActor(ctx, workflow.Actor{Name: name})
}

// actors are the events of a run that somebody is known for, as "woken ada".
func (l *lab) actors(runID string) []string {
	l.Helper()
	events, err := l.eng.Journal(l.Context(), runID, 0, 0)
	if err != nil {
		l.Fatal(err)
	}
	var all []string
	for _, e := range events {
		if e.By != (workflow.Actor{}) {
			all = append(all, string(e.Kind)+" "+e.By.String())
		}
	}
	return all
}

func (l *lab) must(err error) {
	l.Helper()
	if err != nil {
		l.Fatal(err)
	}
}

// Code is told who sent a payload, whichever way that came and whatever is replayed, and who started
// the run, in its steps and in later generations too. The journal has the same.
func TestActorsOfPayloads(t *testing.T) {
	t.Parallel()
	eachCache(t, func(t *testing.T, l *lab, opts engine.Options) {
		var wf *workflow.Workflow[int, []string]
		wf = workflow.Define("approve", func(ctx workflow.Context, generation int) ([]string, error) {
			h, err := workflow.NewHook[string](ctx, workflow.Token("t"))
			if err != nil {
				return nil, err
			}
			said := []string{"none yet: " + h.By().String()}
			for range 2 {
				if _, err := h.Wait(ctx); err != nil {
					return nil, err
				}
				said = append(said, h.By().String())
				if err := workflow.Sleep(ctx, time.Second); err != nil {
					return nil, err
				}
			}
			err = workflow.Select(ctx, workflow.OnPayload(h, func(string) error { return nil }))
			said = append(said, h.By().String(), workflow.InfoOf(ctx).StartedBy.Name)
			if err != nil {
				return nil, err
			}
			inStep, err := workflow.Step(ctx, "look", func(ctx context.Context) (string, error) {
				return workflow.InfoOf(ctx).StartedBy.Name, nil
			})
			if err != nil {
				return nil, err
			}
			if generation == 0 {
				return wf.Restart(ctx, 1)
			}
			return append(said, inStep), nil
		})
		l.run(opts, wf)
		r, err := wf.Start(by(l.Context(), "ada"), l.eng, 0)
		l.must(err)
		send := func(eng *engine.Engine, a workflow.Actor) {
			t.Helper()
			_, err := workflow.Resume(workflow.WithActor(l.Context(), a), eng, "t", "x")
			l.must(err)
		}
		elsewhere := l.client()
		var want []string
		for range 2 { // generations
			l.advance(0)
			send(l.eng, workflow.Actor{Name: "bob", Via: "key"}) // delivered at once
			send(l.eng, workflow.Actor{Name: "eve", Via: "link", Link: "L1"})
			send(l.eng, workflow.Actor{})
			send(elsewhere, workflow.Actor{Name: "not taken"}) // by the mailbox, and over the restart
			l.advance(10 * time.Second)
			want = append(want, "started ada", "payload_received bob (key)", "payload_received the link issued to eve")
		}
		got := mustResult(l, r)
		// The second generation begins with what the first has left.
		if diff := cmp.Diff([]string{"none yet: ", "not taken", "bob (key)", "the link issued to eve", "ada", "ada"}, got); diff != "" {
			t.Errorf("the code was told (-want +got):\n%s", diff)
		}
		if events, err := l.eng.Journal(l.Context(), r.ID(), 0, 0); err != nil || !slices.ContainsFunc(events, func(e inspect.Event) bool { return e.By.Link == "L1" }) {
			t.Errorf("the link is not in the journal: %v", err)
		}
		for _, line := range want {
			if !slices.Contains(l.actors(r.ID()), line) {
				t.Errorf("the journal lacks %q: %q", line, l.actors(r.ID()))
			}
		}
	})
}

// Each order is in the journal with the one that gave it.
func TestActorsOfControls(t *testing.T) {
	t.Parallel()
	eachCache(t, func(t *testing.T, l *lab, opts engine.Options) {
		fail := true
		wf := workflow.Define("sleeper", func(ctx workflow.Context, _ string) (string, error) {
			if err := workflow.Sleep(ctx, time.Hour); err != nil {
				return "", err
			}
			_, err := workflow.Step(ctx, "try", func(context.Context) (string, error) {
				if fail {
					return "", workflow.Fatal(errors.New("no"))
				}
				return "ok", nil
			})
			if err != nil {
				return "", err
			}
			return "", workflow.Sleep(ctx, time.Hour)
		})
		l.run(opts, wf)
		r := mustStart(l, wf, "")
		l.must(r.Wake(by(l.Context(), "wendy")))
		l.advance(time.Second)
		fail = false
		l.must(r.Retry(by(l.Context(), "rob")))
		l.advance(time.Second)
		forked, err := r.Fork(by(l.Context(), "fay"), workflow.AtStep("try#1"))
		l.must(err)
		l.must(r.Pause(by(l.Context(), "paul"), workflow.PauseRequest{}))
		l.must(r.Resume(by(l.Context(), "rhea")))
		l.must(r.Resume(by(l.Context(), "rhea"))) // it is not paused
		l.must(r.Cancel(by(l.Context(), "cleo")))
		l.advance(time.Second)
		if diff := cmp.Diff([]string{"woken wendy", "retried rob", "resumed rhea", "cancel_requested cleo"}, l.actors(r.ID())); diff != "" {
			t.Errorf("the journal has (-want +got):\n%s", diff)
		}
		l.must(forked.Terminate(by(l.Context(), "tom"), "enough"))
		l.advance(time.Second)
		if diff := cmp.Diff([]string{"woken wendy", "retried rob", "forked fay", "canceled tom"}, l.actors(forked.ID())); diff != "" {
			t.Errorf("the journal of the fork has (-want +got):\n%s", diff)
		}
	})
}

// An actor that could not be shown, or found again, is refused, and nothing happens.
func TestActorsAreNames(t *testing.T) {
	t.Parallel()
	inLab(t, func(t *testing.T, l *lab) {
		wf := workflow.Define("listen", func(ctx workflow.Context, _ string) (string, error) {
			h, err := workflow.NewHook[string](ctx, workflow.Token("t"))
			if err != nil {
				return "", err
			}
			return h.Wait(ctx)
		})
		l.run(engine.Options{}, wf)
		r := mustStart(l, wf, "")
		for what, a := range map[string]workflow.Actor{
			"a long name":        {Name: strings.Repeat("a", 257)},
			"a long via":         {Name: "ada", Via: strings.Repeat("a", 65)},
			"a long link":        {Name: "ada", Link: strings.Repeat("a", 257)},
			"a line break":       {Name: "ada\nbob"},
			"an escape sequence": {Name: "ada\x1b[31m"},
			"invalid UTF-8":      {Name: "ada\xff"},
			"a zero byte":        {Via: "\x00"},
		} {
			ctx := workflow.WithActor(l.Context(), a)
			_, started := wf.Start(ctx, l.eng, "")
			_, resumed := workflow.Resume(ctx, l.eng, "t", "x")
			_, forked := r.Fork(ctx, workflow.AtPosition(1))
			for verb, err := range map[string]error{
				"start": started, "resume": resumed, "fork": forked, "cancel": r.Cancel(ctx), "wake": r.Wake(ctx), "terminate": r.Terminate(ctx, ""),
				"pause": r.Pause(ctx, workflow.PauseRequest{}), "resume the run": r.Resume(ctx), "pause the workflow": wf.Pause(ctx, l.eng, workflow.PauseRequest{}),
			} {
				if !errors.Is(err, workflow.ErrInvalidName) {
					t.Errorf("%s, by %s: %v", verb, what, err)
				}
			}
		}
		if got := len(l.journal(r.ID())); got != 2 {
			t.Errorf("the journal has %d events, not those of the start alone", got)
		}
		longest := workflow.Actor{Name: strings.Repeat("é", 128), Via: strings.Repeat("a", 64), Link: strings.Repeat("b", 256)}
		_, err := workflow.Resume(workflow.WithActor(l.Context(), longest), l.eng, "t", "x")
		l.must(err)
		mustResult(l, r)
	})
}
