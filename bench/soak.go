package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"math"
	"math/rand/v2"
	"net/http"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/tenter-dev/tenter/bench/internal/plot"
	"github.com/tenter-dev/tenter/bench/internal/report"
	"github.com/tenter-dev/tenter/engine"
	"github.com/tenter-dev/tenter/server"
	"github.com/tenter-dev/tenter/workflow"
)

const soakArg = "soak"

// Of a soak.
const (
	soakKeep    = time.Minute // how long ended runs and idempotency keys are kept
	soakParked  = 2000        // runs that wait all the time
	soakSamples = 120
)

// soakMain has one process do a bit of everything for long, and judges whether what it
// uses stays flat.
func soakMain(ctx context.Context, args []string) (err error) {
	e := &env{}
	flags := flag.NewFlagSet("bench soak", flag.ExitOnError)
	length := flags.Duration("for", 30*time.Minute, "how `long` on each store")
	doc := flags.String("doc", "../docs/reliability.md", "`file` whose table is replaced; empty: none")
	file := flags.String("plot", "../docs/img/soak.svg", "`file` for the plot; empty: none")
	flags.StringVar(&e.dir, "dir", os.TempDir(), "`directory` for the databases")
	if err := flags.Parse(args); err != nil {
		return err
	}
	text := report.Machine(ctx, fmt.Sprintf("make soak FOR=%v", *length), e.dir)
	onFile, err := soakOn(ctx, e, "SQLite", *length)
	if err != nil {
		return err
	}
	soaks := []*soak{onFile}
	missing := ""
	if e.server, err = startServer(ctx, e.dir, nil); err != nil {
		missing = fmt.Sprintf("\nPostgreSQL is not to be had: %v\n", err)
	} else {
		defer func() { err = errors.Join(err, e.server.close(context.WithoutCancel(ctx))) }()
		onServer, err := soakOn(ctx, e, "PostgreSQL", *length)
		if err != nil {
			return err
		}
		soaks = append(soaks, onServer)
	}
	steep := false
	for _, s := range soaks {
		table, flat := s.markdown()
		text += table
		steep = steep || !flat
	}
	text += missing
	fmt.Print("\n" + text)
	if err := plot.Write(*file, "What Tenter uses over time under mixed load", soakCharts(soaks)); err != nil {
		return err
	}
	if *doc != "" {
		if err := report.ReplaceSection(*doc, "soak", text); err != nil {
			return err
		}
	}
	if steep {
		return errors.New("something grows that should be flat")
	}
	return nil
}

// soak is a load, and what was seen of it.
type soak struct {
	store   string
	e       *env
	site    *site
	samples []soakSample

	mu     sync.Mutex
	took   []time.Duration // resume → run completed, since the last sample
	runs   int             // that have ended, since the last sample
	total  int
	failed error
}

// soakSample is what is used at one moment.
type soakSample struct {
	minutes    float64
	memory     float64 // MB
	heap       float64 // MB
	goroutines float64
	database   float64 // MB
	p50, p99   float64 // ms
	runs       float64 // a second
}

func soakOn(ctx context.Context, e *env, name string, length time.Duration) (s *soak, err error) {
	s = &soak{store: name, e: e}
	s.site, err = newSite(ctx, e, engine.Options{KeepEnded: soakKeep, DedupeFor: soakKeep}, "", 0)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, s.site.close()) }()
	if _, err := s.site.world.park(ctx, soakParked); err != nil {
		return nil, err
	}
	tokens.Clear()
	over, stop := context.WithTimeout(ctx, length)
	defer stop()
	var all sync.WaitGroup
	for _, caller := range []struct {
		n  int
		do func(ctx context.Context) error
	}{{8, s.step}, {6, s.resume}, {3, s.sleep}, {2, s.request}} {
		for range caller.n {
			all.Go(func() { s.loop(over, stop, caller.do) })
		}
	}
	began := time.Now()
	tick := time.NewTicker(max(length/soakSamples, time.Second))
	defer tick.Stop()
	for over.Err() == nil {
		select {
		case <-tick.C:
			sample, err := s.sample(ctx, began)
			if err != nil {
				stop()
				s.fail(err)
			}
			s.samples = append(s.samples, sample)
		case <-over.Done():
		}
	}
	all.Wait()
	return s, errors.Join(s.failed, ctx.Err())
}

// loop does something again and again, with pauses as callers have them.
func (s *soak) loop(over context.Context, stop func(), do func(ctx context.Context) error) {
	ctx := context.WithoutCancel(over)
	for over.Err() == nil {
		if err := do(ctx); err != nil {
			s.fail(err)
			stop()
			return
		}
		s.mu.Lock()
		s.runs++
		s.total++
		s.mu.Unlock()
		time.Sleep(rand.N(80 * time.Millisecond))
	}
}

func (s *soak) fail(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.failed = errors.Join(s.failed, err)
}

func (s *soak) step(ctx context.Context) error { return s.site.world.steps(ctx, 3) }

// resume starts a run that waits, and resumes it.
func (s *soak) resume(ctx context.Context) error {
	run, err := hookWorkflow.Start(ctx, s.site.world.eng, "")
	if err != nil {
		return err
	}
	token, err := s.site.world.tokenWhenParked(ctx, run.ID())
	if err != nil {
		return err
	}
	tokens.Delete(run.ID())
	began := time.Now()
	if _, err := workflow.Resume(ctx, s.site.world.eng, token, "!", workflow.IdempotencyKey(run.ID())); err != nil {
		return err
	}
	_, err = run.Result(ctx)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.took = append(s.took, time.Since(began))
	return err
}

