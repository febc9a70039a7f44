package engine_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/tenter-dev/tenter/engine"
	"github.com/tenter-dev/tenter/workflow"
)

// What can't be stored is refused where it is handed over, and says what it is.
func TestNotSerializable(t *testing.T) {
	t.Parallel()
	inLab(t, func(t *testing.T, l *lab) {
		attempts := 0
		steps := workflow.Define("steps", func(ctx workflow.Context, _ string) (string, error) {
			_, err := workflow.Step(ctx, "channel", func(context.Context) (chan int, error) {
				attempts++
				return make(chan int), nil
			})
			return "", err
		})
		results := workflow.Define("results", func(workflow.Context, string) (func(), error) { return func() {}, nil })
		inputs := workflow.Define("inputs", func(workflow.Context, chan int) (string, error) { return "", nil })
		parent := workflow.Define("parent", func(ctx workflow.Context, _ string) (string, error) {
			return inputs.Call(ctx, make(chan int))
		})
		metadata := workflow.Define("metadata", func(ctx workflow.Context, _ string) (string, error) {
			_, err := workflow.NewHook[string](ctx, workflow.Metadata(make(chan int)))
			return "", err
		})
		waiting := workflow.Define("waiting", func(ctx workflow.Context, _ string) (string, error) {
			hook, err := workflow.NewHook[string](ctx, workflow.Token("waiting"))
			if err != nil {
				return "", err
			}
			return hook.Wait(ctx)
		})
		l.run(engine.Options{}, steps, results, inputs, parent, metadata, waiting)

		err := mustFail(l, mustStart(l, steps, ""))
		wantContains(l, err.Error(), "channel#1", "encode result", "chan int")
		if attempts != 1 {
			t.Errorf("%d attempts, want 1: no other one can help", attempts)
		}
		r := mustStart(l, results, "")
		_, err = resultSoon(l, r)
		wantContains(l, err.Error(), "encode result", "func()")
		wantStatus(l, r, workflow.StatusFailed)
		_, err = inputs.Start(t.Context(), l.eng, nil)
		if err == nil || !strings.Contains(err.Error(), "encode input") {
			t.Errorf("input: %v", err)
		}
		wantContains(l, mustFail(l, mustStart(l, parent, "")).Error(), "inputs", "encode input", "chan int")
		wantContains(l, mustFail(l, mustStart(l, metadata, "")).Error(), "encode metadata", "chan int")

		waiter := mustStart(l, waiting, "")
		_, err = workflow.Resume(t.Context(), l.eng, "waiting", make(chan int))
		if err == nil || !strings.Contains(err.Error(), "encode payload") {
			t.Errorf("payload: %v", err)
		}
		_, err = workflow.Resume(t.Context(), l.eng, "waiting", func() {})
		if err == nil || !strings.Contains(err.Error(), "encode payload") {
			t.Errorf("payload: %v", err)
		}
		l.resume("waiting", "fine")
		if got := mustResult(l, waiter); got != "fine" {
			t.Errorf("result is %q", got)
		}
	})
}

// An input that does not decode, and was sent by a client that could not know, fails its run, with a
// message.
func TestUnreadableInput(t *testing.T) {
	t.Parallel()
	inLab(t, func(t *testing.T, l *lab) {
		l.run(engine.Options{}, define("a"))
		r := mustStartOn(l, l.client(), workflow.Declare[int, string]("a"), 7)
		wantContains(l, mustFail(l, r).Error(), "decode input", "number")
	})
}

