package scenario_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/tenter-dev/tenter/workflow"
)

// S21: one hook per iteration, raced against a timer; one hook outside the loop,
// raced in every iteration; three hooks awaited together against a timer.

var (
	journey  = workflow.Define("journey", travel)
	patience = workflow.Define("patience", wait)
	meeting  = workflow.Define("meeting", meet)
)

// travel has a hook for each leg, for two hours.
func travel(ctx workflow.Context, legs int) (string, error) {
	var log []string
	for leg := range legs {
		said, err := travelLeg(ctx, leg)
		if err != nil {
			return "", err
		}
		log = append(log, said)
	}
	return strings.Join(log, ","), nil
}

func travelLeg(ctx workflow.Context, leg int) (said string, err error) {
	hook, err := workflow.NewHook[string](ctx, workflow.Token(fmt.Sprintf("run:%s:%d", workflow.InfoOf(ctx).RunID, leg)))
	if err != nil {
		return "", err
	}
	defer hook.Close()
	err = workflow.Select(
		ctx,
		workflow.OnPayload(hook, func(s string) error { said = s; return nil }),
		workflow.OnTimer(2*time.Hour, func() error { said = "-"; return nil }),
	)
	return said, err
}

func TestS21HookPerIteration(t *testing.T) {
	t.Parallel()
	everywhere(t, func(w *world) {
		w.boot(journey)
		run := start(w, journey, "j", 3)
		gone := func(token string) {
			w.t.Helper()
			if _, err := w.resume(token, "too late for "+token); !errors.Is(err, workflow.ErrHookNotFound) {
				w.t.Errorf("resume of %s: %v, want ErrHookNotFound", token, err)
			}
		}
		w.advance(time.Hour)
		w.send(w.token(run.ID()), "first") // resumable from outside while it is parked there
		w.idle()
		gone("run:j:0")
		if token := w.token(run.ID()); token != "run:j:1" {
			w.t.Errorf("the run is parked on %s", token)
		}
		w.advance(2*time.Hour + time.Minute)
		gone("run:j:1")
		w.send("run:j:2", "third")
		want(w, run, "first,-,third")
		gone("run:j:2")
	})
}

// wait loses patience every minute, and goes on with the same hook.
func wait(ctx workflow.Context, _ struct{}) (string, error) {
	hook, err := workflow.NewHook[string](ctx, workflow.Token("patience"))
	if err != nil {
		return "", err
	}
	defer hook.Close()
	var log []string
	for said := ""; said != "done"; {
		minute, cancel := workflow.WithTimeout(ctx, time.Minute)
		said, err = hook.Wait(minute)
		cancel()
		if errors.Is(err, workflow.ErrHookClosed) {
			return "", err
		}
		if err == nil {
			log = append(log, said)
		}
	}
	return strings.Join(log, ","), nil
}

func TestS21HookOutsideTheLoop(t *testing.T) {
	t.Parallel()
	everywhere(t, func(w *world) {
		w.boot(patience)
		run := start(w, patience, "p", struct{}{})
		w.send("patience", "one")
		w.advance(2*time.Minute + 30*time.Second) // two waits lose their race
		w.send("patience", "two")
		w.send("patience", "three")
		w.advance(time.Minute + 30*time.Second)
		w.send("patience", "done")
		want(w, run, "one,two,three,done")
	})
}

// meet waits for three at once, until nobody has come for ten minutes.
func meet(ctx workflow.Context, _ struct{}) (string, error) {
	hooks, err := open(ctx, "a", "b", "c")
	if err != nil {
		return "", err
	}
	var came []string
	alone := false
	come := func(name string) error { came = append(came, name); return nil }
	for !alone {
		err := workflow.Select(
			ctx,
			workflow.OnPayload(hooks[0], come), workflow.OnPayload(hooks[1], come), workflow.OnPayload(hooks[2], come),
			workflow.OnTimer(10*time.Minute, func() error { alone = true; return nil }),
		)
		if err != nil {
			return "", err
		}
	}
	return strings.Join(came, ","), nil
}

func TestS21ThreeHooksAndATimer(t *testing.T) {
	t.Parallel()
	everywhere(t, func(w *world) {
		w.boot(meeting)
		run := start(w, meeting, "m", struct{}{})
		w.send("m:b", "b1")
		w.advance(9 * time.Minute)
		w.send("m:c", "c1")
		w.idle()
		w.send("m:b", "b2")
		w.advance(9 * time.Minute)
		w.send("m:a", "a1")
		w.advance(9 * time.Minute)
		w.status(run.ID(), workflow.StatusWaiting)
		w.advance(2 * time.Minute)
		want(w, run, "b1,c1,b2,a1")
	})
}