// sleep has a run sleep a little, in a child of its own.
func (s *soak) sleep(ctx context.Context) error {
	run, err := nappingParent.Start(ctx, s.site.world.eng, rand.N(200*time.Millisecond))
	if err != nil {
		return err
	}
	_, err = run.Result(ctx)
	return err
}

// request sends requests to a run, which answers them, and cancels it.
func (s *soak) request(ctx context.Context) error {
	from := []string{fromWorkflow, fromStep}[rand.N(2)]
	run, err := webhookWorkflow.Start(ctx, s.site.world.eng, from)
	if err != nil {
		return err
	}
	token, err := s.site.world.tokenWhenParked(ctx, run.ID())
	if err != nil {
		return err
	}
	for range 10 {
		if err := s.site.post(ctx, s.site.url+server.WebhookPath+token, http.StatusOK); err != nil {
			return err
		}
	}
	if err := run.Cancel(ctx); err != nil {
		return err
	}
	if _, err := run.Result(ctx); !errors.Is(err, context.Canceled) && !errors.Is(err, workflow.ErrCanceled) {
		return fmt.Errorf("a run that was canceled: %w", err)
	}
	return nil
}

func (s *soak) sample(ctx context.Context, began time.Time) (soakSample, error) {
	memory, err := residentMB()
	if err != nil {
		return soakSample{}, err
	}
	database, err := databaseMB(ctx, s.e, s.site.world.db)
	if err != nil {
		return soakSample{}, err
	}
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	s.mu.Lock()
	took, runs := s.took, s.runs
	s.took, s.runs = nil, 0
	s.mu.Unlock()
	sample := soakSample{
		minutes: time.Since(began).Minutes(), memory: memory, heap: float64(m.HeapAlloc) / (1 << 20),
		goroutines: float64(runtime.NumGoroutine()), database: database,
	}
	last := 0.0
	if n := len(s.samples); n > 0 {
		last = s.samples[n-1].minutes
	}
	sample.runs = float64(runs) / ((sample.minutes - last) * 60)
	if len(took) > 0 {
		sample.p50, sample.p99 = milliseconds(percentile(took, 50)), milliseconds(percentile(took, 99))
	}
	return sample, nil
}

// soakMeasure is something that should stay flat: it may grow by so much from the second
// third of the time to the last. In the first caches fill, and nothing is deleted yet.
type soakMeasure struct {
	name  string
	chart string
	may   float64
	of    func(s soakSample) float64
}

var soakMeasures = []soakMeasure{
	{"memory (RSS), MB", "memory (RSS), MB", 0.1, func(s soakSample) float64 { return s.memory }},
	{"heap, MB", "", 0.2, func(s soakSample) float64 { return s.heap }},
	{"goroutines", "goroutines", 0.1, func(s soakSample) float64 { return s.goroutines }},
	{"database, MB", "database, MB", 0.1, func(s soakSample) float64 { return s.database }},
	{"resume → run completed, p50, ms", "resume → run completed, p50, ms", 0.5, func(s soakSample) float64 { return s.p50 }},
	{"resume → run completed, p99, ms", "", 1, func(s soakSample) float64 { return s.p99 }},
	{"runs ended, /s", "runs ended, /s", math.Inf(1), func(s soakSample) float64 { return s.runs }},
}

// markdown is a table of medians, and whether all is flat.
func (s *soak) markdown() (table string, flat bool) {
	var b strings.Builder
	flat = true
	fmt.Fprintf(&b, "\n**%s**: %s runs ended in %.0f minutes, %s were parked all the time.\n\n", s.store, report.Number(float64(s.total)),
		s.samples[len(s.samples)-1].minutes, report.Number(soakParked))
	b.WriteString("| median of | second third | last third | change | |\n|---|---:|---:|---:|---|\n")
	third := len(s.samples) / 3
	for _, m := range soakMeasures {
		before, after := m.median(s.samples[third:2*third]), m.median(s.samples[2*third:])
		change, verdict := after/before-1, "flat"
		switch {
		case math.IsInf(m.may, 1):
			verdict = ""
		case change > m.may:
			verdict, flat = "**grows**", false
		}
		fmt.Fprintf(&b, "| %s | %s | %s | %+.0f %% | %s |\n", m.name, report.Number(before), report.Number(after), 100*change, verdict)
	}
	return b.String(), flat
}

func (m *soakMeasure) median(samples []soakSample) float64 {
	all := make([]float64, len(samples))
	for i, s := range samples {
		all[i] = m.of(s)
	}
	slices.Sort(all)
	return all[len(all)/2]
}

func soakCharts(soaks []*soak) (charts []plot.Chart) {
	for _, m := range soakMeasures {
		if m.chart == "" {
			continue
		}
		c := plot.Chart{Title: m.chart, X: "minutes"}
		for _, s := range soaks {
			l := plot.Line{Name: s.store}
			for _, sample := range s.samples {
				l.Points = append(l.Points, plot.Point{X: sample.minutes, Y: m.of(sample)})
			}
			c.Lines = append(c.Lines, l)
		}
		charts = append(charts, c)
	}
	return charts
}
