package main

import (
	"strconv"
	"time"

	"github.com/tenter-dev/tenter/inspect"
)

type runsFailuresCmd struct {
	Workflow string `short:"w" placeholder:"NAME" help:"Only runs of this workflow."`
	Since    when   `placeholder:"TIME" help:"Only runs created since: 2h, 3d (ago), 2026-01-31 or 2026-01-31T15:04:05Z."`
	Until    when   `placeholder:"TIME" help:"Only runs created before."`
}

func (c *runsFailuresCmd) Help() string {
	return `Failed runs of a workflow are in one group if their errors are of the same step, and differ in numbers and IDs at most; … stands for these. It looks at the last 1,000 failed runs that were created.

  tenter runs failures --since 1d
  tenter runs failures --json | jq -r '.groups[0].run_ids[]' | xargs tenter runs retry

With --json it is one object: groups (workflow, step, error, first, last, run_ids), runs, more.`
}

func (c *runsFailuresCmd) Run(a *app) error {
	cl, err := a.client()
	if err != nil {
		return err
	}
	failures, err := cl.Failures(a.ctx, inspect.FailureFilter{Workflow: c.Workflow, Since: c.Since.Time, Until: c.Until.Time})
	if err != nil {
		return err
	}
	if a.cli.JSON {
		return a.out.json(failures)
	}
	if len(failures.Groups) == 0 {
		a.out.printf("No runs have failed.\n")
		return nil
	}
	now := time.Now()
	t := table{head: []string{"RUNS", "WORKFLOW", "STEP", "LAST", "ONE OF THEM", "ERROR"}, keep: []int{0, 4}}
	for _, g := range failures.Groups {
		t.add(text(strconv.Itoa(len(g.RunIDs))).in(bold), text(g.Workflow), text(g.Step), text(ago(g.Last, now)), text(g.RunIDs[0]), text(g.Error))
	}
	t.print(a.out, "")
	if failures.More {
		a.out.printf("There are more: these are the last %d that were created. --until looks at earlier ones.\n", failures.Runs)
	}
	return nil
}
