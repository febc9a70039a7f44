// Command collect sends values to a run, which returns all of them in the end. Kill
// it half-way (with -db, so that the database stays) and start it again: it sends all
// values again, because it can't know which ones arrived, and each counts once.
package main

import (
	"context"
	"flag"
	"fmt"
	"time"

	"github.com/tenter-dev/tenter/engine"
	"github.com/tenter-dev/tenter/examples/internal/demo"
	"github.com/tenter-dev/tenter/workflow"
)

// Collect returns the values that are sent to its hook. Its input is the token.
var Collect = workflow.Define("collect", collect)

// Value is one of them.
type Value struct {
	Value int  `json:"value"`
	Done  bool `json:"done"` // it is the last one
}

func collect(ctx workflow.Context, token string) ([]int, error) {
	hook, err := workflow.NewHook[Value](ctx, workflow.Token(token))
	if err != nil {
		return nil, err
	}
	defer hook.Close()

	var values []int
	for v, err := range hook.All(ctx) {
		if err != nil {
			return nil, err
		}
		values = append(values, v.Value)
		if v.Done {
			break
		}
	}
	return values, nil
}

func main() {
	count := flag.Int("values", 10, "how many to send")
	pause := flag.Duration("pause", 100*time.Millisecond, "between two values")
	opts := engine.Options{Workflows: []workflow.Definition{Collect}}
	demo.Main(opts, func(ctx context.Context, eng *engine.Engine) error {
		return send(ctx, eng, *count, *pause)
	})
}

func send(ctx context.Context, eng *engine.Engine, count int, pause time.Duration) error {
	const token = "measurements"
	var runID string
	for i := range count {
		info, err := workflow.Resume(ctx, eng, token, Value{Value: i, Done: i == count-1},
			workflow.IdempotencyKey(fmt.Sprint("value ", i)), workflow.OrStart(Collect, token))
		if err != nil {
			return err
		}
		runID = info.RunID
		if info.Duplicate {
			fmt.Printf("%d had arrived\n", i)
			continue
		}
		fmt.Printf("%d sent\n", i)
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	values, err := Collect.Get(eng, runID).Result(ctx)
	if err != nil {
		return err
	}
	fmt.Println("collected", values)
	return nil
}
