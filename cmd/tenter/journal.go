package main

import (
	"context"
	"strings"
	"time"

	"github.com/tenter-dev/tenter/inspect"
	"github.com/tenter-dev/tenter/workflow"
)

type runsJournalCmd struct {
	Run_  string `arg:"" name:"run" help:"ID of the run."`
	After int64  `placeholder:"POSITION" help:"Only events after this position."`
	Limit int    `short:"n" placeholder:"N" help:"At most this many; 0, the default, is all."`
	Full  bool   `help:"Print all data, not only what fits."`
}

func (c *runsJournalCmd) Help() string {
	return `The journal is the only truth about a run: what happened to it, in order, and what its code asked for in answer.

With --json each line is an event: position, at, kind, ref, data or request, asked, by. The values of sensitive headers of requests are masked.`
}

func (c *runsJournalCmd) Run(a *app) error {
	cl, err := a.client()
	if err != nil {
		return err
	}
	if _, err := cl.RunInfo(a.ctx, c.Run_); err != nil {
		return a.suggest(cl, c.Run_, err)
	}
	printer := eventPrinter{app: a, full: c.Full}
	after, left := c.After, c.Limit
	for {
		limit := inspect.MaxLimit
		if c.Limit > 0 {
			limit = min(limit, left)
		}
		events, err := cl.Journal(a.ctx, c.Run_, after, limit)
		if err != nil || len(events) == 0 {
			return err
		}
		if err := printer.print(events); err != nil {
			return err
		}
		// A page may be shorter than asked for.
		after = events[len(events)-1].Position
		if left -= len(events); left == 0 {
			return nil
		}
	}
}

// eventPrinter prints events as they come.
type eventPrinter struct {
	*app
	full bool
}

func (p *eventPrinter) print(events []inspect.Event) error {
	if p.cli.JSON {
		for i := range events {
			if err := p.out.json(&events[i]); err != nil {
				return err
			}
		}
		return nil
	}
	for i := range events {
		p.printEvent(&events[i])
	}
	return nil
}

func (p *eventPrinter) printEvent(e *inspect.Event) {
	text, s := eventText(e)
	text += byText(e.By)
	head := pad(number(e.Position), 5, true) + "  " + stamp(e.At) + "  "
	width := p.out.width()
	data := dataText(e.Kind, e.Data, e.Request)
	if p.full || width == 0 {
		if p.full && e.Request == nil {
			data = pretty(e.Data)
		}
		width = 1 << 20
	}
	p.out.printf("%s%s", p.out.in(dim, head), p.out.in(s, cut(text, max(10, width-columns(head)))))
	if room := width - columns(head) - columns(text) - 2; data != "" && room > 8 {
		if p.full {
			p.out.printf("\n%s", indent(data, "         "))
		} else {
			p.out.printf("  %s", cut(data, room))
		}
	}
	p.out.printf("\n")
	for _, asked := range e.Asked {
		p.out.printf("%s\n", p.out.in(dim, cut("         → "+line(asked), width)))
	}
}

// pad fills clean text up to n columns.
func pad(s string, n int, right bool) string {
	for columns(s) < n {
		if right {
			s = " " + s
		} else {
			s += " "
		}
	}
	return s
}

type runsWatchCmd struct {
	Run_ string `arg:"" name:"run" help:"ID of the run."`
	New  bool   `help:"Leave out past events."`
}

func (c *runsWatchCmd) Help() string {
	return `Prints the events of a run as they happen, until it ends, and then its output on a line of its own. The exit code is 0 if it completed, 5 if it failed or was canceled.

With --json each line is an event, as with "tenter runs journal"; the last line is the result: run_id, workflow, status, output, error.`
}

func (c *runsWatchCmd) Run(a *app) error {
	cl, err := a.client()
	if err != nil {
		return err
	}
	info, err := cl.RunInfo(a.ctx, c.Run_)
	if err != nil {
		return a.suggest(cl, c.Run_, err)
	}
	var after int64
	if c.New {
		after = info.Events
	}
	return a.watch(cl, c.Run_, after)
}

// watch prints the events of a run after a position, until it has ended, and then how
// it ended.
func (a *app) watch(cl inspect.Client, runID string, after int64) error {
	ctx, stop := context.WithCancel(a.ctx)
	defer stop()
	printer := eventPrinter{app: a}
	var failed error
	waits := ""
	look := func(inspect.Change) {
		if ctx.Err() != nil {
			return // it is over already
		}
		for failed == nil {
			events, err := cl.Journal(ctx, runID, after, inspect.MaxLimit)
			if err == nil && len(events) > 0 {
				after = events[len(events)-1].Position
				err = printer.print(events)
			}
			if failed = err; err != nil || len(events) == 0 {
				break
			}
		}
		info, err := cl.RunInfo(ctx, runID)
		if failed == nil {
			failed = err
		}
		if failed != nil || info.Status.Ended() && info.Events <= after {
			stop()
			return
		}
		waits = a.printWait(ctx, cl, runID, waits)
	}
	err := cl.Watch(ctx, runID, look)
	switch {
	case a.ctx.Err() != nil:
		return a.ctx.Err()
	case failed != nil:
		return failed
	case err != nil:
		return err
	}
	return a.outcome(cl, runID)
}

// printWait says what the run waits for, if that has changed and somebody looks.
func (a *app) printWait(ctx context.Context, cl inspect.Client, runID, before string) string {
	if a.out.fd < 0 || a.cli.JSON {
		return before
	}
	d, err := inspect.Load(ctx, cl, runID)
	if err != nil || d.Run.Status.Ended() {
		return before
	}
	now := time.Now()
	var key strings.Builder
	for _, w := range d.Waits {
		key.WriteString(w.What + "\n")
	}
	if key.String() != before && d.Run.Status != "running" {
		a.out.printf("%s\n", a.out.in(yellow, cut("       … "+clean(d.Explain(now)), a.out.width())))
	}
	return key.String()
}

// outcome prints how a run ended.
func (a *app) outcome(cl inspect.Client, runID string) error {
	res, err := cl.AwaitRun(a.ctx, runID)
	if err != nil {
		return err
	}
	if a.cli.JSON {
		err = a.out.json(res)
	} else if res.Status == "completed" {
		a.out.printf("%s\n", line(string(res.Output)))
	} else {
		_, _ = a.stderr.Write([]byte("tenter: run " + line(runID) + " " + ended(res.Status) + ": " + clean(inspect.Failure(res.Error)) + "\n"))
	}
	if err == nil && res.Status != "completed" {
		err = errRunFailed
	}
	return err
}

// ended says what has become of a run that has not completed.
func ended(s workflow.Status) string {
	if s == workflow.StatusCanceled {
		return "was canceled"
	}
	return string(s)
}
