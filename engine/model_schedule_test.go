package engine_test

import (
	"fmt"
	"strings"
	"time"

	"pgregory.net/rapid"
)

// scenario is one case of the model test: programs, and what happens to their runs.
type scenario struct {
	lag      time.Duration // of the store's signals
	late     bool          // what has failed may be carried out later
	programs []program
	actions  []action
}

// action is something that happens outside the runs.
type action struct {
	do      deed
	node    int // through which of the nodes; after the last one, a pure client
	program int
	target  int    // which of the open hooks, or of the runs, modulo what there is
	token   string // instead of an open hook
	run     string // ID of the run to start
	key     string // of idempotency
	flag    bool   // send: or start; crash, leave: no new node begins
	bad     bool   // the payload is
	d       time.Duration
	faults  []fault
	now     bool // the next action does not wait until all is quiet
}

type deed string

const (
	start     deed = "start"
	send      deed = "send"
	cancel    deed = "cancel"
	wake      deed = "wake"
	terminate deed = "terminate"
	retry     deed = "retry"
	pass      deed = "pass"  // time passes
	crash     deed = "crash" // a node, and a new one begins, or not
	leave     deed = "leave" // a node stops in an orderly way, the same
	evict     deed = "evict" // all parked runs of a node
	join      deed = "join"  // another node
	cut       deed = "cut"   // a node off from the store, for d
	fail      deed = "fail"  // the next writes of a node
)

func drawScenario(t *rapid.T) scenario {
	var s scenario
	s.lag = rapid.SampledFrom([]time.Duration{0, 0, 1500 * time.Millisecond}).Draw(t, "lag")
	s.late = rapid.IntRange(0, 2).Draw(t, "late") == 2
	n := rapid.IntRange(1, maxPrograms).Draw(t, "programs")
	for i := range n {
		s.programs = append(s.programs, drawProgram(t, i, n, maxDepth))
	}
	s.actions = append(s.actions, action{do: start, run: runIDs[0]})
	deeds := []deed{
		start, start, send, send, send, send, send, send, send, send, send, pass, pass, pass,
		cancel, wake, terminate, retry, retry, crash, leave, evict, join, cut, fail, fail, fail,
	}
	for range rapid.IntRange(2, 14).Draw(t, "actions") {
		a := drawAction(t, rapid.SampledFrom(deeds).Draw(t, "do"), n, s.late)
		s.actions = append(s.actions, a)
		if a.do == fail && s.late { // most of what may go wrong then is in the way of a payload
			next := drawAction(t, send, n, s.late)
			next.node, next.key = a.node, ""
			s.actions = append(s.actions, next)
		}
	}
	return s
}

func drawAction(t *rapid.T, do deed, programs int, mayBeLate bool) action {
	a := action{do: do, node: rapid.IntRange(0, 2).Draw(t, "node")}
	switch do {
	case start:
		a.program = rapid.IntRange(0, programs-1).Draw(t, "program")
		a.run = rapid.SampledFrom(runIDs).Draw(t, "run")
	case send:
		a.target = rapid.IntRange(0, 3).Draw(t, "hook")
		a.token = rapid.SampledFrom(append([]string{"", ""}, tokens...)).Draw(t, "token")
		a.key = rapid.SampledFrom([]string{"", "", "", "k1", "k2"}).Draw(t, "key")
		a.bad = rapid.IntRange(0, 9).Draw(t, "bad") == 9
		a.flag = rapid.IntRange(0, 3).Draw(t, "orStart") == 3
		a.program = rapid.IntRange(0, programs-1).Draw(t, "program")
	case cancel, wake, terminate, retry:
		a.target = rapid.IntRange(0, 5).Draw(t, "run")
	case pass:
		a.d = rapid.SampledFrom(durations).Draw(t, "d")
	case cut:
		a.d = rapid.SampledFrom(durations[:3]).Draw(t, "d")
	case fail:
		kinds := rapid.SampledFrom([]fault{none, before, after, after})
		if mayBeLate {
			soon := rapid.Map(rapid.IntRange(1, 20), func(ms int) fault { return fault(time.Duration(ms) * time.Millisecond) })
			kinds = rapid.OneOf(kinds, soon, soon, rapid.Just(fault(1500*time.Millisecond)), rapid.Just(latest))
		}
		a.faults = rapid.SliceOfN(kinds, 1, 4).Draw(t, "faults")
	case crash, leave:
		a.flag = rapid.IntRange(0, 1).Draw(t, "down") == 1
	case evict, join:
	}
	a.now = rapid.IntRange(0, 4).Draw(t, "now") == 4
	return a
}

func (a action) String() string {
	s := fmt.Sprintf("%-9s node %d", a.do, a.node)
	switch a.do {
	case start:
		s += fmt.Sprintf(" p%d as %s", a.program, a.run)
	case send:
		if a.token != "" {
			s += " to " + a.token
		} else {
			s += fmt.Sprintf(" to open hook %d", a.target)
		}
		if a.key != "" {
			s += " key " + a.key
		}
		if a.flag {
			s += fmt.Sprintf(" or start p%d", a.program)
		}
		if a.bad {
			s += " bad"
		}
	case cancel, wake, terminate, retry:
		s += fmt.Sprintf(" run %d", a.target)
	case pass, cut:
		s += fmt.Sprintf(" %v", a.d)
	case fail:
		s += fmt.Sprintf(" %v", a.faults)
	case crash, leave:
		if a.flag {
			s += " for good"
		}
	case evict, join:
	}
	if a.now {
		s += " (and at once:)"
	}
	return s
}

// String is what a failed test shows.
func (s scenario) String() string {
	var b strings.Builder
	if s.late {
		b.WriteString("what fails may come late\n")
	}
	if s.lag > 0 {
		fmt.Fprintf(&b, "signals lag by %v\n", s.lag)
	}
	for i, p := range s.programs {
		fmt.Fprintf(&b, "p%d: %v\n", i, p)
	}
	for _, a := range s.actions {
		fmt.Fprintf(&b, "%v\n", a)
	}
	return b.String()
}

// GoString is what rapid shows.
func (s scenario) GoString() string { return "\n" + s.String() }
