package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/tenter-dev/tenter/bench/internal/plot"
	"github.com/tenter-dev/tenter/bench/internal/report"
	"github.com/tenter-dev/tenter/engine"
)

const growthArg = "growth"

// growthMain measures how costs grow: with the runs in the database, half of them
// parked and half of them ended, and with the steps of one run.
func growthMain(ctx context.Context, args []string) (err error) {
	e := &env{}
	flags := flag.NewFlagSet("bench growth", flag.ExitOnError)
	most := flags.Int("runs", 1_000_000, "how many runs there are in the end")
	steps := flags.Int("steps", 10_000, "how many steps the long run has")
	doc := flags.String("doc", "../docs/performance.md", "`file` whose table is replaced; empty: none")
	file := flags.String("plot", "../docs/img/growth.svg", "`file` for the plot; empty: none")
	flags.StringVar(&e.dir, "dir", os.TempDir(), "`directory` for the databases")
	if err := flags.Parse(args); err != nil {
		return err
	}
	text := report.Machine(ctx, "make growth", e.dir)
	began := time.Now()
	onFile, err := growOn(ctx, e, "SQLite", *most, *steps)
	if err != nil {
		return err
	}
	grown := []*growth{onFile}
	missing := ""
	if e.server, err = startServer(ctx, e.dir, nil); err != nil {
		missing = fmt.Sprintf("\nPostgreSQL is not to be had: %v\n", err)
	} else {
		defer func() { err = errors.Join(err, e.server.close(ctx)) }()
		onServer, err := growOn(ctx, e, "PostgreSQL", *most, *steps)
		if err != nil {
			return err
		}
		grown = append(grown, onServer)
	}
	text += fmt.Sprintf("It took %v; load average after: %s.\n", time.Since(began).Round(time.Second), report.LoadAverage())
	for _, g := range grown {
		text += g.markdown()
	}
	text += missing
	fmt.Print("\n" + text)
	if err := plot.Write(*file, "What Tenter's operations cost as a database and a run grow", growthCharts(grown)); err != nil {
		return err
	}
	if *doc == "" {
		return nil
	}
	return report.ReplaceSection(*doc, "growth", text)
}

// growth is what was measured on one kind of database.
type growth struct {
	store  string
	sizes  []int      // numbers of runs in the database
	values [][]metric // at each size, the same ones in the same order
	blocks []float64  // µs a step, of each tenth of the long run
	steps  int
}

func growOn(ctx context.Context, e *env, name string, most, steps int) (g *growth, err error) {
	g = &growth{store: name, steps: steps}
	url, drop, err := e.create(ctx)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, drop()) }()
	for size, there := min(1000, most), 0; ; size *= 10 {
		size = min(size, most)
		parked, err := fill(ctx, url, size-there)
		if err != nil {
			return nil, err
		}
		ms, err := measureGrown(ctx, url, parked)
		if err != nil {
			return nil, err
		}
		g.sizes, g.values = append(g.sizes, size), append(g.values, ms)
		fmt.Fprintf(os.Stderr, "%s: %s runs, load average %s\n", name, report.Number(float64(size)), report.LoadAverage())
		if there = size; there == most {
			break
		}
	}
	g.blocks, err = growSteps(ctx, e, steps)
	return g, err
}

// fill adds runs, half of which park, and returns some of those.
func fill(ctx context.Context, url string, n int) (parked []ParkedRun, err error) {
	p, err := startProcess(ctx, url, 0)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, p.close()) }()
	var took time.Duration
	err = p.call("Park", n/2, &took)
	if err == nil {
		err = p.call("Parked", min(grownResumes, n/2), &parked)
	}
	if err == nil {
		err = p.call("Empty", n-n/2, &none{})
	}
	return parked, err
}

// How often things are done at each size.
const (
	grownResumes = 200
	grownStarts  = 300
	grownLists   = 50
	grownRuns    = 2000
)

