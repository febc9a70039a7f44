package main

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"
)

// workers is how many worker processes a fleet has.
const workers = 4

// stepRunsOfWorkers has worker processes on one database execute runs of three steps
// that they start themselves.
func stepRunsOfWorkers(atATime int, perSecond budget) round {
	return onProcesses(0, func(ctx context.Context, e *env, url string, ps processes) (ms []metric, err error) {
		n := e.size(5000) // of each
		run := func(n int) func(int, *process) error {
			return func(_ int, p *process) error { return p.call("Steps", Load{n, atATime}, &none{}) }
		}
		what := fmt.Sprintf("3-step runs, %d worker processes, each starts and executes %d at a time", workers, atATime)
		return ps.measure(what, workers*n, perSecond, func(n int) error { return ps.all(run(n / workers)) })
	})
}

// stepRunsOfClient has worker processes execute runs that a process starts which
// executes none.
func stepRunsOfClient(atATime int) round {
	return onProcesses(0, func(ctx context.Context, e *env, url string, ps processes) (ms []metric, err error) {
		client, err := openClient(ctx, url)
		if err != nil {
			return nil, err
		}
		defer func() { err = joinClose(err, client) }()
		what := fmt.Sprintf("3-step runs, a process starts %d at a time, %d others execute them", atATime, workers)
		return ps.measure(what, e.size(8000), budget{}, func(n int) error {
			return each(n, atATime, func(int) error { return client.steps(ctx, 3) })
		})
	})
}

// resumesOfClient has worker processes execute parked runs that a process resumes, and awaits,
// which executes none.
func resumesOfClient(atATime int, what string, cacheSize int) round {
	return onProcesses(cacheSize, func(ctx context.Context, e *env, url string, ps processes) (ms []metric, err error) {
		n := e.size(8000)
		parked, err := ps.park(ctx, n+n/5)
		if err != nil {
			return nil, err
		}
		client, err := openClient(ctx, url)
		if err != nil {
			return nil, err
		}
		defer func() { err = joinClose(err, client) }()
		var next atomic.Int64
		resume := func(int) error {
			i := int(next.Add(1)) - 1
			_, err := client.resumed(ctx, parked[i])
			return err
		}
		before, err := e.server.cpu()
		if err != nil {
			return nil, err
		}
		ms, err = ps.measure(what, n, budget{}, func(n int) error { return each(n, atATime, resume) })
		if err != nil {
			return nil, err
		}
		after, err := e.server.cpu()
		perRun := float64((after - before).Microseconds()) / float64(next.Load())
		return append(ms, e.server.cpuMetric(what+": CPU of the server", perRun, "µs/run")), err
	})
}

