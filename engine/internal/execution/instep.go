package execution

import (
	"sync"

	"github.com/tenter-dev/tenter/internal/gid"
	"github.com/tenter-dev/tenter/internal/run"
)

// inStep knows the goroutines that execute a step's function. The Context of a workflow is of
// no use to them: it has neither the step's ID nor its timeout.
var inStep struct {
	mu    sync.Mutex
	steps map[gid.ID]string // ref of each
}

// EnterStep notes that the calling goroutine executes the function of a step, until LeaveStep.
func EnterStep(ref string) {
	inStep.mu.Lock()
	defer inStep.mu.Unlock()
	if inStep.steps == nil {
		inStep.steps = make(map[gid.ID]string)
	}
	inStep.steps[gid.Current()] = ref
}

// LeaveStep ends EnterStep.
func LeaveStep() {
	inStep.mu.Lock()
	defer inStep.mu.Unlock()
	delete(inStep.steps, gid.Current())
}

// Misused returns an error if it is called in a step.
func (s *scope) Misused() error {
	id := gid.Current()
	if b := s.x.current.Load(); b != nil && b.g.Load() == uintptr(id) {
		return nil
	}
	inStep.mu.Lock()
	ref := inStep.steps[id]
	inStep.mu.Unlock()
	if ref == "" {
		return nil
	}
	return run.Captured(ref)
}
