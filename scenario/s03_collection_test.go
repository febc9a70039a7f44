package scenario_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tenter-dev/tenter/workflow"
)

// S3: values come in until one says done; the run returns them all.

type reading struct {
	Value int  `json:"value"`
	Done  bool `json:"done,omitempty"`
}

var collection = workflow.Define("collection", collect)

func collect(ctx workflow.Context, sensor string) ([]int, error) {
	hook, err := workflow.NewHook[reading](ctx, workflow.Token("readings:"+sensor))
	if err != nil {
		return nil, err
	}
	defer hook.Close()
	var values []int
	for r, err := range hook.All(ctx) {
		if err != nil {
			return values, err
		}
		if r.Done {
			break
		}
		values = append(values, r.Value)
	}
	return values, nil
}

func TestS03Collection(t *testing.T) {
	t.Parallel()
	everywhere(t, func(w *world) {
		w.boot(collection)
		run := start(w, collection, "collection", "s1")
		for v := range 6 {
			w.send("readings:s1", reading{Value: v})
			if v%2 == 1 {
				w.advance(time.Hour)
			}
		}
		w.send("readings:s1", reading{Done: true})
		got, err := result(w, run)
		if err != nil {
			w.t.Fatal(err)
		}
		if diff := cmp.Diff([]int{0, 1, 2, 3, 4, 5}, got); diff != "" {
			w.t.Errorf("values (-sent +returned):\n%s", diff)
		}
	})
}

// TestS03Killed kills a real process 50 times at random moments while values come in.
// Even ones are sent again until they are acknowledged, under a key; odd ones are sent
// once, without.
func TestS03Killed(t *testing.T) {
	t.Parallel()
	onEachStore(t, collectionKilled)
}

func collectionKilled(t *testing.T, db *database) {
	t.Helper()
	s := newService(t, db, shortLease)
	s.start("collection", "run", "s1")
	s.token("run")
	killed, heardOf := make(chan struct{}), make(chan struct{}, 1)
	go func() {
		defer close(killed)
		run, events := workflow.Get[[]int](s.api, "run"), int64(0)
		for range 50 {
			<-heardOf                      // it is up, and at work
			for t.Context().Err() == nil { // a run that dies three times before it gets on is blocked
				info, err := run.Info(t.Context())
				if err == nil && info.Events > events {
					events = info.Events
					break
				}
				<-time.After(5 * time.Millisecond)
			}
			<-time.After(rand.N(20 * time.Millisecond))
			s.kill()
		}
	}()
	var acknowledged, unheard []int
	for v, done := 0, false; !done; v++ {
		select {
		case <-killed:
			done = true
		default:
		}
		var info workflow.HookInfo
		args := workflow.ResumeRequest{Token: "readings:s1", Payload: encode(t, reading{Value: v})}
		if v%2 == 1 {
			heard, err := s.try("Resume", args, &info)
			if !heard {
				unheard = append(unheard, v)
				continue
			}
			if err != nil {
				t.Fatal(err)
			}
		} else {
			args.IdempotencyKey = fmt.Sprint(v)
			if err := s.call("Resume", args, &info); err != nil {
				t.Fatal(err)
			}
		}
		acknowledged = append(acknowledged, v)
		select {
		case heardOf <- struct{}{}:
		default:
		}
	}
	var info workflow.HookInfo
	if err := s.call("Resume", workflow.ResumeRequest{Token: "readings:s1", IdempotencyKey: "done", Payload: encode(t, reading{Done: true})}, &info); err != nil {
		t.Fatal(err)
	}
	got, err := workflow.Get[[]int](s.api, "run").Result(within(t))
	if err != nil {
		t.Fatal(err)
	}
	if !slices.IsSorted(got) || len(slices.Compact(slices.Clone(got))) != len(got) {
		t.Errorf("values are out of order or doubled: %v", got)
	}
	certain := slices.DeleteFunc(got, func(v int) bool { return slices.Contains(unheard, v) })
	if diff := cmp.Diff(acknowledged, certain); diff != "" {
		t.Errorf("values (-acknowledged +returned):\n%s", diff)
	}
	t.Logf("%d processes died, %d values were acknowledged, %d not", s.died(), len(acknowledged), len(unheard))
	s.close()
	checkRuns(t, db.st, processWorkflows())
}
