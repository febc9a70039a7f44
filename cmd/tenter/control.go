package main

import (
	"bufio"
	"errors"
	"fmt"
	"strings"

	"github.com/tenter-dev/tenter/inspect"
	"github.com/tenter-dev/tenter/workflow"
)

// errDeclined says that somebody thought better of it.
var errDeclined = errors.New("nothing was changed")

type runsStartCmd struct {
	Workflow string `arg:"" help:"Name of the workflow."`
	Input    string `arg:"" optional:"" default:"null" help:"Input as JSON, @FILE, or - for standard input. Default: null."`
	ID       string `name:"id" placeholder:"ID" help:"ID of the run, so that it is started once however often this is repeated. Default: a new one."`
	Version  int    `placeholder:"N" help:"Version of the workflow. Default: the highest that the worker which begins it has."`
	Watch    bool   `help:"Follow it until it ends, as \"tenter runs watch\" does."`
}

func (c *runsStartCmd) Help() string {
	return `Starts a run and prints its ID. A worker that has the workflow begins it; tenter does not look whether there is one.

  tenter runs start approve '"doc-7"' --id doc-7
  tenter runs start order @order.json --watch
  jq .order big.json | tenter runs start order -

If --id is taken by an earlier run it is refused with exit code 4, and so is an input
that does not fit, by a server that has the workflow. On a database the code is elsewhere
and nothing is checked: the run fails.`
}

func (c *runsStartCmd) Run(a *app) error {
	input, err := a.payload("input", c.Input)
	if err != nil {
		return err
	}
	cl, err := a.client()
	if err != nil {
		return err
	}
	id, err := cl.StartRun(a.ctx, workflow.StartRequest{Workflow: c.Workflow, Version: c.Version, RunID: c.ID, Input: input})
	if err != nil {
		return err
	}
	if a.cli.JSON {
		err = a.out.json(map[string]string{"id": id})
	} else {
		a.out.printf("%s\n", line(id))
	}
	if err != nil || !c.Watch {
		return err
	}
	return a.watch(cl, id, 0)
}

// each controls runs, and goes on to the next when one fails.
func (a *app) each(ids []string, done string, order func(cl inspect.Client, id string) error) error {
	cl, err := a.client()
	if err != nil {
		return err
	}
	var errs []error
	for _, id := range ids {
		if err := order(cl, id); err != nil {
			errs = append(errs, a.suggest(cl, id, err))
			continue
		}
		if a.cli.JSON {
			err = a.out.json(map[string]string{"id": id, "done": done})
		} else {
			a.out.printf("%s %s\n", line(id), done)
		}
		if err != nil {
			return err
		}
	}
	return errors.Join(errs...)
}

type runsCancelCmd struct {
	Runs []string `arg:"" name:"run" help:"IDs of runs."`
}

func (c *runsCancelCmd) Help() string {
	return `The run's calls return context.Canceled, and its cleanup code is executed. So it may take a while until the run has ended, or forever, if the code
ignores the cancellation: then use "tenter runs terminate". Its children are canceled with it.`
}

func (c *runsCancelCmd) Run(a *app) error {
	return a.each(c.Runs, "is asked to cancel", func(cl inspect.Client, id string) error { return cl.CancelRun(a.ctx, id) })
}

type runsTerminateCmd struct {
	Runs   []string `arg:"" name:"run" help:"IDs of runs."`
	Reason string   `placeholder:"TEXT" help:"Why. It becomes part of the run's error."`
	Yes    bool     `short:"y" help:"Do not ask for confirmation."`
}

func (c *runsTerminateCmd) Help() string {
	return `Ends runs in whatever state they are, at once, also if no worker is up. No cleanup is executed; a step under way is not waited for. Children are asked to cancel. On a terminal
it asks for confirmation; elsewhere --yes is needed.`
}

func (c *runsTerminateCmd) Run(a *app) error {
	if !c.Yes {
		if err := a.confirm(fmt.Sprintf("Terminate %s? No cleanup will be executed.", line(strings.Join(c.Runs, ", ")))); err != nil {
			return err
		}
	}
	return a.each(c.Runs, "is terminated", func(cl inspect.Client, id string) error { return cl.TerminateRun(a.ctx, id, c.Reason) })
}

// confirm asks a question on the terminal.
func (a *app) confirm(question string) error {
	if terminal(a.stdin) < 0 {
		return usage("this can't be undone: say --yes to do it without a terminal to ask on")
	}
	_, _ = fmt.Fprintf(a.stderr, "%s [y/N] ", question)
	answer, err := bufio.NewReader(a.stdin).ReadString('\n')
	if err != nil {
		_, _ = fmt.Fprintln(a.stderr)
	}
	switch strings.ToLower(strings.TrimSpace(answer)) {
	case "y", "yes":
		return nil
	}
	return errDeclined
}

type runsWakeCmd struct {
	Runs []string `arg:"" name:"run" help:"IDs of runs."`
}

func (c *runsWakeCmd) Help() string {
	return `Ends the sleeps that a run is in now. Deadlines, the timers of a select and the retries of steps are not touched.`
}

func (c *runsWakeCmd) Run(a *app) error {
	return a.each(c.Runs, "is woken", func(cl inspect.Client, id string) error { return cl.WakeRun(a.ctx, id) })
}

type runsRetryCmd struct {
	Runs []string `arg:"" name:"run" help:"IDs of runs."`
}

func (c *runsRetryCmd) Help() string {
	return `A failed run continues from its journal: completed work stays done, and the failed step is attempted again. That is refused, with exit code 4, if a step, child or response
began after the code had seen the failure, because the journal would no longer match; start another run then. Every build tries a blocked run again, even those that could not
continue it. In a run that has not failed, the steps that wait for their next attempt are attempted at once.`
}

func (c *runsRetryCmd) Run(a *app) error {
	return a.each(c.Runs, "is retried", func(cl inspect.Client, id string) error { return cl.RetryRun(a.ctx, id) })
}
