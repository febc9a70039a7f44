package main

import (
	"cmp"
	"fmt"
	"time"

	"github.com/tenter-dev/tenter/inspect"
	"github.com/tenter-dev/tenter/internal/saturate"
	"github.com/tenter-dev/tenter/workflow"
)

type runsListCmd struct {
	Status   string `short:"s" enum:",running,waiting,blocked,completed,failed,canceled" default:"" placeholder:"STATUS" help:"Only runs with this status: running, waiting, blocked, completed, failed, canceled."`
	Workflow string `short:"w" placeholder:"NAME" help:"Only runs of this workflow."`
	Parent   string `placeholder:"RUN" help:"Only children of this run."`
	Origin   string `name:"forked-from" placeholder:"RUN" help:"Only forks of this run."`
	Awaits   string `name:"awaiting" placeholder:"RUN" help:"Only runs that await the end of this run."`
	Paused   bool   `help:"Only runs that are paused, or whose workflow is."`
	Prefix   string `placeholder:"TEXT" help:"Only runs whose ID begins with it; in the order of IDs."`
	Since    when   `placeholder:"TIME" help:"Only runs created since: 2h, 3d (ago), 2026-01-31 or 2026-01-31T15:04:05Z."`
	Until    when   `placeholder:"TIME" help:"Only runs created before."`
	Limit    int    `short:"n" default:"50" placeholder:"N" help:"At most this many (${default}); 0 is all."`
	Before   string `placeholder:"CURSOR" help:"Continue a list: the cursor at the end of the previous page, or the cursor of its last run."`
}

func (c *runsListCmd) Help() string {
	return `A run is running (has work), waiting (for hooks, timers or children), blocked (no code can continue it; nothing is lost), completed, failed or canceled. A run
that no live worker has the code for is listed with the status that it has recorded; "tenter runs show" tells.

  tenter runs list --status failed --since 1d
  tenter runs list --workflow order -n 0 --json | jq -r .id

With --json each line is a run: id, workflow, version, status, reason, parent_id, forked_from, created_at, updated_at, ended_at, wake_at, events, paused, error, failed_step, cursor.`
}

func (c *runsListCmd) Run(a *app) error {
	cl, err := a.client()
	if err != nil {
		return err
	}
	f := inspect.RunFilter{
		Status: workflow.Status(c.Status), Workflow: c.Workflow, ParentID: c.Parent, ForkedFrom: c.Origin, Awaits: c.Awaits, Paused: c.Paused, Prefix: c.Prefix,
		Since: c.Since.Time, Until: c.Until.Time, Before: c.Before,
	}
	now := time.Now()
	l := list[workflow.RunInfo]{
		limit: c.Limit,
		page: func(limit int) ([]workflow.RunInfo, error) {
			f.Limit = limit
			runs, err := cl.Runs(a.ctx, f)
			if len(runs) > 0 {
				f.Before = runs[len(runs)-1].Cursor
			}
			return runs, err
		},
		table: table{head: []string{"RUN", "WORKFLOW", "STATUS", "CREATED", "PROGRESS", ""}, keep: []int{0}},
		row:   func(r workflow.RunInfo) []cell { return runCells(r, now) },
		none:  "No runs.",
		more: func() string {
			return fmt.Sprintf("More: -n 0 lists all, --before %s continues.", quote(line(f.Before)))
		},
	}
	return l.print(a)
}

func runCells(r workflow.RunInfo, now time.Time) []cell {
	note := text(cmp.Or(r.Reason, r.Error))
	if !r.WakeAt.IsZero() {
		note = text("wakes " + due(r.WakeAt, now))
	}
	if r.Paused != nil {
		note = text(inspect.PauseText(r.Paused))
	}
	return []cell{
		text(r.ID), text(r.Workflow), text(string(r.Status)).in(statusStyle(r.Status)), text(ago(r.CreatedAt, now)), text(ago(r.UpdatedAt, now)), note,
	}
}

// when is a point in time on the command line: a duration ago, a date or a time.
type when struct{ time.Time }

// UnmarshalText is for kong.
func (w *when) UnmarshalText(text []byte) error {
	s := string(text)
	if n := len(s); n > 1 && s[n-1] == 'd' {
		var days float64
		if _, err := fmt.Sscanf(s, "%gd", &days); err == nil {
			w.Time = saturate.After(time.Now(), saturate.Product(-24*time.Hour, days))
			return nil
		}
	}
	if d, err := time.ParseDuration(s); err == nil {
		w.Time = saturate.After(time.Now(), saturate.Product(d, -1))
		return nil
	}
	for _, layout := range []string{time.RFC3339, "2006-01-02T15:04:05", "2006-01-02 15:04:05", "2006-01-02T15:04", "2006-01-02"} {
		if t, err := time.ParseInLocation(layout, s, time.Local); err == nil {
			w.Time = t
			return nil
		}
	}
	return fmt.Errorf("%q is not a time: give the duration since then, such as 90m or 3d, or a time such as 2026-01-31T15:04:05", s)
}
