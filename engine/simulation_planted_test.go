//go:build plantedbugs

package engine_test

import (
	"flag"
	"fmt"
	"os"
	osexec "os/exec"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tenter-dev/tenter/internal/planted"
)

var (
	plantedBug = flag.String("planted.bug", "", "the bug to be planted, instead of all")
	searches   = flag.Int("planted.searches", 1, "how often each bug is looked for, each time with other seeds")
	plantedDoc = flag.String("planted.doc", "", "the document that gets the table")
)

// mostSeeds is how many seeds may pass before a bug is found.
const mostSeeds = 10_000

// TestPlantedBugs plants each of the bugs, and the simulation has to find it.
func TestPlantedBugs(t *testing.T) {
	if *plantedBug != "" {
		find(t, planted.Bug(*plantedBug), *firstSeed)
		return
	}
	found := make([]finding, len(planted.All)**searches)
	limit := make(chan struct{}, runtime.GOMAXPROCS(0))
	var wg sync.WaitGroup
	for i := range found {
		wg.Go(func() {
			limit <- struct{}{}
			defer func() { <-limit }()
			found[i] = search(t, planted.All[i / *searches], *firstSeed+uint64(i%*searches)*1_000_000)
		})
	}
	wg.Wait()
	table := plantedTable(found)
	t.Logf("\n%s", table)
	if *plantedDoc != "" && !t.Failed() {
		writeTable(t, *plantedDoc, "planted bugs", table)
	}
}

// finding is how a bug was found.
type finding struct {
	seeds int
	by    string
}

var (
	foundBy = regexp.MustCompile(`(?m)found after (\d+) seeds: (.*)$`)
	hanging = regexp.MustCompile(`panic: seed (\d+) hangs`)
)

// search looks for a bug in a process of its own, which the bug may kill.
func search(t *testing.T, b planted.Bug, first uint64) finding {
	self, err := os.Executable()
	if err != nil {
		t.Error(err)
		return finding{}
	}
	cmd := osexec.CommandContext(t.Context(), self, "-test.v", "-test.run=^TestPlantedBugs$", "-planted.bug="+string(b), fmt.Sprintf("-simulation.first=%d", first))
	out, err := cmd.CombinedOutput()
	var f finding
	var seed uint64
	if m := foundBy.FindSubmatch(out); m != nil {
		_, _ = fmt.Sscan(string(m[1]), &f.seeds)
		f.by = string(m[2])
	} else if m := hanging.FindSubmatch(out); m != nil {
		_, _ = fmt.Sscan(string(m[1]), &seed)
		f.seeds, f.by = int(seed-first)+1, "it hangs"
	} else {
		t.Errorf("%s: not found: %v\n%s", b, err, out)
		return finding{}
	}
	t.Logf("%s: %d", b, f.seeds)
	return f
}

// find simulates until something is wrong.
func find(t *testing.T, b planted.Bug, first uint64) {
	planted.Plant(b)
	hangsAfter = 20 * time.Second
	for n := range uint64(mostSeeds) {
		_, err := drawScenario(first + n).simulate(t)
		if err != nil {
			line, _, _ := strings.Cut(err.Error(), "\n")
			fmt.Printf("found after %d seeds: %s\n", n+1, line)
			return
		}
	}
	t.Errorf("%s: not found by %d seeds", b, mostSeeds)
}

// plantedTable is the table of docs/reliability.md.
func plantedTable(found []finding) string {
	var s strings.Builder
	s.WriteString("| planted bug | seeds until found | first complaint |\n|---|---|---|\n")
	for i, b := range planted.All {
		of := found[i**searches : (i+1)**searches]
		var ns []string
		for _, f := range of {
			ns = append(ns, fmt.Sprint(f.seeds))
		}
		fastest := slices.MinFunc(of, func(a, b finding) int { return a.seeds - b.seeds })
		fmt.Fprintf(&s, "| %s | %s | %s |\n", b, strings.Join(ns, ", "), strings.ReplaceAll(shorten(fastest.by), "|", "\\|"))
	}
	return s.String()
}

// shorten keeps a line readable.
func shorten(s string) string {
	if r := []rune(s); len(r) > 120 {
		return string(r[:120]) + " …"
	}
	return s
}
