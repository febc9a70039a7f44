package main

import (
	"context"
	"time"

	"github.com/tenter-dev/tenter/internal/run"
	"github.com/tenter-dev/tenter/workflow"
)

type hooksCallCmd struct {
	Token string        `arg:"" help:"Token of the call."`
	Input string        `arg:"" help:"Input as JSON, @FILE, or - for standard input."`
	Key   string        `placeholder:"KEY" help:"Idempotency key: the same key gets the same answer again, so that this is safe to repeat."`
	Wait  time.Duration `default:"1m" placeholder:"TIME" help:"How long to wait for the answer (${default})."`
}

func (c *hooksCallCmd) Help() string {
	return `Sends a request to a run that takes calls, waits for its answer, and prints that as JSON. If no hook has the token nothing is written, and the exit code is 3.

  tenter hooks call quote:order-7 '{"amount": 3}'
  tenter hooks call quote:order-7 @request.json --key request-1 --wait 10m

If the run refuses the request, or it does not fit, the exit code is 4. If there is no answer in time it is 1: the run has the request, and with --key the same command gets the answer later.

With --json it is one object: request, run_id, output or error; duplicate says that the key was known, so that this is the answer to the first request.`
}

func (c *hooksCallCmd) Run(a *app) error {
	input, err := a.payload("input", c.Input)
	if err != nil {
		return err
	}
	cl, err := a.client()
	if err != nil {
		return err
	}
	req := workflow.CallRequest{Token: c.Token, Input: input, IdempotencyKey: c.Key}
	ctx, cancel := context.WithTimeout(a.ctx, c.Wait)
	defer cancel()
	answer, err := cl.CallHook(ctx, req)
	switch {
	case err != nil:
		return err
	case a.cli.JSON:
		err = a.out.json(answer)
	case answer.Error == nil:
		a.out.printf("%s\n", pretty(answer.Output))
	}
	if err == nil && answer.Error != nil {
		return &workflow.RefusedError{Token: c.Token, RunID: answer.RunID, Err: run.DecodeError(answer.Error)}
	}
	return err
}