func TestMaxPayload(t *testing.T) {
	t.Parallel()
	inLab(t, func(t *testing.T, l *lab) {
		const limit = 1000
		fits, large := strings.Repeat("x", limit-2), strings.Repeat("x", limit-1) // with two quotes
		attempts := 0
		steps := workflow.Define("steps", func(ctx workflow.Context, n int) (string, error) {
			s, err := workflow.Step(ctx, "make", func(context.Context) (string, error) {
				attempts++
				return strings.Repeat("x", n), nil
			})
			if errors.Is(err, workflow.ErrPayloadTooLarge) {
				return "refused", nil
			}
			return s, err
		})
		echo := define("echo")
		results := workflow.Define("results", func(_ workflow.Context, n int) (string, error) { return strings.Repeat("x", n), nil })
		parent := workflow.Define("parent", func(ctx workflow.Context, n int) (string, error) {
			s, err := echo.Call(ctx, strings.Repeat("x", n))
			if _, began := errors.AsType[*workflow.RunError](err); !began && errors.Is(err, workflow.ErrPayloadTooLarge) {
				return "refused", nil
			}
			return s, err
		})
		metadata := workflow.Define("metadata", func(ctx workflow.Context, n int) (string, error) {
			_, err := workflow.NewHook[string](ctx, workflow.Metadata(strings.Repeat("x", n)))
			if errors.Is(err, workflow.ErrPayloadTooLarge) {
				return "refused", nil
			}
			return "", err
		})
		waiting := workflow.Define("waiting", func(ctx workflow.Context, _ string) (string, error) {
			hook, err := workflow.NewHook[string](ctx, workflow.Token("waiting"))
			if err != nil {
				return "", err
			}
			return hook.Wait(ctx)
		})
		l.run(engine.Options{MaxPayload: limit}, steps, echo, results, parent, metadata, waiting)

		_, err := echo.Start(t.Context(), l.eng, large)
		wantIs(l, err, workflow.ErrPayloadTooLarge)
		wantContains(l, err.Error(), "1001", "1000")
		if got := mustResult(l, mustStart(l, echo, fits)); got != fits {
			t.Errorf("result has %d bytes", len(got))
		}
		for _, wf := range []*workflow.Workflow[int, string]{steps, parent, metadata} {
			if got := mustResult(l, mustStart(l, wf, limit-1)); got != "refused" {
				t.Errorf("%s: result has %d bytes, want it refused", wf.Name(), len(got))
			}
			if got := mustResult(l, mustStart(l, wf, limit-2)); got == "refused" {
				t.Errorf("%s: what fits is refused", wf.Name())
			}
		}
		if attempts != 2 {
			t.Errorf("%d attempts of two steps: a large result does not get smaller", attempts)
		}
		r := mustStart(l, results, limit-1)
		wantIs(l, mustFail(l, r), workflow.ErrPayloadTooLarge)
		wantStatus(l, r, workflow.StatusFailed)
		if got := mustResult(l, mustStart(l, results, limit-2)); len(got) != limit-2 {
			t.Errorf("result has %d bytes", len(got))
		}

		waiter := mustStart(l, waiting, "")
		_, err = workflow.Resume(t.Context(), l.eng, "waiting", large)
		wantIs(l, err, workflow.ErrPayloadTooLarge)
		_, err = workflow.Resume(t.Context(), l.eng, "nobody", "", workflow.OrStart(echo, large))
		wantIs(l, err, workflow.ErrPayloadTooLarge)
		l.resume("waiting", fits)
		if got := mustResult(l, waiter); got != fits {
			t.Errorf("result has %d bytes", len(got))
		}
	})
}

func TestNames(t *testing.T) {
	t.Parallel()
	inLab(t, func(t *testing.T, l *lab) {
		wf := workflow.Define("names", func(ctx workflow.Context, name string) (string, error) {
			s, err := workflow.Step(ctx, name, func(context.Context) (string, error) { return name, nil })
			if err == nil {
				return s, nil
			}
			if err := workflow.Sleep(ctx, time.Minute); err != nil { // the refused call leaves no trace
				return "", err
			}
			return "refused: " + err.Error(), nil
		})
		l.run(engine.Options{CacheSize: noCache}, wf)
		for _, name := range []string{"", "a\nb", "a\x00", "a\tb", "\x7f", strings.Repeat("n", 513)} {
			if got := mustResult(l, mustStart(l, wf, name)); !strings.Contains(got, "refused: step name") {
				t.Errorf("step %q: %q", name, got)
			}
		}
		for _, name := range []string{"a b", "a#1", "a/b", "größe", "日本", strings.Repeat("n", 512)} {
			if got := mustResult(l, mustStart(l, wf, name)); got != name {
				t.Errorf("step %q: %q", name, got)
			}
		}
		for _, id := range []string{"a\nb", "a\x00", "\xff", strings.Repeat("x", 513)} {
			if _, err := wf.Start(t.Context(), l.eng, "", workflow.RunID(id)); err == nil || !strings.Contains(err.Error(), "run ID") {
				t.Errorf("run ID %q: %v", id, err)
			}
		}
		for _, id := range []string{"order-42", "a b", "a/b/c", "größe", strings.Repeat("x", 512)} {
			if got := mustResult(l, mustStart(l, wf, "ok", workflow.RunID(id))); got != "ok" {
				t.Errorf("run ID %q: %q", id, got)
			}
		}
	})
}

// Child runs follow the same rules as runs.
func TestChildNames(t *testing.T) {
	t.Parallel()
	inLab(t, func(t *testing.T, l *lab) {
		child := define("child")
		wf := workflow.Define("parent", func(ctx workflow.Context, id string) (string, error) {
			return child.Call(ctx, "in", workflow.RunID(id))
		})
		l.run(engine.Options{}, wf, child)
		for _, id := range []string{"a\nb", strings.Repeat("x", 513)} {
			wantContains(l, mustFail(l, mustStart(l, wf, id)).Error(), "run ID")
		}
		if got := mustResult(l, mustStart(l, wf, "child-1")); got != "in" {
			t.Errorf("result is %q", got)
		}
	})
}
