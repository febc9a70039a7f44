package engine_test

import (
	"context"
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tenter-dev/tenter/engine"
	"github.com/tenter-dev/tenter/store"
	"github.com/tenter-dev/tenter/workflow"
)

// collector takes payloads until one says so.
var collector = workflow.Define("collector", func(ctx workflow.Context, token string) ([]string, error) {
	h, err := workflow.NewHook[string](ctx, workflow.Token(token))
	if err != nil {
		return nil, err
	}
	var got []string
	for s, err := range h.All(ctx) {
		if err != nil {
			return nil, err
		}
		if s == "end" {
			break
		}
		got = append(got, s)
	}
	return got, nil
})

// A transition that fails may land at any later moment. Its payload is taken in once.
func TestALateTransitionIsNotWrittenTwice(t *testing.T) {
	t.Parallel()
	for name, landing := range map[string]func(l *lab, land func()){
		"before anybody looks": func(_ *lab, land func()) { land() },
		"after the doubt is settled": func(l *lab, land func()) {
			l.advance(time.Second)
			land()
		},
		"long after": func(l *lab, land func()) {
			l.resume("t", "b")
			l.advance(time.Hour)
			land()
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			inLab(t, func(t *testing.T, l *lab) {
				p := newProbe(l.store)
				l.eng, l.stop = l.runOn(p, engine.Options{}, collector)
				r := mustStart(l, collector, "t")
				land := p.lose("Apply")
				answer := make(chan error, 1)
				go func() {
					_, err := workflow.Resume(t.Context(), l.eng, "t", "a")
					answer <- err
				}()
				synctest.Wait()
				landing(l, land)
				if err := <-answer; err != nil {
					t.Errorf("resume: %v", err)
				}
				land()
				l.resume("t", "c")
				l.resume("t", "end")
				got := mustResult(l, r)
				got = slices.DeleteFunc(got, func(s string) bool { return s == "b" })
				if !slices.Equal(got, []string{"a", "c"}) {
					t.Errorf("got %q", got)
				}
			})
		})
	}
}

// The window between a look that finds nothing and the next write: what lands in it
// must not count.
func TestATransitionThatLandsBetweenTheLookAndTheNextWriteIsRefused(t *testing.T) {
	t.Parallel()
	inLab(t, func(t *testing.T, l *lab) {
		p := newProbe(l.store)
		l.eng, l.stop = l.runOn(p, engine.Options{}, collector)
		r := mustStart(l, collector, "t")
		land := p.lose("Apply")
		slow := p.hold("Accept", held{}) // the payload's second way, once the doubt is settled
		answer := make(chan error, 1)
		go func() {
			_, err := workflow.Resume(t.Context(), l.eng, "t", "a")
			answer <- err
		}()
		<-slow.reached
		land()
		close(slow.goOn)
		if err := <-answer; err != nil {
			t.Errorf("resume: %v", err)
		}
		l.resume("t", "end")
		if got := mustResult(l, r); !slices.Equal(got, []string{"a"}) {
			t.Errorf("got %q", got)
		}
	})
}

