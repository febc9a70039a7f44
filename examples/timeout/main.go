// Command timeout has a workflow that waits for a decision until a deadline, then
// escalates and goes on waiting. The deadline survives crashes and counts downtime; a
// hook whose wait timed out stays open, so the late answer still arrives.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"time"

	"github.com/tenter-dev/tenter/engine"
	"github.com/tenter-dev/tenter/examples/internal/demo"
	"github.com/tenter-dev/tenter/workflow"
)

// Approval waits for a decision about a document.
var Approval = workflow.Declare[Request, string]("approval")

// Request is its input. The patience is in it and not in a variable, so that a run
// has the same one after a restart with other flags.
type Request struct {
	Document string        `json:"document"`
	Patience time.Duration `json:"patience"`
}

func token(document string) string { return "approval:" + document }

// office is where people are told things.
type office struct {
	told chan string // by "ask document" or "escalate document"
}

func (o *office) tell(ctx workflow.Context, what, document string) error {
	return workflow.Do(ctx, what, func(ctx context.Context) error {
		fmt.Println(document+":", what)
		select {
		case o.told <- what + " " + document:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	})
}

func (o *office) approval(ctx workflow.Context, req Request) (string, error) {
	hook, err := workflow.NewHook[string](ctx, workflow.Token(token(req.Document)))
	if err != nil {
		return "", err
	}
	defer hook.Close()
	if err := o.tell(ctx, "ask", req.Document); err != nil {
		return "", err
	}

	patient, cancel := workflow.WithTimeout(ctx, req.Patience)
	defer cancel()
	decision, err := hook.Wait(patient)
	if !errors.Is(err, context.DeadlineExceeded) {
		return decision, err
	}

	if err := o.tell(ctx, "escalate", req.Document); err != nil {
		return "", err
	}
	decision, err = hook.Wait(ctx)
	return decision + ", late", err
}

func main() {
	patience := flag.Duration("patience", time.Second, "how long to wait for a decision; in an office it would be 24h")
	o := &office{told: make(chan string)}
	opts := engine.Options{Workflows: []workflow.Definition{Approval.Implement(o.approval)}}
	demo.Main(opts, func(ctx context.Context, eng *engine.Engine) error {
		// The contract is decided when somebody is asked, the budget when it escalates.
		if err := play(ctx, eng, o, Request{"contract", time.Hour}, "ask contract"); err != nil {
			return err
		}
		return play(ctx, eng, o, Request{"budget", *patience}, "escalate budget")
	})
}

// play starts a run and approves when it has said something.
func play(ctx context.Context, eng *engine.Engine, o *office, req Request, cue string) error {
	run, err := Approval.Start(ctx, eng, req)
	if err != nil {
		return err
	}
	for said := ""; said != cue; {
		select {
		case said = <-o.told:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	if _, err := workflow.Resume(ctx, eng, token(req.Document), "approved"); err != nil {
		return err
	}
	result, err := run.Result(ctx)
	if err != nil {
		return err
	}
	fmt.Printf("%s: %s\n", req.Document, result)
	return nil
}
