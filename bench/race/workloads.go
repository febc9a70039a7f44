package main

import (
	"context"
	"fmt"
	"time"

	"github.com/tenter-dev/tenter/bench/internal/report"
	"github.com/tenter-dev/tenter/bench/race/peer"
)

// sizes are how much is done, and for how long at most. Slow engines do less, so that
// the race ends.
type sizes struct {
	warm, runs, one time.Duration
	apart           time.Duration // until the client of a worker is given up
	parked          int           // three quarters are resumed 32 at a time, a fifth one at a time
	parking         time.Duration
	resuming        time.Duration
	long            []longRun
	memory          [2]int
}

type longRun struct {
	steps int
	time  time.Duration
	m     *metric
}

func sizesOf(quick bool) sizes {
	s := sizes{
		warm: time.Second, runs: 3 * time.Second, one: 2 * time.Second, apart: 4 * time.Minute,
		parked: 2000, parking: 20 * time.Second, resuming: 4 * time.Second,
		long:   []longRun{{100, 4 * time.Second, &per100}, {1000, 6 * time.Second, &per1000}, {5000, 8 * time.Second, &per5000}},
		memory: [2]int{2000, 20_000},
	}
	if quick {
		s.warm, s.runs, s.one = s.warm/5, s.runs/5, s.one/5
		s.parked, s.resuming = 100, time.Second
		s.long = s.long[:1]
		s.memory = [2]int{100, 200}
	}
	return s
}

// raceOnce races an engine for one round. Where it fails with two processes, the rest
// counts nevertheless.
func (r *race) raceOnce(ctx context.Context, o *outcome) error {
	if err := r.ready(o.contender); err != nil {
		return err
	}
	if err := r.raceApart(ctx, o); err != nil {
		o.note("started by one process, executed by another: **failed**: " + oneLine(err))
	}
	return r.raceTogether(ctx, o)
}

// raceTogether races an engine that is in one process with its client.
func (r *race) raceTogether(ctx context.Context, o *outcome) (err error) {
	p, err := r.start(ctx, o.contender, peer.RoleAll)
	if err != nil {
		return err
	}
	defer func() { err = closed(err, p) }()
	for _, workload := range []func(sizes, *process, *outcome) error{throughput, latency, resumes, longRuns} {
		if err := workload(r.sizes, p, o); err != nil {
			return err
		}
	}
	return nil
}

func throughput(s sizes, p *process, o *outcome) error {
	_, got, err := manyRuns(s, p)
	if err != nil {
		return err
	}
	o.add(&runsPerSecond, perSecond(got))
	return nil
}

const manySteps = 3

// manyRuns executes runs, 64 at a time, after some to warm up.
func manyRuns(s sizes, p *process) (warmed, measured peer.Result, err error) {
	c := peer.Command{Do: peer.DoRuns, AtATime: 64, Steps: manySteps, Time: s.warm}
	if warmed, err = p.do(c); err != nil {
		return warmed, measured, err
	}
	c.Time = s.runs
	measured, err = p.do(c)
	return warmed, measured, err
}

func latency(s sizes, p *process, o *outcome) error {
	c := peer.Command{Do: peer.DoRuns, AtATime: 1, Steps: 1, Time: s.one / 5}
	if _, err := p.do(c); err != nil {
		return err
	}
	c.Time = s.one
	got, err := p.do(c)
	if err != nil {
		return err
	}
	o.add(&stepP50, milliseconds(got.P50))
	o.add(&stepP99, milliseconds(got.P99))
	return nil
}

func resumes(s sizes, p *process, o *outcome) error {
	parked, err := p.do(peer.Command{Do: peer.DoPark, N: s.parked, AtATime: 64, Time: s.parking})
	if err != nil {
		return err
	}
	if parked.Done < s.parked {
		o.note(fmt.Sprintf("fewer than %s runs were parked: no more were started in %v", report.Number(float64(s.parked)), s.parking))
	}
	c := peer.Command{Do: peer.DoResume, N: parked.Done / 20, AtATime: 32, Time: s.resuming}
	if _, err := p.do(c); err != nil {
		return err
	}
	c.N = parked.Done * 3 / 4
	got, err := p.do(c)
	if err != nil {
		return err
	}
	o.add(&resumesPerSecond, perSecond(got))
	c.N, c.AtATime = parked.Done/5, 1
	if got, err = p.do(c); err != nil {
		return err
	}
	o.add(&resumeP50, milliseconds(got.P50))
	o.add(&resumeP99, milliseconds(got.P99))
	return nil
}

func longRuns(s sizes, p *process, o *outcome) error {
	for _, l := range s.long {
		got, err := p.do(peer.Command{Do: peer.DoRuns, N: 1, AtATime: 1, Steps: l.steps, Time: l.time, Cut: true})
		if err != nil {
			return err
		}
		if got.Steps == 0 {
			return fmt.Errorf("no step in %v", l.time)
		}
		o.add(l.m, milliseconds(got.Took)/float64(got.Steps))
		if got.Done == 0 {
			o.note(fmt.Sprintf("runs of %s steps were cut off after %v", report.Number(float64(l.steps)), l.time))
		}
	}
	return nil
}

// weigh measures the memory of an engine with parked runs.
func (r *race) weigh(ctx context.Context, o *outcome) (err error) {
	p, err := r.start(ctx, o.contender, peer.RoleAll)
	if err != nil {
		return err
	}
	defer func() { err = closed(err, p) }()
	parked := 0
	for i, m := range []*metric{&parked2000, &parked20000} {
		got, err := p.do(peer.Command{Do: peer.DoPark, N: r.sizes.memory[i] - parked, AtATime: 64, Time: 2 * r.sizes.parking})
		if err != nil {
			return err
		}
		parked += got.Done
		if parked < r.sizes.memory[i] {
			o.note(fmt.Sprintf("memory is that of %s parked runs: no more were started in %v", report.Number(float64(parked)), 2*r.sizes.parking))
		}
		mb, err := p.memory(ctx)
		if err != nil {
			return err
		}
		o.add(m, mb)
	}
	return nil
}

func perSecond(r peer.Result) float64 { return float64(r.Done) / r.Took.Seconds() }

func milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
