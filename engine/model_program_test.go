package engine_test

import (
	"fmt"
	"strings"
	"time"

	"pgregory.net/rapid"
)

// A program is what a workflow of the model test does: a list of operations.
type program []op

// op is one operation. What its fields mean depends on the verb.
type op struct {
	verb  verb
	slot  int           // which of the run's hooks, or futures
	n     int           // attempts that fail, payloads to take, program of a child
	d     time.Duration // how long
	token string        // of a hook; ID of a child run
	flag  bool          // see the verbs
	inner []program
}

type verb string

const (
	vStep       verb = "step"    // takes d, fails n times; flag: for good, and with it the program
	vDeaf       verb = "deaf"    // a step that takes d and does not listen to its context
	vSleep      verb = "sleep"   // for d
	vOpen       verb = "open"    // a hook, with token or a generated one
	vWait       verb = "wait"    // for a payload
	vWaitFor    verb = "waitfor" // at most d
	vRange      verb = "range"   // over n payloads with inner[0] as the body; 0: until the hook is closed
	vClose      verb = "close"   // the hook
	vDrain      verb = "drain"   // close the hook and take what is left
	vSelect     verb = "select"  // over two hooks, a timer of d, and with flag a future
	vFirst      verb = "first"   // of inner
	vAll        verb = "all"     // inner
	vGo         verb = "go"      // inner[0] in a branch
	vJoin       verb = "join"    // wait for a future
	vCall       verb = "call"    // program n as a child run with ID token; flag: don't wait
	vTimeout    verb = "timeout" // inner[0] under a deadline of d
	vCancel     verb = "cancel"  // inner[0] in a branch, canceled after inner[1]
	vWithout    verb = "without" // inner[0] without the cancellation of the scope
	vDraw       verb = "draw"    // an ID and a random number
	vSend       verb = "send"    // a payload to token, from a step
	vFail       verb = "fail"    // return an error
	vPanic      verb = "panic"   //
	slots            = 3         // hooks and futures are named modulo what there is
	maxPrograms      = 3         //
)

var (
	durations = []time.Duration{time.Second, 10 * time.Second, time.Minute, time.Hour}
	tokens    = []string{"red", "blue"}
	runIDs    = []string{"r1", "r2", "r3"}
)

// drawProgram draws a program. Children are programs with a number above self.
func drawProgram(t *rapid.T, self, programs, depth int) program {
	verbs := []verb{
		vOpen, vOpen, vWait, vWait, vStep, vStep, vSleep, vWaitFor, vRange, vSelect, vClose, vDrain,
		vGo, vJoin, vDraw, vSend, vDeaf,
	}
	if depth > 0 {
		verbs = append(verbs, vFirst, vAll, vTimeout, vCancel, vWithout, vFirst, vAll, vTimeout)
	}
	if self+1 < programs {
		verbs = append(verbs, vCall, vCall, vCall)
	}
	p := program{}
	if depth == maxDepth && rapid.IntRange(0, 3).Draw(t, "opens") > 0 {
		p = append(p, drawOp(t, vOpen, self, programs, depth))
	}
	for range rapid.IntRange(1, 5).Draw(t, "length") {
		v := rapid.SampledFrom(verbs).Draw(t, "verb")
		p = append(p, drawOp(t, v, self, programs, depth))
	}
	switch rapid.IntRange(0, 19).Draw(t, "end") {
	case 18:
		p = append(p, op{verb: vFail})
	case 19:
		p = append(p, op{verb: vPanic})
	}
	return p
}

const maxDepth = 2

func drawOp(t *rapid.T, v verb, self, programs, depth int) op {
	o := op{verb: v}
	inner := func(n int) {
		for range n {
			o.inner = append(o.inner, drawProgram(t, self, programs, depth-1))
		}
	}
	slot := func() { o.slot = rapid.IntRange(0, slots-1).Draw(t, "slot") }
	d := func() { o.d = rapid.SampledFrom(durations).Draw(t, "d") }
	switch v {
	case vStep:
		o.d = rapid.SampledFrom([]time.Duration{0, 0, time.Second, time.Minute}).Draw(t, "takes")
		o.n = rapid.SampledFrom([]int{0, 0, 0, 1, 2, 5}).Draw(t, "fails")
		o.flag = rapid.IntRange(0, 7).Draw(t, "fatal") == 7
	case vDeaf, vSleep:
		d()
	case vOpen:
		o.token = rapid.SampledFrom(append([]string{""}, tokens...)).Draw(t, "token")
	case vWait, vClose, vDrain, vJoin:
		slot()
	case vWaitFor:
		slot()
		d()
	case vRange:
		slot()
		o.n = rapid.IntRange(0, 3).Draw(t, "payloads")
		if depth > 0 {
			inner(1)
		} else {
			o.inner = []program{{}}
		}
	case vSelect:
		slot()
		d()
		o.flag = rapid.Bool().Draw(t, "future")
	case vFirst, vAll, vCancel:
		inner(2)
	case vGo:
		if depth > 0 {
			inner(1)
		} else {
			o.inner = []program{{{verb: vWait}}}
		}
	case vTimeout:
		d()
		inner(1)
	case vWithout:
		inner(1)
	case vCall:
		o.n = rapid.IntRange(self+1, programs-1).Draw(t, "program")
		o.token = rapid.SampledFrom(append([]string{"", "", ""}, runIDs...)).Draw(t, "run")
		o.flag = rapid.Bool().Draw(t, "go")
	case vSend:
		o.token = rapid.SampledFrom(tokens).Draw(t, "token")
	case vDraw, vFail, vPanic:
	}
	return o
}

func (p program) String() string {
	lines := make([]string, len(p))
	for i, o := range p {
		lines[i] = o.String()
	}
	return strings.Join(lines, "; ")
}

func (o op) String() string {
	var s strings.Builder
	s.WriteString(string(o.verb))
	switch o.verb {
	case vStep:
		fmt.Fprintf(&s, " %v", o.d)
		if o.flag {
			s.WriteString(" fatal")
		} else if o.n > 0 {
			fmt.Fprintf(&s, " fails %d", o.n)
		}
	case vDeaf, vSleep, vTimeout:
		fmt.Fprintf(&s, " %v", o.d)
	case vOpen, vSend:
		s.WriteString(" " + o.token)
	case vWait, vClose, vDrain, vJoin:
		fmt.Fprintf(&s, " %d", o.slot)
	case vWaitFor:
		fmt.Fprintf(&s, " %d %v", o.slot, o.d)
	case vRange:
		fmt.Fprintf(&s, " %d take %d", o.slot, o.n)
	case vSelect:
		fmt.Fprintf(&s, " %d %d %v future=%t", o.slot, o.slot+1, o.d, o.flag)
	case vCall:
		fmt.Fprintf(&s, " p%d run=%q go=%t", o.n, o.token, o.flag)
	case vFirst, vAll, vGo, vCancel, vWithout, vDraw, vFail, vPanic:
	}
	for _, p := range o.inner {
		s.WriteString(" {" + p.String() + "}")
	}
	return strings.TrimSpace(s.String())
}
