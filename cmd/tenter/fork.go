package main

import (
	"fmt"

	"github.com/tenter-dev/tenter/inspect"
	"github.com/tenter-dev/tenter/workflow"
)

type runsForkCmd struct {
	Run_    string `arg:"" name:"run" help:"ID of the run."`
	From    string `xor:"place" required:"" placeholder:"STEP" help:"Step that the fork executes again, such as charge#1."`
	At      int64  `xor:"place" required:"" placeholder:"EVENT" help:"Or the last event that the fork has, by its position in the journal."`
	ID      string `name:"id" placeholder:"ID" help:"ID of the fork. Default: a new one."`
	Version int    `placeholder:"N" help:"Version of the workflow that executes the fork. Default: that of the run."`
	DryRun  bool   `help:"Only say what the fork would execute again."`
	Yes     bool   `short:"y" help:"Do not ask for confirmation."`
}

func (c *runsForkCmd) Help() string {
	return `Makes a new run that has the journal of a run up to a place, and goes on by itself from there. The run itself may be running or have ended; it is not touched.
The fork executes again what the run has executed since: steps, transactional ones too, and children. They are listed, and on a terminal it asks for
confirmation; elsewhere --yes is needed if there are any. It prints the ID of the fork.

  tenter runs fork order-42 --from charge#1 --dry-run
  tenter runs fork order-42 --from charge#1 --id order-42-again

The open hooks of the fork have tokens of their own; "tenter hooks list --run ID" shows them. It is refused with exit code 4 where a hook has a token that the
author of the workflow has chosen and the fork would need, where a child is under way whose ID the author has chosen, and in a generation whose journal was
deleted. As long as its journal is there, a generation that is over can be forked too: charge#2.1 is the first charge of generation 2.`
}

func (c *runsForkCmd) Run(a *app) error {
	cl, err := a.client()
	if err != nil {
		return err
	}
	req := workflow.ForkRequest{RunID: c.Run_, Step: c.From, Position: c.At, ForkID: c.ID, Version: c.Version, DryRun: true}
	if c.DryRun || !c.Yes {
		plan, err := cl.ForkRun(a.ctx, req)
		if err != nil {
			return a.suggest(cl, c.Run_, err)
		}
		if c.DryRun && a.cli.JSON {
			return a.out.json(plan)
		}
		if c.DryRun {
			a.printForkPlan(a.out, plan)
			return nil
		}
		if len(plan.Again) > 0 {
			if terminal(a.stdin) >= 0 {
				a.printForkPlan(newScreen(a.stderr, a.cli.Color, a.env), plan)
			}
			if err := a.confirm(fmt.Sprintf("Fork %s?", line(c.Run_))); err != nil {
				return err
			}
		}
	}
	req.DryRun = false
	plan, err := cl.ForkRun(a.ctx, req)
	if err != nil {
		return a.suggest(cl, c.Run_, err)
	}
	if a.cli.JSON {
		return a.out.json(plan)
	}
	a.out.printf("%s\n", line(plan.ForkID))
	return nil
}

// printForkPlan says what a fork would execute again.
func (a *app) printForkPlan(out *screen, plan workflow.ForkPlan) {
	out.printf("The fork has the first %s of run %s.\n", plural(int(plan.Position), "event"), line(plan.RunID))
	if len(plan.Again) == 0 {
		out.printf("The run has executed nothing since.\n")
		return
	}
	out.printf("The run has executed since, and the fork executes again, as far as its code comes to it:\n")
	t := table{head: []string{"", "IN THE RUN", "ASKED FOR"}}
	for _, again := range plan.Again {
		what := inspect.Title(inspect.KindStep, again.Step)
		if again.Child != "" {
			what = inspect.Title(inspect.KindChild, again.Child)
		}
		status := string(again.Status)
		if again.Status == workflow.StatusRunning {
			status = "not over"
		}
		t.add(text(what), text(status).in(statusStyle(again.Status)), text(stamp(again.At)))
	}
	t.print(out, "  ")
	for _, token := range plan.Tokens {
		out.printf("It takes over the token %s.\n", quote(line(token)))
	}
}
