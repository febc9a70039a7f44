package engine_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"
)

// A program is what a workflow of the simulation does: a list of operations.
type program []op

// op is one operation. What its fields mean depends on the verb.
type op struct {
	verb  verb
	slot  int           // which of the run's hooks, webhooks, or futures
	n     int           // attempts that fail, payloads to take, program of a child, answers, a build
	d     time.Duration // how long
	token string        // of a hook; ID of a child run, or of another run
	flag  bool          // see the verbs
	typed bool          // the hook is of a defined type
	inner []program
}

type verb string

const (
	vStep       verb = "step"    // takes d, fails n times; flag: for good, and with it the program
	vDeaf       verb = "deaf"    // a step that takes d and does not listen to its context
	vTx         verb = "tx"      // a step in a transaction of the application, fails n times
	vSleep      verb = "sleep"   // for d
	vOpen       verb = "open"    // a hook, with token or a generated one
	vWait       verb = "wait"    // for a payload
	vWaitFor    verb = "waitfor" // at most d
	vRange      verb = "range"   // over n payloads with inner[0] as the body; 0: until the hook is closed
	vClose      verb = "close"   // the hook
	vDrain      verb = "drain"   // close the hook and take what is left
	vSelect     verb = "select"  // over two hooks, a timer of d, and with flag a future
	vPoll       verb = "poll"    // a select over two hooks that does not wait
	vWebhook    verb = "webhook" // open one, with token or a generated one; flag: it is answered by the run
	vServe      verb = "serve"   // wait for a request at most d, and answer it n times; flag: in a step
	vShut       verb = "shut"    // close a webhook
	vLink       verb = "link"    // to a hook, for addressee n, good for d; flag: once
	vUnlink     verb = "unlink"  // revoke a link
	vOffer      verb = "offer"   // open a call, with token or a generated one
	vReply      verb = "reply"   // wait for a request of a call at most d, and answer it n times; flag: in a step; typed: refuse it first
	vListen     verb = "listen"  // open a hook that listens to subject n, with token or a generated one; flag: a name
	vPublish    verb = "publish" // to subject n, from a step
	vFirst      verb = "first"   // of inner
	vAll        verb = "all"     // inner
	vGo         verb = "go"      // inner[0] in a branch
	vJoin       verb = "join"    // wait for a future
	vCall       verb = "call"    // program n as a child run with ID token; flag: don't wait
	vAwait      verb = "await"   // the run with ID token; flag: don't wait
	vTimeout    verb = "timeout" // inner[0] under a deadline of d
	vCancel     verb = "cancel"  // inner[0] in a branch, canceled after inner[1]
	vWithout    verb = "without" // inner[0] without the cancellation of the scope
	vPatch      verb = "patch"   // inner[0] from build n on, inner[1] before; flag: the call alone, which the next build has no more
	vDraw       verb = "draw"    // an ID and a random number
	vSend       verb = "send"    // a payload to token, from a step
	vRestart    verb = "restart" // as program n, which is not below this one, without the cancellation of the run if flag
	vFail       verb = "fail"    // return an error
	vPanic      verb = "panic"   //
	slots            = 3         // hooks and futures are named modulo their number
	maxPrograms      = 3         //
)

var (
	durations = []time.Duration{time.Second, 10 * time.Second, time.Minute, time.Hour}
	tokens    = []string{"red", "blue"}
	runIDs    = []string{"r1", "r2", "r3"}
)

// drawing draws scenarios. All that it draws follows from its seed.
type drawing struct {
	*rand.Rand
	tx       bool // there may be transactions of the application
	late     bool // operations may be carried out after they have failed
	shared   bool // there may be several processes
	patched  bool // builds are deployed, whose code has patches
	restarts bool // programs may end with a restart
	awaits   bool // programs may await other runs
	linked   bool // programs may make links to answer pages
	calls    bool // programs may answer calls
	topics   bool // programs may listen to topics
	verbs    []verb
	deeds    []deed
	mishaps  []mishap
}

func newDrawing(seed uint64) *drawing { return &drawing{Rand: rand.New(rand.NewPCG(seed, 0))} }

