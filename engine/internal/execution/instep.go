package execution

import (
	"sync"

	"github.com/tenter-dev/tenter/internal/gid"
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

// currentStep returns the ref of the step that the calling goroutine executes, or "".
func currentStep() string {
	inStep.mu.Lock()
	defer inStep.mu.Unlock()
	return inStep.steps[gid.Current()]
}
