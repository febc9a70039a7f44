// Command conflict has one run for each customer's troubles. A second run that wants
// the same token learns at once which run has it, and hands its message over. When
// the owner ends, the token is free.
package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/tenter-dev/tenter/engine"
	"github.com/tenter-dev/tenter/examples/internal/demo"
	"github.com/tenter-dev/tenter/workflow"
)

// Ticket collects what a customer says until the trouble is solved.
var Ticket = workflow.Declare[Message, string]("ticket")

// Message is what a customer says.
type Message struct {
	Customer string `json:"customer"`
	Text     string `json:"text"`
}

type desk struct{ opened chan struct{} }

func (d *desk) ticket(ctx workflow.Context, msg Message) (string, error) {
	hook, err := workflow.NewHook[Message](ctx, workflow.Token("ticket:"+msg.Customer))
	if conflict, ok := errors.AsType[*workflow.HookConflictError](err); ok {
		return "went to run " + conflict.RunID, handOver(ctx, conflict, msg)
	}
	if err != nil {
		return "", err
	}
	defer hook.Close()
	err = workflow.Do(ctx, "open", func(ctx context.Context) error {
		select {
		case d.opened <- struct{}{}:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	})
	if err != nil {
		return "", err
	}

	all := []string{msg.Text}
	for msg, err := range hook.All(ctx) {
		if err != nil {
			return "", err
		}
		all = append(all, msg.Text)
		if msg.Text == "solved" {
			break
		}
	}
	return strings.Join(all, ", "), nil
}

// handOver sends a message to the run that has the token. It is a step, because it
// changes another run; the step's ID makes its repetition harmless.
func handOver(ctx workflow.Context, to *workflow.HookConflictError, msg Message) error {
	return workflow.Do(ctx, "hand over", func(ctx context.Context) error {
		key := workflow.IdempotencyKey(workflow.InfoOf(ctx).StepID)
		_, err := workflow.Resume(ctx, workflow.ClientFrom(ctx), to.Token, msg, key)
		return err
	})
}

func main() {
	d := &desk{opened: make(chan struct{})}
	opts := engine.Options{Workflows: []workflow.Definition{Ticket.Implement(d.ticket)}}
	demo.Main(opts, func(ctx context.Context, eng *engine.Engine) error {
		for _, texts := range [][]string{
			{"the printer smokes", "it burns", "solved"},
			{"the new printer is lonely", "solved"},
		} {
			if err := play(ctx, eng, d, texts); err != nil {
				return err
			}
		}
		return nil
	})
}

// play starts a run for each message. The first one opens the ticket.
func play(ctx context.Context, eng *engine.Engine, d *desk, texts []string) error {
	var owner *workflow.Run[string]
	for _, text := range texts {
		run, err := Ticket.Start(ctx, eng, Message{Customer: "Ada", Text: text})
		if err != nil {
			return err
		}
		if owner == nil {
			owner = run
			select {
			case <-d.opened:
			case <-ctx.Done():
				return ctx.Err()
			}
			fmt.Printf("run %s, %q: has the token\n", run.ID(), text)
			continue
		}
		result, err := run.Result(ctx)
		if err != nil {
			return err
		}
		fmt.Printf("run %s, %q: %s\n", run.ID(), text, result)
	}
	result, err := owner.Result(ctx)
	if err != nil {
		return err
	}
	fmt.Printf("run %s has ended: %s\n\n", owner.ID(), result)
	return nil
}
