// Command legs races hooks against timers, in loops: a new hook in each iteration,
// one hook outside the loop, and three hooks together.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"strings"
	"time"

	"github.com/tenter-dev/tenter/engine"
	"github.com/tenter-dev/tenter/examples/internal/demo"
	"github.com/tenter-dev/tenter/workflow"
)

func main() {
	patience := flag.Duration("patience", time.Second, "how long a leg waits for news; in real life it would be 2h")
	round := flag.Duration("round", 50*time.Millisecond, "how long a round of the patrol is")
	o := &office{open: make(chan string)}
	opts := engine.Options{Workflows: []workflow.Definition{
		Trip.Implement(o.trip),
		Patrol.Implement(o.patrol),
		Checklist.Implement(o.checklist),
	}}
	demo.Main(opts, func(ctx context.Context, eng *engine.Engine) error {
		p := &player{eng, o}
		return errors.Join(
			p.trip(ctx, *patience),
			p.patrol(ctx, *round),
			p.checklist(ctx, time.Hour, 3),
			p.checklist(ctx, *patience, 2),
		)
	})
}

// player is the world outside.
type player struct {
	eng    *engine.Engine
	office *office
}

// trip sends news on the first and the last leg.
func (p *player) trip(ctx context.Context, patience time.Duration) error {
	run, err := Trip.Start(ctx, p.eng, patience)
	if err != nil {
		return err
	}
	for leg := range 3 {
		token, err := p.told(ctx)
		if err != nil {
			return err
		}
		fmt.Println("trip: open is", strings.Replace(token, run.ID(), "{id}", 1))
		if leg == 1 {
			continue
		}
		if _, err := workflow.Resume(ctx, p.eng, token, "all is well"); err != nil {
			return err
		}
	}
	if err := show(ctx, "trip", run); err != nil {
		return err
	}
	// The hook of a leg is gone when the leg is over.
	if _, err = workflow.Resume(ctx, p.eng, "run:"+run.ID()+":1", "late news"); !errors.Is(err, workflow.ErrHookNotFound) {
		return fmt.Errorf("late news found a hook: %w", err)
	}
	return nil
}

// patrol sends news at odd moments. All of it arrives, in order.
func (p *player) patrol(ctx context.Context, round time.Duration) error {
	run, err := Patrol.Start(ctx, p.eng, round)
	if err != nil {
		return err
	}
	token, err := p.told(ctx)
	if err != nil {
		return err
	}
	for i := range 5 {
		time.Sleep(time.Duration(i) * round / 2)
		if _, err := workflow.Resume(ctx, p.eng, token, fmt.Sprintf("news %d", i)); err != nil {
			return err
		}
	}
	return show(ctx, "patrol", run)
}

// checklist answers some of the three.
func (p *player) checklist(ctx context.Context, patience time.Duration, answers int) error {
	run, err := Checklist.Start(ctx, p.eng, patience)
	if err != nil {
		return err
	}
	for i, answer := range []string{"doors", "lights", "brakes"} {
		token, err := p.told(ctx)
		if err != nil {
			return err
		}
		if i < answers {
			if _, err := workflow.Resume(ctx, p.eng, token, answer); err != nil {
				return err
			}
		}
	}
	return show(ctx, "checklist", run)
}

// told returns the token that a run has told next.
func (p *player) told(ctx context.Context) (string, error) {
	select {
	case token := <-p.office.open:
		return token, nil
	case <-ctx.Done():
		return "", ctx.Err()
	}
}

func show(ctx context.Context, name string, run *workflow.Run[[]string]) error {
	log, err := run.Result(ctx)
	if err != nil {
		return err
	}
	fmt.Printf("%s: %s\n", name, strings.Join(log, ", "))
	return nil
}
