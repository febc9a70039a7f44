package main

import (
	"fmt"
	"time"

	"github.com/tenter-dev/tenter/inspect"
	"github.com/tenter-dev/tenter/workflow"
)

// pausing says why something is paused.
type pausing struct {
	Why string `placeholder:"TEXT" help:"Why, to show with what is paused."`
}

func (p *pausing) request() workflow.PauseRequest {
	return workflow.PauseRequest{Why: p.Why}
}

type runsPauseCmd struct {
	Runs []string `arg:"" name:"run" help:"IDs of runs."`
	pausing
}

func (c *runsPauseCmd) Help() string {
	return `The code of a paused run does not go on, and no attempt of a step begins. Attempts that are executing return, and their outcomes wait. What is sent to the run is accepted as ever
and waits too; deadlines do not stop. A run that is paused stays so as it is. "tenter runs terminate" ends a paused run.

  tenter runs pause order-42 --why "the address is wrong"`
}

func (c *runsPauseCmd) Run(a *app) error {
	return a.each(c.Runs, "is paused", func(cl inspect.Client, id string) error { return cl.PauseRun(a.ctx, id, c.request()) })
}

type runsResumeCmd struct {
	Runs []string `arg:"" name:"run" help:"IDs of runs."`
}

func (c *runsResumeCmd) Help() string {
	return `A run whose workflow is paused goes on when that is resumed too. To send a payload to a hook, use "tenter hooks resume".`
}

func (c *runsResumeCmd) Run(a *app) error {
	t, err := a.target()
	if err != nil {
		return err
	}
	return a.each(c.Runs, "is resumed", func(cl inspect.Client, id string) error {
		if err := cl.ResumeRun(a.ctx, id); err != nil {
			return err
		}
		if info, err := cl.RunInfo(a.ctx, id); err == nil && info.Paused != nil {
			_, _ = fmt.Fprintf(a.stderr, "%s is %s: it goes on after %s\n",
				line(id), line(inspect.PauseText(info.Paused)), t.command("workflows", "resume", info.Workflow))
		}
		return nil
	})
}

type workflowsPauseCmd struct {
	Workflows []string `arg:"" name:"workflow" help:"Names of workflows."`
	pausing
}

func (c *workflowsPauseCmd) Help() string {
	return `All runs of the workflow are paused, in all its versions, as "tenter runs pause" does one. Runs that start later are paused too: to start one succeeds, and its code begins when the
workflow is resumed.

  tenter workflows pause order --why "the bank is down"`
}

func (c *workflowsPauseCmd) Run(a *app) error {
	return a.each(c.Workflows, "is paused", func(cl inspect.Client, name string) error { return cl.PauseWorkflow(a.ctx, name, c.request()) })
}

type workflowsResumeCmd struct {
	Workflows []string `arg:"" name:"workflow" help:"Names of workflows."`
}

func (c *workflowsResumeCmd) Help() string {
	return `Runs that are paused themselves stay so: "tenter runs list --paused" lists them.`
}

func (c *workflowsResumeCmd) Run(a *app) error {
	return a.each(c.Workflows, "is resumed", func(cl inspect.Client, name string) error { return cl.ResumeWorkflow(a.ctx, name) })
}

type workflowsPausedCmd struct{}

func (c *workflowsPausedCmd) Help() string {
	return `With --json each line is a workflow: workflow, at, by, why.`
}

func (c *workflowsPausedCmd) Run(a *app) error {
	cl, err := a.client()
	if err != nil {
		return err
	}
	paused, err := cl.PausedWorkflows(a.ctx)
	if err != nil {
		return err
	}
	now := time.Now()
	t := table{head: []string{"WORKFLOW", "PAUSED", "BY", "WHY"}, keep: []int{0}}
	for _, p := range paused {
		if a.cli.JSON {
			if err := a.out.json(p); err != nil {
				return err
			}
			continue
		}
		t.add(text(p.Workflow), text(ago(p.At, now)), text(p.By.String()), text(p.Why))
	}
	switch {
	case a.cli.JSON:
	case len(paused) == 0:
		a.out.printf("No workflow is paused.\n")
	default:
		t.print(a.out, "")
	}
	return nil
}
