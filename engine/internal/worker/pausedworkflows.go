package worker

import "slices"

// setPaused notes which workflows are paused, as a claim has found them. If they are others than
// before, the runs at work here look what is so.
func (w *Worker) setPaused(workflows []string) (changed bool) {
	slices.Sort(workflows)
	w.mu.Lock()
	changed = !slices.Equal(w.paused, workflows)
	w.paused = workflows
	w.mu.Unlock()
	if changed {
		w.log.Info("other workflows are paused than before", "workflows", workflows)
		w.anyPaused.Store(len(workflows) > 0)
		w.notifyOwned()
	}
	return changed
}

// isPaused reports whether a workflow was paused when this worker last claimed runs. The store has the
// last word; this spares the execution of code that it would refuse.
func (w *Worker) isPaused(workflow string) bool {
	if !w.anyPaused.Load() {
		return false
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Contains(w.paused, workflow)
}