// oneOf draws one of several; what is there twice is drawn twice as often.
func oneOf[T any](d *drawing, of ...T) T { return of[d.IntN(len(of))] }

// someOf draws which of several there are at all: what is rare together comes together
// more often where other things are missing.
func someOf[T comparable](d *drawing, of ...T) []T {
	missing := map[T]bool{}
	for _, v := range of {
		if _, drawn := missing[v]; !drawn {
			missing[v] = d.once(3)
		}
	}
	return slices.DeleteFunc(of, func(v T) bool { return missing[v] })
}

// once draws true in one of n times.
func (d *drawing) once(n int) bool { return d.IntN(n) == 0 }

func (d *drawing) duration() time.Duration {
	if d.shared && !d.once(10) || d.tx {
		return oneOf(d, durations[:3]...) // where there is always something to do, long ones take long
	}
	return oneOf(d, durations...)
}

// program draws a program. Children are programs with a number above self.
func (d *drawing) program(self, programs, depth int) program {
	verbs := append([]verb{vOpen, vWait, vStep, vTx, vTx, vTx}, d.verbs...)
	if d.patched {
		verbs = append(verbs, vPatch, vPatch, vPatch)
	}
	if d.awaits {
		verbs = append(verbs, vAwait, vAwait, vAwait)
	}
	if d.linked {
		verbs = append(verbs, vLink, vLink, vLink, vLink, vUnlink)
	}
	if d.calls {
		verbs = append(verbs, vOffer, vReply, vReply, vReply)
	}
	if d.topics {
		verbs = append(verbs, vListen, vListen, vPublish, vRange, vDrain, vClose)
	}
	verbs = slices.DeleteFunc(verbs, func(v verb) bool {
		return !d.tx && v == vTx || depth == 0 && slices.Contains(deep, v) || self+1 >= programs && v == vCall
	})
	p := program{}
	if depth == maxDepth && d.tx && !d.once(3) {
		p = append(p, d.op(vTx, self, programs, depth))
	}
	if depth == maxDepth && !d.once(4) {
		p = append(p, d.op(vOpen, self, programs, depth))
	}
	if depth == maxDepth && d.calls {
		p = append(p, d.op(vOffer, self, programs, depth))
	}
	if depth == maxDepth && d.topics {
		p = append(p, d.op(vListen, self, programs, depth))
	}
	for range 1 + d.IntN(5) {
		p = append(p, d.op(oneOf(d, verbs...), self, programs, depth))
	}
	if depth == maxDepth && d.restarts && d.once(2) {
		p = append(p, op{verb: vRestart, n: self + d.IntN(programs-self), flag: d.once(3)})
	}
	switch d.IntN(20) {
	case 18:
		p = append(p, op{verb: vFail})
	case 19:
		p = append(p, op{verb: vPanic})
	}
	return p
}

const maxDepth = 2

var (
	allVerbs = append([]verb{
		vOpen, vWait, vStep, vSleep, vWaitFor, vRange, vSelect, vPoll, vClose, vDrain, vGo, vJoin, vDraw, vSend, vDeaf,
		vWebhook, vServe, vServe, vShut, vCall, vCall, vCall, vFirst, vAll, vTimeout,
	}, deep...)
	deep = []verb{vFirst, vAll, vTimeout, vCancel, vWithout} // that have programs in them
)

