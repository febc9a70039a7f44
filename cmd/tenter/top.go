package main

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"golang.org/x/term"

	"github.com/tenter-dev/tenter/inspect"
	"github.com/tenter-dev/tenter/workflow"
)

type topCmd struct {
	Every time.Duration `default:"2s" placeholder:"DURATION" help:"How often to look (${default})."`
}

func (c *topCmd) Help() string {
	return `Shows, and renews in place: how many runs there are by status; how many start and end; which workflows are busiest; which runs need somebody to look at them; and which hooks
have been open for longest. q or Ctrl-C ends it. Without a terminal it is printed once.

Counting stops at 10,000, and rates are those of the newest 1,000 runs, so that looking costs little however many runs there are.

With --json it is printed once: counts, started_per_minute, ended_per_minute, workflows, attention, hooks.`
}

func (c *topCmd) Run(a *app) error {
	cl, err := a.client()
	if err != nil {
		return err
	}
	if c.Every < 100*time.Millisecond {
		return usage("--every %s: look at most ten times a second", c.Every)
	}
	if a.cli.JSON {
		o, err := look(a.ctx, cl, time.Now())
		if err != nil {
			return err
		}
		return a.out.json(o)
	}
	if a.out.fd < 0 {
		o, err := look(a.ctx, cl, time.Now())
		if err != nil {
			return err
		}
		o.print(a.out, 0)
		return nil
	}
	return c.live(a, cl)
}

// live shows the overview until q is pressed.
func (c *topCmd) live(a *app, cl inspect.Client) error {
	ctx, stop := context.WithCancel(a.ctx)
	defer stop()
	if fd := terminal(a.stdin); fd >= 0 {
		before, err := term.MakeRaw(fd)
		if err != nil {
			return fmt.Errorf("read keys: %w", err)
		}
		defer func() { _ = term.Restore(fd, before) }()
		go func() { // it ends with the process
			defer stop()
			for key := range keys(a.stdin) {
				if key == 'q' || key == 'Q' || key == 3 || key == 4 { // Ctrl-C, Ctrl-D
					return
				}
			}
		}()
	}
	a.out.printf("\x1b[?1049h\x1b[?25l") // the other screen, without a cursor
	defer a.out.printf("\x1b[?25h\x1b[?1049l")
	tick := time.NewTicker(c.Every)
	defer tick.Stop()
	for {
		o, err := look(ctx, cl, time.Now())
		if ctx.Err() != nil {
			return a.ctx.Err()
		}
		if err != nil {
			return err
		}
		_, height, err := term.GetSize(a.out.fd)
		if err != nil {
			height = 24
		}
		var frame bytes.Buffer
		o.print(&screen{w: &frame, fd: a.out.fd, color: a.out.color}, height)
		lines := strings.SplitAfter(strings.TrimSuffix(frame.String(), "\n"), "\n")
		lines = lines[:min(len(lines), height)]
		text := strings.TrimSuffix(strings.Join(lines, ""), "\n")
		a.out.printf("\x1b[H%s\x1b[J", strings.ReplaceAll(text, "\n", "\x1b[K\r\n")+"\x1b[K")
		select {
		case <-tick.C:
		case <-ctx.Done():
			return a.ctx.Err()
		}
	}
}

// keys yields the bytes that are typed.
func keys(r io.Reader) func(yield func(byte) bool) {
	return func(yield func(byte) bool) {
		var b [16]byte
		for {
			n, err := r.Read(b[:])
			for _, key := range b[:n] {
				if !yield(key) {
					return
				}
			}
			if err != nil {
				return
			}
		}
	}
}

// overview is what top shows.
type overview struct {
	At        time.Time           `json:"at"`
	Counts    inspect.Counts      `json:"counts"`
	Started   float64             `json:"started_per_minute"`
	Ended     float64             `json:"ended_per_minute"`
	Workflows []busyWorkflow      `json:"workflows"` // of the newest runs, the busiest first
	Attention []workflow.RunInfo  `json:"attention"` // blocked and failed runs, the newest
	Hooks     []workflow.HookInfo `json:"hooks"`     // open for longest
}

// busyWorkflow is a workflow among the newest runs.
type busyWorkflow struct {
	Name    string         `json:"name"`
	Runs    int            `json:"runs"`
	Counts  inspect.Counts `json:"counts"`
	Started float64        `json:"started_per_minute"`
	Ended   float64        `json:"ended_per_minute"`
	Median  time.Duration  `json:"median_ns"` // of those that have completed

	took []time.Duration
}

func look(ctx context.Context, cl inspect.Client, now time.Time) (o overview, err error) {
	o.At = now
	if o.Counts, err = cl.CountRuns(ctx); err != nil {
		return o, err
	}
	newest, err := cl.Runs(ctx, inspect.RunFilter{Limit: inspect.MaxLimit})
	if err != nil {
		return o, err
	}
	o.rates(newest)
	for _, f := range []inspect.RunFilter{{Status: workflow.StatusBlocked, Limit: 5}, {Status: workflow.StatusFailed, Limit: 5}} {
		runs, err := cl.Runs(ctx, f)
		if err != nil {
			return o, err
		}
		o.Attention = append(o.Attention, runs...)
	}
	o.Hooks, err = cl.Hooks(ctx, inspect.HookFilter{Limit: 20})
	return o, err
}

