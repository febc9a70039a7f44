package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/tenter-dev/tenter/workflow"
)

// The three ways in which hooks and timers meet in a loop. Their input is how long
// they wait.
var (
	Trip      = workflow.Declare[time.Duration, []string]("trip")
	Patrol    = workflow.Declare[time.Duration, []string]("patrol")
	Checklist = workflow.Declare[time.Duration, []string]("checklist")
)

// office is where people are told which tokens are open.
type office struct {
	open chan string
}

func (o *office) tell(ctx workflow.Context, token string) error {
	return workflow.Do(ctx, "tell", func(ctx context.Context) error {
		select {
		case o.open <- token:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	})
}

// trip opens one hook for each leg, raced against a timer, and closes it after the
// leg.
func (o *office) trip(ctx workflow.Context, patience time.Duration) ([]string, error) {
	var log []string
	for leg := range 3 {
		hook, err := workflow.NewHook[string](ctx, workflow.Token(fmt.Sprintf("run:%s:%d", workflow.InfoOf(ctx).RunID, leg)))
		if err != nil {
			return log, err
		}
		if err := o.tell(ctx, hook.Token()); err != nil {
			return log, err
		}
		err = workflow.Select(ctx,
			workflow.OnPayload(hook, func(news string) error {
				log = append(log, fmt.Sprintf("leg %d: %s", leg, news))
				return nil
			}),
			workflow.OnTimer(patience, func() error {
				log = append(log, fmt.Sprintf("leg %d: no news", leg))
				return nil
			}))
		if err != nil {
			return log, err
		}
		hook.Close()
	}
	return log, nil
}

// patrol has one hook outside the loop, raced against a short timer in each round. A
// round that the timer wins takes no payload with it.
func (o *office) patrol(ctx workflow.Context, round time.Duration) ([]string, error) {
	hook, err := workflow.NewHook[string](ctx)
	if err != nil {
		return nil, err
	}
	defer hook.Close()
	if err := o.tell(ctx, hook.Token()); err != nil {
		return nil, err
	}
	var log []string
	quiet := 0
	for len(log) < 5 {
		err := workflow.Select(ctx,
			workflow.OnPayload(hook, func(news string) error {
				log = append(log, news)
				return nil
			}),
			workflow.OnTimer(round, func() error {
				quiet++
				return nil
			}))
		if err != nil {
			return log, err
		}
	}
	return append(log, fmt.Sprintf("quiet rounds: %t", quiet > 0)), nil
}

// checklist needs three answers, all within the time.
func (o *office) checklist(ctx workflow.Context, patience time.Duration) ([]string, error) {
	var waits []func(workflow.Context) (string, error)
	for range 3 {
		hook, err := workflow.NewHook[string](ctx)
		if err != nil {
			return nil, err
		}
		defer hook.Close()
		if err := o.tell(ctx, hook.Token()); err != nil {
			return nil, err
		}
		waits = append(waits, hook.Wait)
	}
	inTime, cancel := workflow.WithTimeout(ctx, patience)
	defer cancel()
	answers, err := workflow.All(inTime, waits...)
	if errors.Is(err, context.DeadlineExceeded) {
		return []string{"not all answered in time"}, nil
	}
	return answers, err
}
