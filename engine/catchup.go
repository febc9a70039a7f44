package engine

import (
	"context"
	"maps"
	"slices"
	"sync"

	"github.com/tenter-dev/tenter/store"
)

// catchup spares those who wait for results and answers a query each when the store
// says All: one of them asks for all.
type catchup struct {
	mu    sync.Mutex
	said  chan struct{} // closed when the store says All, and replaced
	times int           // how often it has
	asked int           // up to which of them somebody has
	busy  chan struct{} // has one while somebody asks
}

// all notes that the store has said All.
func (c *catchup) all() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.times++
	close(c.said)
	c.said = make(chan struct{})
}

// missed returns a channel that is closed when signals may have got lost.
func (c *catchup) missed() <-chan struct{} {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.said
}

// catchUp asks the store what those who wait have missed, and passes it on, unless
// that has been done since the store said All.
func (e *Engine) catchUp(ctx context.Context) error {
	c := &e.catchup
	select {
	case c.busy <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	}
	defer func() { <-c.busy }()
	c.mu.Lock()
	times, asked := c.times, c.asked
	c.mu.Unlock()
	if asked == times {
		return nil
	}
	s, err := e.store.CatchUp(ctx, e.awaited())
	if err != nil {
		return err
	}
	c.mu.Lock()
	c.asked = times
	c.mu.Unlock()
	for _, id := range s.Ended {
		e.recheck(id)
	}
	for _, id := range s.Responded {
		e.answers.tell(id)
	}
	return nil
}

// awaited is what somebody waits for.
func (e *Engine) awaited() store.Signal {
	e.mu.Lock()
	runs := slices.Sorted(maps.Keys(e.waiters))
	e.mu.Unlock()
	return store.Signal{Ended: runs, Responded: e.answers.awaited()}
}

// catchUp pokes the runs at work here that have mail, or have been ended, each time
// the store has said All. Parked ones are found by a claim.
func (w *worker) catchUp() {
	var stalled stall
	defer stalled.quit(&w.e.troubles)
	for {
		select {
		case <-w.missed:
		case <-w.ctx.Done():
			return
		}
		runs := w.atWork()
		if len(runs) == 0 {
			continue
		}
		s, err := w.store.CatchUp(w.ctx, store.Signal{Mail: runs, Ended: runs})
		if err != nil {
			if w.ctx.Err() != nil || !pauseFor(w.ctx, stalled.failed(&w.e.troubles, "look for messages", "", err)) {
				return
			}
			w.missAll()
			continue
		}
		stalled.passed(&w.e.troubles)
		for _, id := range slices.Concat(s.Mail, s.Ended) {
			w.mu.Lock()
			a := w.actors[id]
			w.mu.Unlock()
			if a == nil || !a.poke() {
				w.trigger()
			}
		}
	}
}

// missAll has catchUp ask.
func (w *worker) missAll() {
	select {
	case w.missed <- struct{}{}:
	default:
	}
}

// atWork are the runs that no claim would find, because this worker owns them.
func (w *worker) atWork() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	var runs []string
	for id, a := range w.actors {
		if a.parked == nil {
			runs = append(runs, id)
		}
	}
	return runs
}
