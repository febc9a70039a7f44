package engine_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/tenter-dev/tenter/internal/journal"
	"github.com/tenter-dev/tenter/store"
	"github.com/tenter-dev/tenter/workflow"
)

// forked is a run that was forked, and what it was forked from, as it was then.
type forked struct {
	origin store.Archive // its head is as if the generation that was forked were the present one
	fork   store.Archive
	at     int64 // position of the last event that the fork has from its origin
}

// mostForks is how many runs of a world are forked.
const mostForks = 3

// forks forks runs of a world that has come to rest and was found to be right, in the middle of
// whatever they were at, lets the forks come to rest as well, and checks them. The promises about other
// runs are not checked again: senders know nothing of forks.
func (w *world) forks() error {
	r := rand.New(rand.NewPCG(w.seed, 4)) //nolint:gosec // it need not be secret
	w.note(func() { w.forking = true })
	var all []*forked
	for i := range mostForks {
		f, err := w.forkOne(r, fmt.Sprint("fork", i))
		if err != nil {
			return err
		}
		if f == nil {
			continue
		}
		all = append(all, f)
		if r.IntN(2) == 0 { // whoever takes it over replays what it has from its origin
			w.turns.quiet()
			w.drop(w.pick(0), crash)
			if err := w.join(); err != nil {
				return err
			}
		}
		if err := w.settle(); err != nil {
			return err
		}
	}
	c := &checker{world: w, records: map[string]*record{}}
	for _, f := range all {
		var err error
		if f.fork, err = w.db.Export(context.Background(), f.fork.Run.ID); err != nil {
			return err
		}
		for _, holds := range forkInvariants {
			holds(c, f)
		}
	}
	return c.verdict()
}

// forkOne forks some run at some event. It returns nil if that is refused.
func (w *world) forkOne(r *rand.Rand, id string) (*forked, error) {
	ids := w.runs()
	if len(ids) == 0 {
		return nil, nil
	}
	origin, err := w.db.Export(context.Background(), ids[r.IntN(len(ids))])
	if err != nil {
		return nil, err
	}
	last := origin.Run.Events
	if origin.Run.Status.Ended() {
		last--
	}
	if n := len(origin.Generations); n > 0 && r.IntN(2) == 0 { // one that is over
		g := origin.Generations[r.IntN(n)]
		origin.Run.Generation, origin.Run.Base, origin.Run.Events = int32(g.Number), g.Base, g.Last //nolint:gosec // it is small
		last = g.Last - 1
	}
	if last <= origin.Run.Base {
		return nil, nil
	}
	f := &forked{origin: origin, at: origin.Run.Base + 1 + r.Int64N(last-origin.Run.Base)}
	f.fork.Run.ID = id
	w.calls.Add(1)
	w.called++
	ctx := context.WithValue(context.Background(), callKey{}, w.called)
	go func() {
		defer w.calls.Add(-1)
		_, err = w.client.engine.ForkRun(ctx, workflow.ForkRequest{RunID: origin.Run.ID, Position: f.at, ForkID: id})
	}()
	for w.calls.Load() > 0 {
		w.turns.quiet()
		advance(time.Second)
	}
	_, refused := errors.AsType[*workflow.ForkRefusedError](err)
	_, taken := errors.AsType[*workflow.HookConflictError](err)
	switch {
	case refused, taken:
		return nil, nil
	case err != nil:
		return nil, fmt.Errorf("fork run %s after event %d: %w", origin.Run.ID, f.at, err)
	}
	return f, nil
}

// traceOf is what the code of a run has seen by the end of some events.
func (c *checker) traceOf(r store.Run, events []store.Event) []entry {
	begins := r.ID // as the code knows it when it begins
	if a := r.Origin.At(r.Base + 1); a != nil {
		begins = a.RunID
	}
	c.note(func() { delete(c.envs, begins) })
	if _, err := c.nodes[0].engine.Replay(store.Loaded{Run: r, Events: events}); err != nil {
		c.errorf("run %s, of which the first %d events are replayed: %v", r.ID, len(events), err)
		return nil
	}
	env := c.envs[begins]
	if env == nil {
		c.errorf("run %s was never begun", r.ID)
		return nil
	}
	return env.trace
}

// traces are what the code of a fork and of its origin have seen by the place where they part, and by
// the end of the generation that they have in common.
func (c *checker) traces(f *forked) (before, had, has []entry) {
	of := func(a *store.Archive, upTo int64) []entry {
		r := a.Run
		r.Base, r.Generation = f.origin.Run.Base, f.origin.Run.Generation
		return c.traceOf(r, ofGeneration(r, a.Events, upTo))
	}
	return of(&f.origin, f.at), of(&f.origin, f.origin.Run.Events), of(&f.fork, f.parts())
}

// parts is the position of the last event of the fork in the generation that it has from its origin.
func (f *forked) parts() int64 {
	i := slices.IndexFunc(f.fork.Events, func(e store.Event) bool { return e.Position > f.at && e.Kind == store.Restarted })
	if i < 0 {
		return f.fork.Run.Events
	}
	return f.fork.Events[i].Position
}

// ofGeneration are the events of a generation up to a position.
func ofGeneration(r store.Run, events []store.Event, upTo int64) (part []store.Event) {
	for _, e := range events {
		if e.Position > r.Base && e.Position <= upTo {
			part = append(part, e)
		}
	}
	return part
}

// generatedHooks are the tokens of hooks that no author has chosen, by the IDs of the hooks.
func generatedHooks(a *store.Archive) map[string]string {
	chosen := map[string]bool{}
	for _, e := range a.Events {
		for ask := range journal.Asks(e.Asked) {
			chosen[ask.Token] = true
		}
	}
	tokens := map[string]string{}
	for _, h := range a.Hooks {
		if !chosen[h.Hook.Token] && !h.Hook.Reserved && !h.Hook.Carried {
			tokens[h.Hook.ID] = h.Hook.Token
		}
	}
	return tokens
}
