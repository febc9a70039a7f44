package engine

import (
	"fmt"
	"slices"
	"strings"

	"github.com/tenter-dev/tenter/internal/journal"
	"github.com/tenter-dev/tenter/store"
	"github.com/tenter-dev/tenter/workflow"
)

// forkPoint is a place in the journal of a run that may be forked there, and what the journal says
// of it.
type forkPoint struct {
	run      *store.Run
	events   []store.Event // of its generation
	position int64         // of the last event that the fork has
	calls    []*call       // steps and children, in the order in which they were asked for
}

// call is a step or child that the code has asked for.
type call struct {
	ask    journal.Ask
	at     *store.Event // whose turn asked for it
	starts *store.Event // that says that a child has its ID
	ends   *store.Event // with the outcome, or nil
}

// forkAt finds the place that a request names. The generation of the run may be over.
func forkAt(l *store.Loaded, over bool, req workflow.ForkRequest) (*forkPoint, error) {
	p := &forkPoint{run: &l.Run, events: l.Events, position: req.Position}
	refuse := func(format string, args ...any) (*forkPoint, error) {
		return nil, &workflow.ForkRefusedError{RunID: l.Run.ID, Reason: fmt.Sprintf(format, args...)}
	}
	p.findCalls()
	last := len(p.events)
	if l.Run.Status.Ended() || over {
		last-- // its end
	}
	if last < 1 {
		return refuse("it has not begun, or has only just restarted")
	}
	if req.Step != "" {
		i := slices.IndexFunc(p.calls, func(c *call) bool { return c.ask.Op == journal.Step && c.ask.Ref == req.Step })
		switch {
		case i < 0:
			whose := "its journal"
			if l.Run.Generation > 0 || over {
				whose = fmt.Sprintf("the journal of its generation %d", l.Run.Generation)
			}
			return refuse("%s has no step %q; %s", whose, req.Step, p.stepNames())
		case p.calls[i].ends != nil:
			p.position = p.calls[i].ends.Position - 1
		default:
			p.position = p.events[last-1].Position
		}
	}
	switch first, last := p.events[0].Position, p.events[last-1].Position; {
	case p.position < first:
		return refuse("events count from 1")
	case p.position > last && over:
		return refuse("its generation %d ended after event %d, the last one that a fork can have", l.Run.Generation, last)
	case p.position > last && l.Run.Status.Ended():
		return refuse("it ended after event %d, the last one that a fork can have", last)
	case p.position > last:
		return refuse("its journal has %d events", last)
	}
	return p, nil
}

// stepNames names some of the steps of a run, for an error.
func (p *forkPoint) stepNames() string {
	var names []string
	for _, c := range p.calls {
		if c.ask.Op == journal.Step {
			names = append(names, c.ask.Ref)
		}
	}
	const most = 20
	switch n := len(names); {
	case n == 0:
		return "it has none"
	case n > most:
		return fmt.Sprintf("it has %d, the last of which are %s", n, strings.Join(names[n-most:], ", "))
	}
	return "it has " + strings.Join(names, ", ")
}

func (p *forkPoint) findCalls() {
	byRef := map[[2]string]*call{}
	step, child := string(journal.Step), string(journal.Child)
	for i := range p.events {
		e := &p.events[i]
		switch e.Kind {
		case store.StepCompleted, store.StepFailed:
			if c := byRef[[2]string{step, e.Ref}]; c != nil {
				c.ends = e
			}
		case store.ChildStarted:
			if c := byRef[[2]string{child, e.Ref}]; c != nil {
				c.starts = e
			}
		case store.ChildCompleted, store.ChildFailed, store.ChildExists:
			if c := byRef[[2]string{child, e.Ref}]; c != nil {
				c.ends = e
			}
		default:
		}
		for a := range journal.Asks(e.Asked) {
			if a.Op == journal.Step || a.Op == journal.Child {
				c := &call{ask: a, at: e}
				byRef[[2]string{string(a.Op), a.Ref}] = c
				p.calls = append(p.calls, c)
			}
		}
	}
}

// has reports whether the fork has an event.
func (p *forkPoint) has(e *store.Event) bool { return e != nil && e.Position <= p.position }

// whose returns the ID of the run whose event is at a position.
func (p *forkPoint) whose(position int64) string {
	if a := p.run.Origin.At(position); a != nil {
		return a.RunID
	}
	return p.run.ID
}

// derived reports whether the ID of a child derives from that of its parent.
func (p *forkPoint) derived(c *call) bool {
	return c.ask.RunID == journal.ChildRunID(p.whose(c.at.Position), c.ask.Ref)
}