// A run whose birth is in doubt is born once, whenever that lands, and goes on.
func TestALateBirth(t *testing.T) {
	t.Parallel()
	chain := func(attempts *int) *workflow.Workflow[string, string] {
		return workflow.Define("chain", func(ctx workflow.Context, in string) (string, error) {
			return workflow.Step(ctx, "work", func(context.Context) (string, error) { *attempts++; return in, nil })
		})
	}
	t.Run("before the repeat", func(t *testing.T) {
		t.Parallel()
		inLab(t, func(t *testing.T, l *lab) {
			attempts := 0
			wf := chain(&attempts)
			p := newProbe(l.store)
			l.eng, l.stop = l.runOn(p, engine.Options{}, wf)
			land := p.lose("Apply")
			go land()
			r := mustStart(l, wf, "x")
			if got := mustResult(l, r); got != "x" || attempts != 1 {
				t.Errorf("result is %q after %d attempts", got, attempts)
			}
		})
	})
	t.Run("after the repeat", func(t *testing.T) {
		t.Parallel()
		inLab(t, func(t *testing.T, l *lab) {
			attempts := 0
			wf := chain(&attempts)
			p := newProbe(l.store)
			l.eng, l.stop = l.runOn(p, engine.Options{}, wf)
			land := p.lose("Apply")
			r := mustStart(l, wf, "x")
			land()
			if got := mustResult(l, r); got != "x" || attempts != 1 {
				t.Errorf("result is %q after %d attempts", got, attempts)
			}
		})
	})
	t.Run("after everybody has given it up", func(t *testing.T) {
		t.Parallel()
		inLab(t, func(t *testing.T, l *lab) {
			attempts := 0
			wf := chain(&attempts)
			p := newProbe(l.store)
			l.eng, l.stop = l.runOn(p, engine.Options{}, wf)
			land := p.lose("Apply")
			p.fail(func(op string) bool { return op == "Apply" })
			_, err := wf.Start(t.Context(), l.eng, "x", workflow.RunID("r"))
			wantIs(l, err, errDown)
			wantContains(l, err.Error(), "run r")
			p.fail(nil)
			l.advance(time.Minute)
			land()
			if got := mustResult(l, workflow.Get[string](l.eng, "r")); got != "x" || attempts != 1 {
				t.Errorf("result is %q after %d attempts", got, attempts)
			}
		})
	})
	t.Run("of a run whose ID somebody else takes meanwhile", func(t *testing.T) {
		t.Parallel()
		inLab(t, func(t *testing.T, l *lab) {
			attempts := 0
			wf := chain(&attempts)
			p := newProbe(l.store)
			l.eng, l.stop = l.runOn(p, engine.Options{}, wf)
			land := p.lose("Apply")
			answer := make(chan error, 1)
			go func() {
				_, err := wf.Start(t.Context(), l.eng, "mine", workflow.RunID("r"))
				answer <- err
			}()
			synctest.Wait()
			other, err := wf.Start(t.Context(), l.client(), "other", workflow.RunID("r"))
			if err != nil {
				t.Fatal(err)
			}
			wantIs(l, <-answer, workflow.ErrRunExists)
			land()
			if got := mustResult(l, other); got != "other" {
				t.Errorf("result is %q", got)
			}
		})
	})
	for name, paused := range map[string]bool{"": false, " before its workflow is paused": true} {
		t.Run("of a run whose ID somebody else takes, and that this worker claims, meanwhile"+name, func(t *testing.T) {
			t.Parallel()
			inLab(t, func(t *testing.T, l *lab) {
				attempts := 0
				wf := chain(&attempts)
				p := newProbe(l.store)
				l.eng, l.stop = l.runOn(p, engine.Options{}, wf)
				birth := p.hold("Apply", held{})
				answer := make(chan error, 1)
				go func() {
					_, err := wf.Start(t.Context(), l.eng, "mine", workflow.RunID("r"))
					answer <- err
				}()
				<-birth.reached
				other, err := wf.Start(t.Context(), l.client(), "other", workflow.RunID("r"))
				if err != nil {
					t.Fatal(err)
				}
				l.advance(time.Minute) // the worker has claimed it
				if paused {
					if err := l.client().PauseWorkflow(t.Context(), "chain", workflow.PauseRequest{}); err != nil {
						t.Fatal(err)
					}
				}
				close(birth.goOn)
				wantIs(l, <-answer, workflow.ErrRunExists)
				l.advance(time.Minute)
				if err := l.client().ResumeWorkflow(t.Context(), "chain"); err != nil {
					t.Fatal(err)
				}
				l.advance(time.Second)
				wantStatus(l, other, workflow.StatusCompleted)
				if got := mustResult(l, other); got != "other" {
					t.Errorf("result is %q", got)
				}
			})
		})
	}
	t.Run("of a run whose workflow is paused meanwhile", func(t *testing.T) {
		t.Parallel()
		inLab(t, func(t *testing.T, l *lab) {
			wf := workflow.Define("short", func(_ workflow.Context, in string) (string, error) { return in, nil })
			p := newProbe(l.store)
			l.eng, l.stop = l.runOn(p, engine.Options{}, wf)
			if err := l.client().PauseWorkflow(t.Context(), "short", workflow.PauseRequest{}); err != nil {
				t.Fatal(err)
			}
			land := p.lose("Apply")
			r := mustStart(l, wf, "x")
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			if got, err := r.Result(ctx); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("result is %q, %v while the workflow is paused", got, err)
			}
			if info := wantStatus(l, r, workflow.StatusRunning); info.Paused == nil {
				t.Error("the run is not paused")
			}
			land()
			if err := l.eng.ResumeWorkflow(t.Context(), "short"); err != nil {
				t.Fatal(err)
			}
			if got := mustResult(l, r); got != "x" {
				t.Errorf("result is %q", got)
			}
		})
	})
}