// park starts n runs that wait on a hook, and waits until all do. Each process may execute runs that
// another one has started.
func (ps processes) park(ctx context.Context, n int) ([]ParkedRun, error) {
	err := ps.all(func(i int, p *process) error {
		var took time.Duration
		return p.call("Park", (n+i)/len(ps), &took)
	})
	if err != nil {
		return nil, err
	}
	var parked []ParkedRun
	for len(parked) < n {
		for _, p := range ps {
			var runs []ParkedRun
			if err := p.call("TakeParked", none{}, &runs); err != nil {
				return nil, err
			}
			parked = append(parked, runs...)
		}
		select {
		case <-time.After(10 * time.Millisecond):
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	return parked, nil
}

// measure times n runs, after some that warm up. The commits are those of the workers.
func (ps processes) measure(what string, n int, perSecond budget, run func(n int) error) ([]metric, error) {
	if err := run(n / 5); err != nil {
		return nil, err
	}
	before, err := ps.spent()
	if err != nil {
		return nil, err
	}
	began := time.Now()
	if err := run(n); err != nil {
		return nil, err
	}
	took := time.Since(began)
	after, err := ps.spent()
	if err != nil {
		return nil, err
	}
	used, runs := after.since(before), float64(n)
	ms := []metric{{name: what, value: runs / took.Seconds(), unit: "runs/s", budget: perSecond}}
	ms = append(ms, used.Counts.perRun(what, runs, budget{})...)
	return append(
		ms,
		metric{name: what + ": notifications sent", value: float64(used.Counts.Notified) / runs, unit: "/run"},
		metric{name: what + ": CPU of the workers", value: float64(used.CPU.Microseconds()) / runs, unit: "µs/run"},
	), nil
}

// acrossProcesses resumes runs, one at a time, that a worker process executes, and waits
// for their results in this process, which executes none.
func acrossProcesses(what string, cacheSize int, p50 budget) round {
	return func(ctx context.Context, e *env) (ms []metric, err error) {
		url, drop, err := e.create(ctx)
		if err != nil {
			return nil, err
		}
		defer func() { err = errors.Join(err, drop()) }()
		worker, err := startProcess(ctx, url, cacheSize)
		if err != nil {
			return nil, err
		}
		defer func() { err = errors.Join(err, worker.close()) }()
		client, err := openClient(ctx, url)
		if err != nil {
			return nil, err
		}
		defer func() { err = joinClose(err, client) }()
		n := e.calls()
		all := n + n/5
		var took time.Duration
		var runs []ParkedRun
		if err := errors.Join(worker.call("Park", all, &took), worker.call("Parked", all, &runs)); err != nil {
			return nil, err
		}
		var reached []time.Duration
		ms, err = oneAtATime(what, n, p50, func(i int) error {
			began := time.Now()
			at, err := client.resumed(ctx, runs[i])
			if i >= n/5 {
				reached = append(reached, at.Sub(began))
			}
			return err
		})
		return append(
			ms,
			metric{name: what + ", until its code goes on there: p50", value: milliseconds(percentile(reached, 50)), unit: "ms"},
			metric{name: what + ", until its code goes on there: p99", value: milliseconds(percentile(reached, 99)), unit: "ms"},
		), err
	}
}

// idleFleet measures worker processes on a database with many parked runs, while nobody
// asks them for anything.
func idleFleet(workers int) round {
	return func(ctx context.Context, e *env) ([]metric, error) { return idleWorkers(ctx, e, workers) }
}

func idleWorkers(ctx context.Context, e *env, workers int) (ms []metric, err error) {
	url, drop, err := e.create(ctx)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, drop()) }()
	ps, err := startProcesses(ctx, workers, url, 0)
	defer func() { err = errors.Join(err, ps.close()) }()
	if err != nil {
		return nil, err
	}
	n := e.size(100_000)
	began := time.Now()
	err = ps.all(func(_ int, p *process) error {
		var took time.Duration
		return p.call("Park", n/workers, &took)
	})
	if err != nil {
		return nil, err
	}
	started := time.Since(began)
	name, err := databaseOf(url)
	if err != nil {
		return nil, err
	}
	if !e.quick {
		<-time.After(12 * time.Second) // then the backends have told all that they had done
	}
	var before, after bill
	if err := e.server.count(ctx, name, &before); err != nil {
		return nil, err
	}
	idle, err := ps.idle(e.idle())
	if err != nil {
		return nil, err
	}
	if err := e.server.count(ctx, name, &after); err != nil {
		return nil, err
	}
	used, seconds := after.since(before), e.idle().Seconds()
	what := fmt.Sprintf("100,000 parked runs, %d worker processes", workers)
	return []metric{
		{name: what + ": started, each 256 at a time", value: float64(n) / started.Seconds(), unit: "runs/s"},
		{name: what + ": idle, transactions", value: used.transactions / seconds, unit: "/s"},
		{name: what + ": idle, commits that write", value: float64(idle.Counts.Commits) / seconds, unit: "/s"},
		{name: what + ": idle, CPU of all workers", value: milliseconds(idle.CPU) / seconds, unit: "ms/s"},
		e.server.cpuMetric(what+": idle, CPU of the server", milliseconds(used.cpu)/seconds, "ms/s"),
	}, nil
}