func (d *drawing) op(v verb, self, programs, depth int) op {
	o := op{verb: v, slot: d.IntN(slots), d: d.duration()}
	inner := func(n int) {
		for range n {
			o.inner = append(o.inner, d.program(self, programs, depth-1))
		}
	}
	switch v {
	case vStep:
		o.d = oneOf(d, 0, 0, time.Second, time.Minute)
		o.n = oneOf(d, 0, 0, 0, 1, 2, 5)
		o.flag = d.once(8)
	case vTx:
		o.n = oneOf(d, 0, 0, 0, 1, 5)
	case vOpen:
		o.token = oneOf(d, append([]string{""}, tokens...)...)
		o.typed = d.once(3) || d.linked
	case vLink:
		o.n, o.flag = d.IntN(len(addressees)), d.once(3)
	case vWebhook:
		o.token = oneOf(d, append([]string{"", ""}, tokens...)...)
		o.flag = !d.once(4)
	case vOffer:
		o.token = oneOf(d, append([]string{"", ""}, tokens...)...)
	case vListen:
		o.n, o.flag = d.IntN(len(subjects)), d.once(2)
		o.token = oneOf(d, append([]string{"", "", "", "", ""}, tokens...)...)
	case vPublish:
		o.n = d.IntN(len(subjects))
	case vServe, vReply:
		o.n = oneOf(d, 0, 1, 1, 2)
		o.flag = d.once(2)
		o.typed = v == vReply && d.once(3)
	case vRange:
		o.n = d.IntN(4)
		if depth > 0 {
			inner(1)
		} else {
			o.inner = []program{{}}
		}
	case vSelect:
		o.flag = d.once(2)
	case vFirst, vAll, vCancel:
		inner(2)
	case vGo:
		if depth > 0 {
			inner(1)
		} else {
			o.inner = []program{{{verb: vWait}}}
		}
	case vTimeout, vWithout:
		inner(1)
	case vPatch:
		o.n, o.flag = 1+d.IntN(2), d.once(4)
		switch {
		case o.flag:
		case depth > 0:
			inner(2)
		default:
			o.inner = []program{{{verb: vStep}}, {}}
		}
	case vCall:
		o.n = self + 1 + d.IntN(programs-1-self)
		o.token = oneOf(d, append([]string{"", "", ""}, runIDs...)...)
		o.flag = d.once(2)
	case vAwait:
		o.token = oneOf(d, runIDs...)
		o.flag = d.once(2)
	case vSend:
		o.token = oneOf(d, tokens...)
	case vUnlink, vDeaf, vSleep, vWait, vWaitFor, vClose, vDrain, vPoll, vShut, vJoin, vDraw, vRestart, vFail, vPanic:
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
	case vTx:
		fmt.Fprintf(&s, " fails %d", o.n)
	case vDeaf, vSleep, vTimeout:
		fmt.Fprintf(&s, " %v", o.d)
	case vOpen, vSend, vOffer:
		fmt.Fprintf(&s, " %q", o.token)
		if o.typed {
			s.WriteString(" typed")
		}
	case vListen:
		fmt.Fprintf(&s, " to %s %q named=%t", subjects[o.n], o.token, o.flag)
	case vPublish:
		fmt.Fprintf(&s, " to %s", subjects[o.n])
	case vLink:
		fmt.Fprintf(&s, " %d for %s %v once=%t", o.slot, addressees[o.n], o.d, o.flag)
	case vWebhook:
		fmt.Fprintf(&s, " %q manual=%t", o.token, o.flag)
	case vServe, vReply:
		fmt.Fprintf(&s, " %d %v answers=%d step=%t", o.slot, o.d, o.n, o.flag)
		if o.typed {
			s.WriteString(" refuse")
		}
	case vWait, vClose, vDrain, vJoin, vShut, vUnlink:
		fmt.Fprintf(&s, " %d", o.slot)
	case vWaitFor:
		fmt.Fprintf(&s, " %d %v", o.slot, o.d)
	case vRange:
		fmt.Fprintf(&s, " %d take %d", o.slot, o.n)
	case vSelect:
		fmt.Fprintf(&s, " %d %d %v future=%t", o.slot, o.slot+1, o.d, o.flag)
	case vPoll:
		fmt.Fprintf(&s, " %d %d", o.slot, o.slot+1)
	case vCall:
		fmt.Fprintf(&s, " p%d run=%q go=%t", o.n, o.token, o.flag)
	case vAwait:
		fmt.Fprintf(&s, " %s go=%t", o.token, o.flag)
	case vPatch:
		fmt.Fprintf(&s, " %d alone=%t", o.n, o.flag)
	case vRestart:
		fmt.Fprintf(&s, " p%d without cancel=%t", o.n, o.flag)
	case vFirst, vAll, vGo, vCancel, vWithout, vDraw, vFail, vPanic:
	}
	for _, p := range o.inner {
		s.WriteString(" {" + p.String() + "}")
	}
	return s.String()
}