// again are the steps and children that the run had no outcome of at the place.
func (p *forkPoint) again() []workflow.ForkedAgain {
	all := []workflow.ForkedAgain{}
	for _, c := range p.calls {
		if p.has(c.ends) || c.ends != nil && c.ends.Kind == store.ChildExists {
			continue
		}
		a := workflow.ForkedAgain{Status: workflow.StatusRunning, Position: c.at.Position, At: c.at.At}
		if c.ask.Op == journal.Step {
			a.Step = c.ask.Ref
		} else {
			a.Child = c.ask.RunID
			if p.derived(c) { // under way when the run was forked itself, it was started under another ID
				a.Child = journal.ChildRunID(p.run.ID, c.ask.Ref)
			}
		}
		if c.ends != nil {
			a.Status = workflow.StatusCompleted
			if c.ends.Kind == store.StepFailed || c.ends.Kind == store.ChildFailed {
				a.Status = workflow.StatusFailed
			}
		}
		all = append(all, a)
	}
	return all
}

// chosenChildren are the IDs of the children that are under way at the place, and whose IDs the
// author has chosen.
func (p *forkPoint) chosenChildren() (ids []string) {
	for _, c := range p.calls {
		if c.ask.Op == journal.Child && p.has(c.starts) && !p.has(c.ends) {
			ids = append(ids, c.ask.RunID)
		}
	}
	return ids
}

// openHook is a hook that takes payloads at the place.
type openHook struct {
	id     string
	token  string // chosen by the author, or the name that it derives from
	number uint64 // of a generated token
	chosen bool
	named  bool
	closed bool
}

// openHooks are those that the code has open at the place, in the order in which it asked for them.
func (p *forkPoint) openHooks() []*openHook {
	var all []*openHook
	byRef := map[string]*openHook{}
	generated := uint64(0)
	for i := range p.events {
		e := &p.events[i]
		if !p.has(e) {
			break
		}
		if h := byRef[e.Ref]; e.Kind == store.HookClaimed && h != nil {
			h.id = journal.DecodeClaimed(e.Data).ID
		}
		for a := range journal.Asks(e.Asked) {
			switch a.Op { //nolint:exhaustive // the others are not about hooks
			case journal.Hook:
				h := &openHook{token: a.Token, chosen: a.Token != "", named: a.Name != ""}
				switch {
				case h.named:
					h.token = a.Name
				case !h.chosen:
					generated++
					h.id, h.number = journal.HookID(p.whose(e.Position), a.Ref), generated
				}
				byRef[a.Ref] = h
				all = append(all, h)
			case journal.Close:
				if h := byRef[a.Ref]; h != nil {
					h.closed = true
				}
			}
		}
	}
	// Those without an ID have not got their token, or never will.
	return slices.DeleteFunc(all, func(h *openHook) bool { return h.closed || h.id == "" })
}

// unopened are the IDs of hooks that have got payloads by then, and that the code has not opened: they
// were reserved for the run, or carried from an earlier generation.
func (p *forkPoint) unopened() (ids []string) {
	opened := map[string]bool{}
	for i := range p.events {
		e := &p.events[i]
		if !p.has(e) {
			break
		}
		switch e.Kind {
		case store.HookClaimed:
			id := journal.DecodeClaimed(e.Data).ID
			opened[id] = true
			ids = slices.DeleteFunc(ids, func(early string) bool { return early == id })
		case store.PayloadReceived:
			if !opened[e.Ref] && !slices.Contains(ids, e.Ref) {
				ids = append(ids, e.Ref)
			}
		default:
		}
		for a := range journal.Asks(e.Asked) {
			if a.Op == journal.Hook && a.Token == "" && a.Name == "" {
				opened[journal.HookID(p.whose(e.Position), a.Ref)] = true
			}
		}
	}
	return ids
}

// fork is the operation that makes a run of the journal up to the place.
func (p *forkPoint) fork(n store.NewRun, step string) store.Fork {
	last := &p.events[p.position-p.events[0].Position]
	f := store.Fork{
		Run:        n,
		Origin:     store.Origin{RunID: p.run.ID, Position: p.position, Step: step, Prefix: p.prefix()},
		Generation: int(p.run.Generation), Base: p.run.Base,
		Epoch: last.Epoch, Seq: last.Seq,
		Data: journal.Forked{RunID: p.run.ID, Position: p.position, Step: step, Fork: n.ID}.Encode(),
	}
	for _, h := range p.openHooks() {
		fh := store.ForkedHook{ID: h.id}
		switch {
		case h.named:
			fh.Token = journal.Token(journal.Derive(n.Secret, journal.LabelNamed(h.token), 1))
		case !h.chosen:
			fh.Token = journal.Token(journal.Derive(journal.GenerationSecret(n.Secret, int(p.run.Generation)), journal.LabelToken, h.number))
		}
		f.Hooks = append(f.Hooks, fh)
	}
	for _, id := range p.unopened() {
		f.Hooks = append(f.Hooks, store.ForkedHook{ID: id, Unopened: true})
	}
	return f
}

// prefix says whose the events up to the place are.
func (p *forkPoint) prefix() (prefix []store.Ancestor) {
	if p.run.Origin != nil {
		for _, a := range p.run.Origin.Prefix {
			if a.Last >= p.position {
				a.Last = p.position
				return append(prefix, a)
			}
			if a.Last > p.run.Base {
				prefix = append(prefix, a)
			}
		}
	}
	return append(prefix, store.Ancestor{RunID: p.run.ID, ParentID: p.run.ParentID, Secret: p.run.Secret, Last: p.position})
}
