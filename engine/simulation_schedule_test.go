package engine_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"
)

// scenario is what is simulated: programs, and what happens to their runs.
type scenario struct {
	seed     uint64        // of what is decided while it happens
	pace     time.Duration // operations on the store take up to so long
	lag      time.Duration // of the store's signals
	shared   bool          // each node is a process of its own, and there may be several
	late     bool          // what has failed may be carried out later
	ordered  bool          // signals say which node comes first for a run, each time another one
	tx       bool          // the application has transactions in the store's file
	cache    int           // parked runs that a node keeps
	begin    int           // nodes that there are in the beginning
	atOnce   int           // listeners that get a publication at once
	programs []program
	actions  []action
}

// action is something that happens outside the runs.
type action struct {
	do      deed
	node    int // through which of the nodes; after the last one, a pure client
	program int
	target  int    // which of the open hooks, of the runs, or of the subjects, modulo their number
	token   string // instead of an open hook
	run     string // ID of the run to start
	key     string // of idempotency
	flag    bool   // send: or start; knock: the run answers; crash, leave: no new node begins; deploy: the old ones crash
	bad     bool   // the payload is
	d       time.Duration
	faults  []fault
	now     bool // the next action does not wait until all is quiet
}

type deed string

const (
	start      deed = "start"
	send       deed = "send"
	request    deed = "request"   // to a webhook
	knock      deed = "knock"     // a request that starts a run if nobody has the token
	reply      deed = "reply"     // by a link
	takeBack   deed = "take back" // a link
	inquire    deed = "inquire"   // of a call
	announce   deed = "announce"  // to a subject
	cancel     deed = "cancel"
	wake       deed = "wake"
	terminate  deed = "terminate"
	retry      deed = "retry"
	pass       deed = "pass"   // time passes
	crash      deed = "crash"  // a node, and a new one begins, or not
	leave      deed = "leave"  // a node stops in an orderly way, the same
	freeze     deed = "freeze" // a node stands still, for d
	expire     deed = "expire" // the store takes a node's lease for lapsed
	evict      deed = "evict"  // all parked runs of a node
	join       deed = "join"   // another node
	cut        deed = "cut"    // a node off from the store, for d
	fail       deed = "fail"   // the next operations of a node
	deploy     deed = "deploy" // the next build: all nodes end, and as many begin with it
	pause      deed = "pause"  // a run
	proceed    deed = "go on"  // a run that is paused
	pauseAll   deed = "pause all"
	proceedAll deed = "go on all"
)

// maxNodes is how many engines execute runs at the same time.
const maxNodes = 3

// drawScenario draws the scenario of a seed.
func drawScenario(seed uint64) scenario {
	d := newDrawing(seed)
	s := scenario{
		seed: seed, pace: oneOf(d, 0, 2*time.Millisecond, 2*time.Millisecond, 2*time.Millisecond), lag: oneOf(d, 0, 0, 1500*time.Millisecond), late: d.once(3), tx: d.once(6), cache: oneOf(d, 0, 0, 0, 1, noCache),
		begin: oneOf(d, 1, 1, 2, 3),
	}
	if s.shared = s.late || s.tx || d.once(3); !s.shared {
		s.begin = 1
	}
	if s.tx {
		s.begin = max(s.begin, 2)
	}
	if s.late {
		s.pace = 2 * time.Millisecond // so that what is late can come between two operations
	}
	d.tx, d.late, d.shared = s.tx, s.late, s.shared
	s.ordered = s.shared && rand.New(rand.NewPCG(seed, 5)).IntN(2) == 0
	d.restarts = rand.New(rand.NewPCG(seed, 4)).IntN(3) == 0
	d.awaits = rand.New(rand.NewPCG(seed, 5)).IntN(3) == 0
	d.calls = rand.New(rand.NewPCG(seed, 9)).IntN(4) == 0
	d.verbs = someOf(d, slices.Clone(allVerbs)...)
	d.deeds = someOf(d, slices.Clone(allDeeds)...)
	d.mishaps = someOf(d, slices.Clone(allMishaps)...)
	d.patched = rand.New(rand.NewPCG(seed, 3)).IntN(4) == 0
	d.linked = rand.New(rand.NewPCG(seed, 8)).IntN(4) == 0
	d.topics = rand.New(rand.NewPCG(seed, 10)).IntN(4) == 0
	paused := rand.New(rand.NewPCG(seed, 7)).IntN(4) == 0
	if d.topics {
		s.atOnce = oneOf(d, 1, 1, 2, 3)
	}
	n := 1 + d.IntN(maxPrograms)
	for i := range n {
		s.programs = append(s.programs, d.program(i, n, maxDepth))
	}
	if d.once(2) {
		s.actions = append(s.actions, d.failure(n)...)
	}
	s.actions = append(s.actions, action{do: start, run: runIDs[0]})
	if d.awaits || d.topics { // what is not there can't be awaited, and one listener is not enough
		for i, id := range runIDs[1:] {
			s.actions = append(s.actions, action{do: start, run: id, program: (i + 1) % n})
		}
	}
	deeds := append([]deed{send, pass}, d.deeds...)
	if d.patched {
		deeds = append(deeds, deploy, deploy)
	}
	if d.linked {
		deeds = append(deeds, reply, reply, reply, reply, reply, reply, takeBack)
	}
	if d.calls {
		deeds = append(deeds, inquire, inquire, inquire, inquire)
	}
	if d.topics {
		deeds = append(deeds, announce, announce, announce, announce, announce, announce)
	}
	if paused {
		deeds = append(deeds, pause, pause, pause, proceed, proceed, pauseAll, proceedAll, proceedAll)
	}
	for range 2 + d.IntN(14) {
		if do := oneOf(d, deeds...); do == fail {
			s.actions = append(s.actions, d.failure(n)...)
		} else {
			s.actions = append(s.actions, d.action(do, n))
		}
	}
	if d.once(4) {
		s.actions = slices.Insert(s.actions, 1+d.IntN(len(s.actions)-1), d.burst()...)
	}
	if d.patched {
		s.actions = slices.Insert(s.actions, 1+d.IntN(len(s.actions)-1), d.action(deploy, n))
	}
	s.knocks(&drawing{Rand: rand.New(rand.NewPCG(seed, 21)), shared: s.shared, tx: s.tx})
	return s
}

