package scenario_test

import (
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
