package engine_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"os"
	osexec "os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/cryptotest"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tenter-dev/tenter/engine"
	"github.com/tenter-dev/tenter/internal/memdir"
)

// The simulation: engines on the real SQLite store, which fails in all ways, and all
// that follows from one number, the seed. It draws programs and what happens to their
// runs from it, lets it all happen in a bubble of fake time, and checks that what comes
// of it is right: see simulation_invariants_test.go for what right means, and
// docs/reliability.md.
//
// Its parts: program and schedule (what is drawn), interpreter (the workflow that
// executes programs), world (nodes, database, and the outside), store (faults), turns
// (who comes first), check and invariants, planted (bugs that it has to find).
var (
	firstSeed = flag.Uint64("simulation.first", 1, "the first seed to be simulated")
	seeds     = flag.Uint64("simulation.seeds", uint64(fewer(100)), "how many seeds are simulated")
	showTrace = flag.Bool("simulation.trace", false, "print what happened, operation by operation")
)

// perProcess is how many seeds one process simulates when there are many. Each has
// one processor, so that it is the seed that decides, and they work side by side.
const perProcess = 250

// More seeds: make simulate SEEDS=100000 FIRST=1.
func TestSimulation(t *testing.T) {
	if *seeds > perProcess {
		spread(t)
		return
	}
	for seed := *firstSeed; seed < *firstSeed+*seeds; seed++ {
		s := drawScenario(seed)
		trace, err := s.simulate(t)
		if *showTrace {
			t.Logf("%v\n%s", s, strings.Join(trace, "\n"))
		}
		if err != nil {
			t.Errorf("seed %d: %v\n\n%v\nrepeat it: go test ./engine -run TestSimulation$ -simulation.seeds=1 -simulation.first=%d", seed, err, s.shrink(func(smaller scenario) bool { _, err := smaller.simulate(t); return err != nil }), seed)
		}
	}
}

// spread has processes simulate the seeds.
func spread(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	var next atomic.Uint64
	next.Store(*firstSeed)
	end := *firstSeed + *seeds
	var wg sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		wg.Go(func() {
			for !t.Failed() {
				first := next.Add(perProcess) - perProcess
				if first >= end {
					return
				}
				cmd := osexec.CommandContext(t.Context(), self, "-test.run=^TestSimulation$", fmt.Sprintf("-simulation.first=%d", first),
					fmt.Sprintf("-simulation.seeds=%d", min(perProcess, end-first)))
				if out, err := cmd.CombinedOutput(); err != nil {
					t.Errorf("seeds from %d: %v\n%s", first, err, out)
				}
			}
		})
	}
	wg.Wait()
	t.Logf("%d seeds from %d", min(next.Load(), end)-*firstSeed, *firstSeed)
}

// A seed gives the same trace again. What is left to chance are the things that Go
// decides by itself when they happen in the very same moment: which of two timers is
// first, which case of a select. It is rare that this changes what happens, and less rare
// on a busy machine, so a seed has four tries to give a trace that it has given before. With
// the race detector, which shuffles goroutines, it is the rule: make simulate goes without.
func TestSimulationRepeats(t *testing.T) {
	if raceDetector {
		t.Skip("the race detector shuffles goroutines")
	}
	const most = 10 // percent
	var different uint64
	for seed := *firstSeed; seed < *firstSeed+*seeds; seed++ {
		s := drawScenario(seed)
		given := map[uint64]bool{}
		for again := false; !again; {
			if len(given) == 4 {
				different++
				break
			}
			trace, _ := s.simulate(t)
			d := digest(trace)
			again = given[d]
			given[d] = true
		}
	}
	t.Logf("%d of %d seeds gave no trace twice", different, *seeds)
	if different*100 > most**seeds {
		t.Errorf("that is more than %d%%", most)
	}
}

func digest(trace []string) uint64 {
	h := fnv.New64a()
	for _, line := range trace {
		_, _ = h.Write([]byte(line))
	}
	return h.Sum64()
}

// hangsAfter is how long a simulation may take.
var hangsAfter = time.Minute