// knocks lets requests start runs in some scenarios: programs open webhooks then that the requests are for.
func (s *scenario) knocks(d *drawing) {
	if !d.once(3) {
		return
	}
	for i, p := range s.programs {
		if d.once(4) {
			continue
		}
		opens := program{{verb: vWebhook, token: oneOf(d, tokens...), flag: !d.once(3)}}
		for range 1 + d.IntN(2) {
			opens = append(opens, op{verb: vServe, d: d.duration(), n: oneOf(d, 0, 1, 1, 1), flag: d.once(2)})
		}
		s.programs[i] = append(opens, p...)
	}
	for range 2 + d.IntN(8) {
		s.actions = slices.Insert(s.actions, 1+d.IntN(len(s.actions)), d.action(knock, len(s.programs)))
	}
}

// burst draws payloads for one hook that are accepted while its worker stands still: it
// finds them at once, with the timers that have become due between them.
func (d *drawing) burst() []action {
	still, target, n := oneOf(d, durations[:3]...), d.IntN(4), 2+d.IntN(4)
	var actions []action
	for node := range maxNodes {
		actions = append(actions, action{do: freeze, node: node, d: still})
	}
	for range n {
		actions = append(actions, action{do: send, node: maxNodes, target: target}, action{do: pass, d: still / time.Duration(n)})
	}
	return actions
}

// failure draws a failure and what may come into its way: payloads most of all.
func (d *drawing) failure(programs int) []action {
	a := d.action(fail, programs)
	actions := []action{a}
	sends := oneOf(d, 0, 1, 1, 2)
	if a.faults[0].only == reading {
		sends = 2 // the first is read, and the second comes meanwhile
	}
	for range sends {
		next := d.action(send, programs)
		next.key, next.token = "", ""
		switch {
		case a.faults[0].only == reading:
			next.node = maxNodes // what is read is what comes from elsewhere
		case d.once(2):
			next.node = a.node
		}
		actions = append(actions, next)
	}
	return actions
}

var (
	allDeeds = []deed{
		start, start, send, send, send, send, send, send, send, pass, pass, request, request, request,
		cancel, cancel, wake, terminate, retry, retry, crash, leave, evict, join, join, cut, freeze, freeze, expire, fail, fail, fail, fail,
	}
	allMishaps = []mishap{none, before, before, after, after, after, slow, tardy, halt, stall, dieBefore, dieAfter}
)