// rates counts what the newest runs did in the last minute, or for as long as they go
// back if there are too many of them.
func (o *overview) rates(newest []workflow.RunInfo) {
	span := time.Minute
	if len(newest) == inspect.MaxLimit {
		span = min(span, max(time.Second, o.At.Sub(newest[len(newest)-1].CreatedAt)))
	}
	each := float64(time.Minute) / float64(span)
	recent := func(t time.Time) float64 {
		if t.IsZero() || o.At.Sub(t) > span {
			return 0
		}
		return each
	}
	byName := map[string]*busyWorkflow{}
	for _, r := range newest {
		b := byName[r.Workflow]
		if b == nil {
			b = &busyWorkflow{Name: r.Workflow, Counts: inspect.Counts{}}
			byName[r.Workflow] = b
		}
		b.Runs++
		b.Counts[r.Status]++
		b.Started += recent(r.CreatedAt)
		b.Ended += recent(r.EndedAt)
		if r.Status == workflow.StatusCompleted {
			b.took = append(b.took, r.EndedAt.Sub(r.CreatedAt))
		}
	}
	for _, b := range byName {
		o.Started += b.Started
		o.Ended += b.Ended
		if n := len(b.took); n > 0 {
			slices.Sort(b.took)
			b.Median = b.took[n/2]
		}
		o.Workflows = append(o.Workflows, *b)
	}
	slices.SortFunc(o.Workflows, func(a, b busyWorkflow) int {
		return cmp.Or(cmp.Compare(b.Started+b.Ended, a.Started+a.Ended), cmp.Compare(b.Runs, a.Runs), cmp.Compare(a.Name, b.Name))
	})
}

var statuses = []workflow.Status{
	workflow.StatusRunning, workflow.StatusWaiting, workflow.StatusBlocked,
	workflow.StatusFailed, workflow.StatusCanceled, workflow.StatusCompleted,
}

// print prints the overview in so many lines; 0: as many as need be.
func (o *overview) print(s *screen, height int) {
	var counts []string
	for _, status := range statuses {
		n, more := o.Counts[status], ""
		if n >= inspect.MaxCount {
			more = "+"
		}
		counts = append(counts, fmt.Sprintf("%s %s%s", s.in(statusStyle(status), string(status)), number(int64(n)), more))
	}
	s.printf("%s\n", strings.Join(counts, "   "))
	s.printf("%s\n", s.in(dim, fmt.Sprintf("%s started and %s ended a minute; %s", rate(o.Started), rate(o.Ended), stamp(o.At))))

	room := 1 << 20
	if height > 0 {
		room = max(0, height-2)
	}
	// Each section takes two lines more than its rows.
	section := func(title string, t *table, most int) {
		n := min(len(t.rows), most, room-3)
		if n <= 0 {
			return
		}
		t.rows = t.rows[:n]
		room -= n + 3
		s.heading(title)
		t.print(s, "")
	}
	share := max(3, (room-9)/3)
	section("NEEDS SOMEBODY", o.attention(), share)
	section("BUSIEST", o.busiest(), share)
	section("WAITING FOR LONGEST", o.waiting(), room)
}

func (o *overview) attention() *table {
	t := &table{head: []string{"RUN", "WORKFLOW", "STATUS", "SINCE", ""}, keep: []int{0}}
	for _, r := range o.Attention {
		t.add(text(r.ID), text(r.Workflow), text(string(r.Status)).in(statusStyle(r.Status)), text(ago(r.UpdatedAt, o.At)), text(cmp.Or(r.Reason, r.Error)))
	}
	return t
}

func (o *overview) busiest() *table {
	t := &table{head: []string{"WORKFLOW", "STARTED/MIN", "ENDED/MIN", "RUNNING", "WAITING", "FAILED", "MEDIAN"}}
	for _, b := range o.Workflows {
		median := ""
		if b.Counts[workflow.StatusCompleted] > 0 {
			median = inspect.Duration(b.Median)
		}
		count := func(status workflow.Status) cell { return text(number(int64(b.Counts[status]))) }
		t.add(text(b.Name), text(rate(b.Started)), text(rate(b.Ended)), count(workflow.StatusRunning), count(workflow.StatusWaiting),
			count(workflow.StatusFailed), text(median))
	}
	return t
}

func (o *overview) waiting() *table {
	t := &table{head: []string{"TOKEN", "TYPE", "RUN", "OPEN SINCE"}, keep: []int{0, 2}}
	for _, h := range o.Hooks {
		t.add(text(h.Token), text(hookKind(h)), text(h.RunID), text(ago(h.CreatedAt, o.At)))
	}
	return t
}

func rate(perMinute float64) string { return number(int64(perMinute + 0.5)) }
