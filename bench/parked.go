package main

import (
	"context"
	"errors"
	"runtime"
	"runtime/debug"
	"time"
)

// measureParked measures two processes, one after the other, that have many parked runs.
func measureParked(ctx context.Context, e *env) (ms []metric, err error) {
	url, drop, err := e.create(ctx)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, drop()) }()
	first, err := startProcess(ctx, url, 0)
	if err != nil {
		return nil, err
	}
	n := e.size(100_000)
	var took time.Duration
	var runs []ParkedRun
	var startedMB float64
	err = errors.Join(first.call("Park", n, &took), first.call("Parked", 1, &runs), first.call("Memory", none{}, &startedMB))
	if err := errors.Join(err, first.close()); err != nil {
		return nil, err
	}
	second, err := startProcess(ctx, url, 0)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, second.close()) }()
	var opened, resumed time.Duration
	var restartedMB float64
	err = errors.Join(second.call("Opened", none{}, &opened), second.call("Resume", runs[0], &resumed), second.call("Memory", none{}, &restartedMB))
	if err != nil {
		return nil, err
	}
	idle, err := processes{second}.idle(e.idle())
	if err != nil {
		return nil, err
	}
	seconds := e.idle().Seconds()
	return []metric{
		{name: "100,000 parked runs: started, 256 at a time", value: float64(n) / took.Seconds(), unit: "runs/s"},
		{name: "100,000 parked runs: memory (RSS), 10,000 of them cached", value: startedMB, unit: "MB", budget: atMost(150)},
		{name: "100,000 parked runs: memory (RSS) after a restart", value: restartedMB, unit: "MB", budget: atMost(150)},
		{name: "100,000 parked runs: restart until a new run has completed", value: opened.Seconds(), unit: "s", budget: atMost(1)},
		{name: "100,000 parked runs: the first resume after it → completed", value: milliseconds(resumed), unit: "ms"},
		{name: "100,000 parked runs: idle CPU", value: milliseconds(idle.CPU) / seconds, unit: "ms/s"},
		{name: "100,000 parked runs: idle store operations", value: float64(idle.Counts.Operations) / seconds, unit: "/s"},
		{name: "100,000 parked runs: idle commits", value: float64(idle.Counts.Commits) / seconds, unit: "/s"},
	}, nil
}

// idle is how long to look at processes that have nothing to do.
func (e *env) idle() time.Duration {
	switch {
	case e.quick:
		return time.Second
	case e.server != nil:
		return 20 * time.Second // what its peers do, they do every 10 s
	}
	return 5 * time.Second
}

// idle returns what children use while nobody asks them for anything.
func (ps processes) idle(d time.Duration) (Spent, error) {
	before, err := ps.spent()
	if err != nil {
		return Spent{}, err
	}
	<-time.After(d)
	after, err := ps.spent()
	return after.since(before), err
}

// settledMB is the memory without what is garbage already.
func settledMB() (float64, error) {
	runtime.GC()
	debug.FreeOSMemory()
	return residentMB()
}