// A claim whose answer is lost may be carried out after the next one has asked for what
// was lost. Its run goes on all the same.
func TestALateClaim(t *testing.T) {
	t.Parallel()
	inLab(t, func(t *testing.T, l *lab) {
		p := newProbe(l.store)
		wf := define("late")
		l.eng, l.stop = l.runOn(p, engine.Options{}, wf)
		land := p.lose("Claim")
		if err := l.store.Send(t.Context(), store.Message{RunID: "nobody"}); !errors.Is(err, store.ErrNotFound) {
			t.Fatal(err)
		}
		other, stopOther := l.runOn(newProbe(l.store), engine.Options{}, define("other"))
		defer func() { _ = stopOther() }()
		if _, err := define("other").Start(t.Context(), other, "x"); err != nil { // something has it claim
			t.Fatal(err)
		}
		l.advance(40 * time.Second) // the slow poll at the latest
		p.fail(func(op string) bool { return op == "Claim" })
		client := l.client()
		r, err := wf.Start(t.Context(), client, "x")
		if err != nil {
			t.Fatal(err)
		}
		land() // it is this worker's now, and the worker does not know
		p.fail(nil)
		l.advance(time.Minute)
		wantStatus(l, r, workflow.StatusCompleted)
	})
}

// A run that is blocked by a transition that comes late is not blocked once more after
// somebody has retried it.
func TestALateBlock(t *testing.T) {
	t.Parallel()
	inLab(t, func(t *testing.T, l *lab) {
		p := newProbe(l.store)
		wf := workflow.Define("w", func(ctx workflow.Context, _ string) (string, error) {
			w, err := workflow.NewWebhook(ctx) // without a PublicURL
			if err != nil {
				return "", err
			}
			w.Close()
			return "done", nil
		})
		l.eng, l.stop = l.runOn(p, engine.Options{}, wf)
		if err := l.store.Start(t.Context(), store.NewRun{ID: "r", Workflow: "w", Input: []byte(`""`), Secret: []byte("s")}); err != nil {
			t.Fatal(err)
		}
		r := workflow.Get[string](l.eng, "r")
		l.advance(time.Second)
		wantStatus(l, r, workflow.StatusBlocked)
		land := p.lose("Apply")
		if err := r.Retry(t.Context()); err != nil {
			t.Fatal(err)
		}
		l.advance(time.Second)
		wantStatus(l, r, workflow.StatusBlocked)
		if err := l.stop(); err != nil {
			t.Fatal(err)
		}
		l.eng, l.stop = l.runOn(newProbe(l.store), engine.Options{PublicURL: "https://example.com"}, wf)
		land()
		if got := mustResult(l, workflow.Get[string](l.eng, "r")); got != "done" {
			t.Errorf("result is %q", got)
		}
	})
}

// The answer to a worker's question for what it owns may be old. A run that has parked
// since goes on as it is.
func TestAnOldAnswerToAClaim(t *testing.T) {
	t.Parallel()
	inLab(t, func(t *testing.T, l *lab) {
		p := newProbe(l.store)
		goOn := make(chan struct{})
		wf := workflow.Define("w", func(ctx workflow.Context, token string) (string, error) {
			h, err := workflow.NewHook[string](ctx, workflow.Token(token))
			if err != nil {
				return "", err
			}
			for range 3 {
				if _, err := h.Wait(ctx); err != nil {
					return "", err
				}
			}
			if err := workflow.Do(ctx, "work", func(context.Context) error { <-goOn; return nil }); err != nil {
				return "", err
			}
			return h.Wait(ctx)
		})
		l.eng, l.stop = l.runOn(p, engine.Options{}, wf)
		r := mustStart(l, wf, "t")
		for range 3 {
			l.resume("t", "x")
		}
		old := p.hold("Claim", held{early: true})
		l.advance(40 * time.Second) // with the slow poll
		<-old.reached
		close(goOn) // the step ends, the run parks
		synctest.Wait()
		close(old.goOn)
		synctest.Wait()
		l.resume("t", "end")
		if got := mustResult(l, r); got != "end" {
			t.Errorf("result is %q", got)
		}
		loaded, err := l.store.Load(t.Context(), r.ID(), 0)
		if err != nil {
			t.Fatal(err)
		}
		events := loaded.Events
		for i := 1; i < len(events); i++ {
			if events[i].Epoch == events[i-1].Epoch && events[i].Seq < events[i-1].Seq {
				t.Errorf("event %d of transition %d.%d comes after %d.%d",
					i+1, events[i].Epoch, events[i].Seq, events[i-1].Epoch, events[i-1].Seq)
			}
		}
	})
}