func (d *drawing) action(do deed, programs int) action {
	a := action{do: do, node: d.IntN(maxNodes + 1)}
	switch do {
	case start:
		a.program = d.IntN(programs)
		a.run = oneOf(d, runIDs...)
	case send:
		a.target = d.IntN(4)
		a.token = oneOf(d, append([]string{"", ""}, tokens...)...)
		a.key = oneOf(d, "", "", "", "k1", "k2")
		a.bad = d.once(10)
		a.flag = d.once(4)
		a.program = d.IntN(programs)
	case reply, takeBack:
		a.target = d.IntN(4)
		a.bad = d.once(10)
	case request:
		a.target = d.IntN(4)
		a.key = oneOf(d, "", "", "k1", "k2")
	case knock:
		a.token = oneOf(d, tokens...)
		a.key = oneOf(d, "", "", "k1", "k2")
		a.flag = !d.once(3)
		a.program = d.IntN(programs)
	case inquire:
		a.target = d.IntN(4)
		a.key = oneOf(d, "", "", "k1", "k2")
		a.bad = d.once(8)
	case announce:
		a.target = d.IntN(len(subjects))
		a.key = oneOf(d, "", "", "k1", "k2")
	case cancel, wake, terminate, retry, pause, proceed:
		a.target = d.IntN(6)
	case pauseAll, proceedAll:
	case pass:
		a.d = d.duration()
	case cut, freeze:
		a.d = oneOf(d, durations[:3]...)
	case fail:
		a.node = d.IntN(maxNodes)
		for range oneOf(d, 1, 1, 2, 3, 4) {
			a.faults = append(a.faults, d.fault())
		}
	case crash, leave, deploy:
		a.flag = d.once(2)
	case expire, evict, join:
	}
	a.now = d.once(4)
	return a
}

func (d *drawing) fault() fault {
	kinds := append([]mishap{after}, d.mishaps...)
	if d.late {
		kinds = append(kinds, lateBy, lateBy, lateBy, lateBy, lateBy, lateBy)
	}
	f := fault{mishap: oneOf(d, kinds...), only: oneOf(d, anything, anything, reading, transition, transition)}
	if f.only == reading {
		f.mishap = oneOf(d, before, slow, tardy, stall, halt, halt)
	}
	if d.tx && d.once(2) {
		f.mishap, f.only = oneOf(d, after, tardy, slow, stall, stall, halt, dieBefore, dieAfter), appTx
	}
	soon := time.Duration(1+d.IntN(20)) * time.Millisecond
	switch f.mishap {
	case slow, tardy:
		f.d = oneOf(d, soon, soon, time.Second, 12*time.Second)
	case lateBy:
		f.d = oneOf(d, soon, soon, 1500*time.Millisecond, latest)
		if f.d < time.Second {
			f.only = transition // it is most dangerous for them
		}
	case halt, stall:
		f.d = oneOf(d, time.Second, 10*time.Second, time.Minute, time.Minute)
	case none, before, after, dieBefore, dieAfter:
	}
	return f
}

func (a action) String() string {
	s := fmt.Sprintf("%-9s node %d", a.do, a.node)
	switch a.do {
	case start:
		s += fmt.Sprintf(" p%d as %s", a.program, a.run)
	case send, request, knock, inquire:
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
	case announce:
		s += fmt.Sprintf(" to %s", subjects[a.target])
		if a.key != "" {
			s += " key " + a.key
		}
	case reply, takeBack:
		s += fmt.Sprintf(" link %d", a.target)
	case cancel, wake, terminate, retry, pause, proceed:
		s += fmt.Sprintf(" run %d", a.target)
	case pass, cut, freeze:
		s += fmt.Sprintf(" %v", a.d)
	case fail:
		s += fmt.Sprintf(" %v", a.faults)
	case crash, leave:
		if a.flag {
			s += " for good"
		}
	case deploy:
		if a.flag {
			s += " after a crash of all"
		}
	case evict, join, expire, pauseAll, proceedAll:
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
	if s.tx {
		b.WriteString("the application writes into the same file\n")
	}
	if s.pace > 0 {
		fmt.Fprintf(&b, "operations take up to %v\n", s.pace)
	}
	if s.lag > 0 {
		fmt.Fprintf(&b, "signals lag by %v\n", s.lag)
	}
	if s.shared {
		b.WriteString("nodes are processes of their own\n")
	}
	if s.begin > 1 {
		fmt.Fprintf(&b, "%d nodes\n", s.begin)
	}
	if s.cache != 0 {
		fmt.Fprintf(&b, "a cache of %d\n", s.cache)
	}
	if s.atOnce != 0 {
		fmt.Fprintf(&b, "%d listeners get a publication at once\n", s.atOnce)
	}
	for i, p := range s.programs {
		fmt.Fprintf(&b, "p%d: %v\n", i, p)
	}
	for _, a := range s.actions {
		fmt.Fprintf(&b, "%v\n", a)
	}
	return b.String()
}
