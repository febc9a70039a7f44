package execution

import (
	"crypto/rand"
	"fmt"

	"github.com/tenter-dev/tenter/internal/journal"
	"github.com/tenter-dev/tenter/internal/run"
	"github.com/tenter-dev/tenter/store"
)

// child is a child run.
type child struct {
	x       *Execution
	ref     string
	spec    store.NewRun
	scope   *scope
	derived bool // its ID is derived from the parent's
	anew    bool // a fork starts it that has its start from its origin
	started bool
	exists  bool // another run has its ID
	done    bool
	data    []byte
	failure *journal.Failure
	waiters waitlist // first for its start, then for its end
}

func (s *scope) StartChild(spec run.Child) (run.ChildRun, error) {
	x := s.x
	b, err := x.enter()
	if err != nil {
		return nil, err
	}
	if err := s.err(); err != nil {
		return nil, err
	}
	if spec.RunID != "" {
		if err := CheckName(spec.RunID); err != nil {
			return nil, fmt.Errorf("start %s: run ID %q: %w", spec.Workflow, spec.RunID, err)
		}
	}
	if err := CheckSize("the input", spec.Input, x.env.Limit); err != nil {
		return nil, fmt.Errorf("start %s: %w", spec.Workflow, err)
	}
	c := &child{x: x, scope: s, ref: x.count(&x.childCount, spec.Workflow)}
	c.spec = store.NewRun{
		ID:        spec.RunID,
		Workflow:  spec.Workflow,
		Input:     spec.Input,
		Secret:    NewSecret(),
		ParentID:  x.info.RunID,
		ParentRef: c.ref,
	}
	if spec.RunID == "" {
		c.spec.ID = journal.ChildRunID(x.runID(), c.ref)
	}
	x.ask(b, &journal.Ask{Op: journal.Child, Ref: c.ref, RunID: c.spec.ID})
	if x.children == nil {
		x.children = map[string]*child{}
	}
	x.children[c.ref] = c
	s.attach(c)
	if spec.RunID == "" {
		// Nobody else has such an ID, so the code need not wait for it to be taken.
		c.derived, c.started = true, true
		x.emit(c.effect(), c)
		return c, nil
	}
	x.await(c)
	x.wait(b, (*childStart)(c))
	if c.exists {
		delete(x.children, c.ref)
		s.detach(c)
		return nil, &run.ChildExists{RunID: c.spec.ID, Relation: x.relation(c.spec.ID)}
	}
	return c, nil
}

// NewSecret draws the secret from which a run's tokens derive.
func NewSecret() []byte {
	secret := make([]byte, 32)
	_, _ = rand.Read(secret) // never fails
	return secret
}

// childStart is the wait for a child's ID.
type childStart child

func (c *childStart) Ready() bool         { return c.started || c.exists }
func (c *childStart) waitlist() *waitlist { return &c.waiters }

func (c *child) ID() string                         { return c.spec.ID }
func (c *child) Ready() bool                        { return c.done }
func (c *child) waitlist() *waitlist                { return &c.waiters }
func (c *child) Result() ([]byte, *journal.Failure) { return c.data, c.failure }

func (c *child) effect() *store.Effect {
	return &store.Effect{Kind: store.StartRun, Run: c.spec}
}

func (c *child) outcome(o store.Outcome) (store.Kind, string, []byte) {
	if o.Conflict != "" {
		return store.ChildExists, c.ref, journal.EncodeID(o.Conflict)
	}
	if c.derived || c.anew {
		return "", "", nil
	}
	return store.ChildStarted, c.ref, nil
}

func (c *child) decided(x *Execution, e *store.Event) {
	c.started, c.exists = e.Kind == store.ChildStarted, e.Kind == store.ChildExists
	if c.scope.err() != nil {
		c.cancel(nil) // it was canceled while the ID was being taken
	}
	c.waiters.wake(x)
}

// taken ends a child whose derived ID another run has, however unlikely.
func (c *child) taken(x *Execution) {
	failure := &journal.Failure{Text: "run " + c.spec.ID + " exists", As: []journal.Typed{{Type: journal.AsExists, RunID: c.spec.ID}}}
	c.end(x, &store.Event{Kind: store.ChildFailed, Data: failure.Encode()})
}

func (c *child) end(x *Execution, e *store.Event) {
	c.done = true
	if e.Kind == store.ChildFailed {
		failure := journal.DecodeFailure(e.Data)
		c.failure = &failure
	} else {
		c.data = e.Data
	}
	delete(x.children, c.ref)
	c.scope.detach(c)
	c.waiters.wake(x)
}

// cancel asks the child to cancel.
func (c *child) cancel(error) {
	if c.started && !c.done {
		c.x.emit(&store.Effect{Kind: store.Send, Message: store.Message{RunID: c.spec.ID, Kind: store.CancelRequested}}, nil)
	}
}