// simulate lets a scenario happen, and says what has happened and what was wrong.
func (s scenario) simulate(t *testing.T) (trace []string, err error) {
	dir, err := os.MkdirTemp(memdir.Root(), "simulation") //nolint:usetesting // t.TempDir keeps all until the end of the test, and there may be thousands
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = os.RemoveAll(dir) }()
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	cryptotest.SetGlobalRandom(t, s.seed)
	r := rand.New(rand.NewPCG(s.seed, 2))
	var drawing sync.Mutex
	defer engine.SetJitter(func() float64 {
		drawing.Lock()
		defer drawing.Unlock()
		return r.Float64()
	})()
	defer time.AfterFunc(hangsAfter, func() { panic(fmt.Sprintf("seed %d hangs", s.seed)) }).Stop()
	defer func() {
		if v := recover(); v != nil { // by synctest, if all wait for each other
			err = fmt.Errorf("panic: %v\n%s", v, bubbled())
		}
	}()
	synctest.Test(t, func(*testing.T) { trace, err = s.play(filepath.Join(dir, "simulated.db")) })
	return trace, err
}

// bubbled returns the stacks of the goroutines that a bubble has left behind.
func bubbled() string {
	buf := make([]byte, 1<<20)
	var stacks []string
	for stack := range strings.SplitSeq(string(buf[:runtime.Stack(buf, true)]), "\n\n") {
		if head, _, _ := strings.Cut(stack, "\n"); strings.Contains(head, "synctest bubble") {
			stacks = append(stacks, stack)
		}
	}
	return strings.Join(stacks, "\n\n")
}

// play lets a scenario happen, in a bubble.
func (s scenario) play(path string) (trace []string, err error) {
	w, err := newWorld(path, s)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, w.close()) }()
	w.turns.quiet()
	for _, a := range s.actions {
		if err := w.do(a); err != nil {
			return w.trace, fmt.Errorf("%v: %w", a, err)
		}
		if !a.now {
			w.turns.quiet()
			w.tokensHaveOneOwner()
		}
	}
	if err := w.settle(); err != nil {
		return w.trace, err
	}
	w.tokensHaveOneOwner()
	if *showTrace {
		w.dump()
	}
	if err := w.check(); err != nil {
		return w.trace, err
	}
	return w.trace, w.forks()
}

// dump adds to the trace what is in the database.
func (w *world) dump() {
	for _, id := range w.runs() {
		l, err := w.db.Load(context.Background(), id, 0)
		w.tell("run %s: %s %v", id, l.Run.Status, err)
		for _, e := range l.Events {
			w.tell("  %d %s %s %s: %q", e.Epoch, e.At.Format(time.TimeOnly), e.Kind, e.Ref, e.Asked)
		}
	}
}

// shrink leaves out of a scenario that fails what it fails without.
func (s scenario) shrink(fails func(scenario) bool) scenario {
	const most = 300
	tries := 0
	try := func(smaller scenario) bool {
		tries++
		return tries <= most && fails(smaller)
	}
	for again := true; again; {
		again = false
		for i := len(s.actions) - 1; i >= 0; i-- {
			smaller := s
			smaller.actions = slices.Delete(slices.Clone(s.actions), i, i+1)
			if try(smaller) {
				s, again = smaller, true
			}
		}
		for i := range s.programs {
			for j := len(s.programs[i]) - 1; j >= 0; j-- {
				smaller := s
				smaller.programs = slices.Clone(s.programs)
				smaller.programs[i] = slices.Delete(slices.Clone(s.programs[i]), j, j+1)
				if try(smaller) {
					s, again = smaller, true
				}
			}
		}
	}
	return s
}

func TestShrink(t *testing.T) {
	s := scenario{
		programs: []program{{{verb: vStep}, {verb: vPanic}, {verb: vSleep}}},
		actions:  []action{{do: start}, {do: crash}, {do: pass}},
	}
	got := s.shrink(func(s scenario) bool {
		return strings.Contains(s.String(), string(vPanic)) && strings.Contains(s.String(), string(crash))
	})
	want := scenario{programs: []program{{{verb: vPanic}}}, actions: []action{{do: crash}}}
	if d := cmp.Diff(want.String(), got.String()); d != "" {
		t.Errorf("shrunk (-want +got):\n%s", d)
	}
}
