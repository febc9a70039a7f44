package main

import "slices"

// A metric is a column of the tables, and perhaps a chart of the plot.
type metric struct {
	heading string
	chart   string // its title; empty: none
}

var (
	runsPerSecond    = metric{"3-step runs, 64 at a time: runs/s", "3-step runs, 64 at a time: runs/s, more is better"}
	apartPerSecond   = metric{"started by one process, executed by another: runs/s", "3-step runs, executed by another process: runs/s, more is better"}
	stepP50          = metric{"start → 1 step → result, one at a time: p50 ms", "start → 1 step → result, one at a time: ms (p50), less is better"}
	stepP99          = metric{"p99 ms", "start → 1 step → result, one at a time: ms (p99), less is better"}
	resumesPerSecond = metric{"2,000 parked runs resumed, 32 at a time: completed/s", "parked runs resumed, 32 at a time: completed/s, more is better"}
	resumeP50        = metric{"resume → run completed, one at a time: p50 ms", "resume → run completed, one at a time: ms (p50), less is better"}
	resumeP99        = metric{"p99 ms", ""}
	per100           = metric{"a run of 100 steps: ms a step", ""}
	per1000          = metric{"of 1,000", "a run of 1,000 steps: ms a step, less is better"}
	per5000          = metric{"of 5,000", ""}
	parked2000       = metric{"memory with 2,000 parked runs: MB", ""}
	parked20000      = metric{"with 20,000", "memory with 20,000 parked runs, servers included: MB, less is better"}
)

// charts are the metrics of the plot.
var charts = []*metric{&runsPerSecond, &apartPerSecond, &resumesPerSecond, &resumeP50, &stepP50, &stepP99, &per1000, &parked20000}

// An outcome is what the race has found of a contender.
type outcome struct {
	contender
	version string
	values  map[*metric][]float64 // of each round
	notes   []string
	err     error // why there is nothing, or no more
}

func (o *outcome) add(m *metric, v float64) {
	if o.values == nil {
		o.values = map[*metric][]float64{}
	}
	o.values[m] = append(o.values[m], v)
}

func (o *outcome) note(text string) {
	if !slices.Contains(o.notes, text) {
		o.notes = append(o.notes, text)
	}
}

// of returns the median over the rounds, and what they ranged over.
func (o *outcome) of(m *metric) (median, lowest, highest float64, ok bool) {
	values := slices.Sorted(slices.Values(o.values[m]))
	if len(values) == 0 {
		return 0, 0, 0, false
	}
	return values[len(values)/2], values[0], values[len(values)-1], true
}
