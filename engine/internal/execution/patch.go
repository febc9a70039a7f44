package execution

import (
	"strings"

	"github.com/tenter-dev/tenter/internal/journal"
	"github.com/tenter-dev/tenter/internal/planted"
)

// Patched implements run.Scope. A patch is decided once for a run: by the journal on replay, which
// has a line for it if the code took its way there, and else in favor of it.
func (s *scope) Patched(id string) bool {
	x := s.x
	took, decided := x.patches[id]
	if decided && (took || !planted.PatchDecidedAgain.Here()) {
		return took
	}
	ask := journal.Ask{Op: journal.Patched, Ref: id}
	if took = x.live || x.reachPatch(&ask); took {
		x.ask(nil, &ask)
	}
	x.decidePatch(id, took)
	return took
}

// reachPatch reports whether a patch is the next thing that the journal has, but for others whose
// calls the code has lost, which it passes over.
func (x *Execution) reachPatch(a *journal.Ask) bool {
	for rest := x.expect; journal.BeginsWithPatch(rest); {
		line, more, _ := strings.Cut(rest, "\n")
		if a.Match(line) {
			x.passPatches(rest)
			return true
		}
		rest = more
	}
	return false
}
