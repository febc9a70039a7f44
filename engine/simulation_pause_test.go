package engine_test

import (
	"context"
	"errors"
	"fmt"

	"github.com/tenter-dev/tenter/store"
)

// pauses are what a world knows of pauses, by the IDs of runs; the empty one is for the workflow of all.
type pauses struct {
	number  int            // of the last one
	ended   map[string]int // how often they have, or may have
	present map[string]int // the number of the one that lasts
	ever    map[string]bool

	begun     map[string]began // attempts, by their steps
	succeeded map[string]began
}

// began is where and in which epoch of its run an attempt has begun.
type began struct {
	node  int
	epoch int64
}

func newPauses() pauses {
	return pauses{ended: map[string]int{}, present: map[string]int{}, ever: map[string]bool{}, begun: map[string]began{}, succeeded: map[string]began{}}
}

// pauseBegins notes that a run is paused, unless it may have been resumed meanwhile.
func (w *world) pauseBegins(id string, pause func() error) error {
	var ended int
	w.note(func() { ended, w.pauses.ever[id] = w.pauses.ended[id], true })
	err := pause()
	w.note(func() {
		p := &w.pauses
		if p.number++; err == nil && p.ended[id] == ended && p.present[id] == 0 {
			p.present[id] = p.number
		}
	})
	return err
}

// pauseEnds notes that a run may go on from now on.
func (w *world) pauseEnds(id string) {
	w.note(func() {
		w.pauses.ended[id]++
		delete(w.pauses.present, id)
	})
}

// pausesOf returns the numbers of the pauses of a run and of its workflow that last; 0: none.
func (w *world) pausesOf(id string) [2]int {
	asked := w.byRequest(id)
	w.mu.Lock()
	defer w.mu.Unlock()
	if asked {
		return [2]int{w.pauses.present[id], 0} // it is of the other workflow
	}
	return [2]int{w.pauses.present[id], w.pauses.present[""]}
}

// wasPaused reports whether a run may ever have been paused.
func (w *world) wasPaused(id string) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.pauses.ever[id] || w.pauses.ever[""]
}

// goOn ends all pauses.
func (w *world) goOn() error {
	ctx := context.Background()
	for _, id := range w.runs() {
		w.pauseEnds(id)
		if err := w.db.Resume(ctx, id, ""); err != nil && !errors.Is(err, store.ErrFenced) {
			return fmt.Errorf("resume run %s: %w", id, err)
		}
	}
	w.pauseEnds("")
	return w.db.ResumeWorkflow(ctx, w.workflow.Name())
}