// measureGrown measures a process that has just been started on the database.
func measureGrown(ctx context.Context, url string, parked []ParkedRun) (ms []metric, err error) {
	p, err := startProcess(ctx, url, 0)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, p.close()) }()
	add := func(name string, value float64, unit string) {
		ms = append(ms, metric{name: name, value: value, unit: unit})
	}
	var d time.Duration
	var mb float64
	if err := errors.Join(p.call("Opened", none{}, &d), p.call("Memory", none{}, &mb)); err != nil {
		return nil, err
	}
	add("restart until a new run has completed", milliseconds(d), "ms")
	add("memory (RSS) after that", mb, "MB")
	medians := []struct {
		name  string
		times int
		call  func(i int, took *time.Duration) error
	}{
		{"start → 1 step → result", grownStarts, func(_ int, took *time.Duration) error { return p.call("Start", 1, took) }},
		{"resume → run completed (claim, load, replay)", len(parked), func(i int, took *time.Duration) error { return p.call("Resume", parked[i], took) }},
		{"list: the newest 100", grownLists, func(_ int, took *time.Duration) error { return p.call("List", Page{}, took) }},
		{"list: the newest 100 that wait", grownLists, func(_ int, took *time.Duration) error { return p.call("List", Page{Waiting: true}, took) }},
	}
	for _, m := range medians {
		took := make([]time.Duration, m.times)
		for i := range took {
			if err := m.call(i, &took[i]); err != nil {
				return nil, err
			}
		}
		add(m.name+": p50", milliseconds(percentile(took, 50)), "ms")
	}
	began := time.Now()
	if err := p.call("Steps", Load{grownRuns, 64}, &none{}); err != nil {
		return nil, err
	}
	add("3-step runs, 64 at a time", grownRuns/time.Since(began).Seconds(), "runs/s")
	return ms, nil
}

// growSteps returns what a step takes in each tenth of a long run, in µs.
func growSteps(ctx context.Context, e *env, n int) (blocks []float64, err error) {
	w, err := newWorld(ctx, e, engine.Options{})
	if err != nil {
		return nil, err
	}
	defer func() { err = joinClose(err, w) }()
	stepTimes = nil
	run, err := timedWorkflow.Start(ctx, w.eng, n)
	if err != nil {
		return nil, err
	}
	if _, err := run.Result(ctx); err != nil {
		return nil, err
	}
	for block := range slices.Chunk(gaps(stepTimes[:n]), max(n/10, 2)) {
		if len(block) > 1 {
			blocks = append(blocks, float64(percentile(block, 50).Nanoseconds())/1000)
		}
	}
	return blocks, nil
}

func (g *growth) markdown() string {
	var s strings.Builder
	fmt.Fprintf(&s, "\n| %s, runs in the database |", g.store)
	for _, n := range g.sizes {
		fmt.Fprintf(&s, " %s |", report.Number(float64(n)))
	}
	s.WriteString("\n|---|" + strings.Repeat("--:|", len(g.sizes)) + "\n")
	for i, m := range g.values[0] {
		fmt.Fprintf(&s, "| %s |", m.name)
		for _, at := range g.values {
			fmt.Fprintf(&s, " %s %s |", report.Number(at[i].value), m.unit)
		}
		s.WriteString("\n")
	}
	fmt.Fprintf(&s, "\n| %s, one run of %s steps |", g.store, report.Number(float64(g.steps)))
	for i := range g.blocks {
		fmt.Fprintf(&s, " %d0 %% |", i+1)
	}
	s.WriteString("\n|---|" + strings.Repeat("--:|", len(g.blocks)) + "\n| a step |")
	for _, us := range g.blocks {
		fmt.Fprintf(&s, " %s µs |", report.Number(us))
	}
	s.WriteString("\n")
	return s.String()
}

// growthCharts has a chart for each thing that was measured, with a line for each kind
// of database.
func growthCharts(grown []*growth) []plot.Chart {
	var charts []plot.Chart
	for i, m := range grown[0].values[0] {
		c := plot.Chart{Title: m.name + ", " + m.unit, X: "runs in the database", LogX: true}
		for _, g := range grown {
			l := plot.Line{Name: g.store}
			for j, n := range g.sizes {
				l.Points = append(l.Points, plot.Point{X: float64(n), Y: g.values[j][i].value})
			}
			c.Lines = append(c.Lines, l)
		}
		charts = append(charts, c)
	}
	c := plot.Chart{Title: "a step, µs", X: "steps of the run done"}
	for _, g := range grown {
		l := plot.Line{Name: g.store}
		for i, us := range g.blocks {
			l.Points = append(l.Points, plot.Point{X: float64((i + 1) * g.steps / len(g.blocks)), Y: us})
		}
		c.Lines = append(c.Lines, l)
	}
	return append(charts, c)
}
