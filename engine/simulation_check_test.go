package engine_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/tenter-dev/tenter/engine"
	"github.com/tenter-dev/tenter/internal/run"
	"github.com/tenter-dev/tenter/store"
	"github.com/tenter-dev/tenter/workflow"
)

// checker looks at a world that has come to rest. What it holds to be right is in
// simulation_invariants_test.go.
type checker struct {
	*world
	found   []string
	records map[string]*record
	sent    map[int]*sendCall
	places  map[int][]place // of payloads
	placed  int
}

// record is all that there is about one run.
type record struct {
	store.Loaded
	*engine.Replayed
	env     *env
	unread  []store.Message
	backlog []store.Message // payloads that wait until they are asked for
}

// place is where a payload has ended up.
type place struct {
	run   string
	hook  string
	where string
	order int // among those of the run
}

func (r *record) id() string { return r.Run.ID }

func (r *record) terminated() bool { return r.Run.Status == store.Canceled && !r.Finished }

// has reports whether the journal has an event of a kind.
func (r *record) has(k store.Kind) bool {
	return slices.ContainsFunc(r.Events, func(e store.Event) bool { return e.Kind == k })
}

// asked yields what the code has asked for, and at which event.
func (r *record) asked(f func(e *store.Event, line string)) {
	for i := range r.Events {
		for line := range strings.Lines(r.Events[i].Asked) {
			f(&r.Events[i], strings.TrimSuffix(line, "\n"))
		}
	}
}

func (c *checker) errorf(format string, args ...any) {
	c.found = append(c.found, fmt.Sprintf(format, args...))
}

// check says what is wrong.
func (w *world) check() error {
	c := &checker{world: w, records: map[string]*record{}, sent: map[int]*sendCall{}, places: map[int][]place{}}
	c.found = append(c.found, w.problems...)
	for i := range c.sends {
		c.sent[c.sends[i].n] = &c.sends[i]
	}
	for _, id := range w.runs() {
		c.load(id)
	}
	for _, id := range c.runs() {
		if r := c.records[id]; r != nil {
			c.place(r)
		}
	}
	for _, id := range c.runs() {
		if r := c.records[id]; r != nil {
			for _, holds := range runInvariants {
				holds(c, r)
			}
		}
	}
	for _, holds := range worldInvariants {
		holds(c)
	}
	if len(c.found) == 0 {
		return nil
	}
	return errors.New(strings.Join(c.found, "\n"))
}

// load reads a run and replays it.
func (c *checker) load(id string) {
	l, err := c.db.Load(context.Background(), id, 0)
	if err != nil {
		c.errorf("load run %s: %v", id, err)
		return
	}
	r := &record{Loaded: l}
	if l.Run.Status.Ended() {
		if r.unread, err = c.db.Mailbox(context.Background(), id, 1000); err != nil {
			c.errorf("unread of run %s: %v", id, err)
		}
	}
	for _, first := range l.Backlog {
		waiting, _, err := c.db.Backlog(context.Background(), id, first.Ref, first.ID, 1000)
		if err != nil {
			c.errorf("backlog of run %s: %v", id, err)
		}
		r.backlog = append(append(r.backlog, first), waiting...)
	}
	delete(c.envs, id)
	if r.Replayed, err = c.all[1].engine.Replay(l); err != nil {
		c.errorf("run %s: %v", id, err)
		return
	}
	r.env = c.envs[id]
	if r.env == nil && r.terminated() {
		r.env = &env{} // before it had begun
	}
	if r.env == nil {
		c.errorf("run %s was never begun: %s, worker %q, epoch %d, %d events, %d messages", id, l.Run.Status, l.Run.Worker, l.Run.Epoch, l.Run.Events, len(l.Mail))
		return
	}
	c.records[id] = r
}

// number is the number of a payload, or of the one in a request.
func number(data []byte) int {
	if bytes.HasPrefix(data, []byte(`{"id"`)) {
		if _, body, err := run.DecodeRequest(data); err == nil {
			data = body
		}
	}
	var p payload
	_ = json.Unmarshal(data, &p)
	return p.N
}

// place notes where the payloads of a run have ended up.
func (c *checker) place(r *record) {
	put := func(n int, hook, where string) {
		c.places[n] = append(c.places[n], place{r.id(), hook, where, c.placed})
		c.placed++
	}
	hookOf := map[int]string{}
	plain := map[string][]int{} // payloads of hooks that were not sent as requests
	for _, e := range r.Events {
		if e.Kind == store.PayloadReceived {
			n := number(e.Data)
			if _, twice := hookOf[n]; twice {
				c.errorf("run %s: payload %d is twice in the journal", r.id(), n)
			}
			hookOf[n] = e.Ref
			if _, _, err := run.DecodeRequest(e.Data); err != nil {
				plain[e.Ref] = append(plain[e.Ref], n)
			}
		}
	}
	for _, s := range r.env.trace {
		if s.Plain && len(plain[s.Hook]) > 0 {
			s.Payload, plain[s.Hook] = plain[s.Hook][0], plain[s.Hook][1:]
		}
		if s.Payload == 0 {
			continue
		}
		if s.Hook != "" && s.Hook != hookOf[s.Payload] {
			c.errorf("run %s: payload %d for hook %s came from hook %s", r.id(), s.Payload, hookOf[s.Payload], s.Hook)
		}
		put(s.Payload, hookOf[s.Payload], delivered)
	}
	if !r.Run.Status.Ended() || r.terminated() {
		for _, m := range r.Unread {
			put(number(m.Data), m.Ref, "untaken")
		}
	}
	for _, m := range r.Mail {
		if m.Kind == store.PayloadReceived {
			put(number(m.Data), m.Ref, "mailbox")
		}
	}
	for _, m := range r.backlog {
		put(number(m.Data), m.Ref, "backlog")
	}
	for _, m := range r.unread {
		if m.Kind == store.PayloadReceived {
			put(number(m.Data), m.Ref, "unread")
		}
	}
}

const delivered = "delivered"

// accepted reports whether a payload is known to be durable.
func (s *sendCall) accepted() bool {
	if s.request { // a repeat gets the answer of the first
		return s.key == "" && (s.err == nil || errors.Is(s.err, engine.ErrNoResponse) || errors.Is(s.err, engine.ErrResponseTimeout) ||
			errors.Is(s.err, engine.ErrStopping))
	}
	return s.err == nil && !s.info.Duplicate
}

// refused reports whether a payload was not taken, for sure.
func (s *sendCall) refused() bool {
	_, bad := errors.AsType[*workflow.PayloadError](s.err)
	return bad || errors.Is(s.err, workflow.ErrHookNotFound) || errors.Is(s.err, workflow.ErrRunExists) || errors.Is(s.err, workflow.ErrEngineClosed)
}

// owned reports whether a run had a token at some time between two times.
func (c *checker) owned(id, token string, from, to time.Time) bool {
	r := c.records[id]
	if r == nil {
		return false
	}
	if c.retried[id] {
		return true // the journal does not have all of it
	}
	end, ended := c.ended[id]
	for _, s := range c.sends {
		if s.orStart && s.token == token && fmt.Sprintf("s%d", s.n) == id {
			return !s.at.After(to) && (!ended || !end.Before(from))
		}
	}
	opened := map[string]time.Time{} // hooks with the token, by number
	for _, e := range r.Events {
		at := c.commits[commit{id, e.Position}]
		if e.Kind == store.HookConflict {
			delete(opened, e.Ref)
		}
		for line := range strings.Lines(e.Asked) {
			line = strings.TrimSuffix(line, "\n")
			var n, t string
			if k, _ := fmt.Sscanf(line, "hook %s token %s", &n, &t); k == 2 && t == token {
				opened[n] = at
			}
			if n, closes := strings.CutPrefix(line, "close "); closes {
				if since, ok := opened[n]; ok && !since.After(to) && !at.Before(from) {
					return true
				}
				delete(opened, n)
			}
		}
	}
	for _, since := range opened {
		if !since.After(to) && (!ended || !end.Before(from)) {
			return true
		}
	}
	return false
}

// payments are the steps that the application's table has, and how often.
func (w *world) payments() (map[string]int, error) {
	paid := map[string]int{}
	if w.app == nil {
		return paid, nil
	}
	c, err := w.app.Take(context.Background())
	if err != nil {
		return nil, err
	}
	defer w.app.Put(c)
	return paid, readPayments(c, func(step string) { paid[step]++ })
}

// stack reports whether a recorded failure has the stack of a panic of the program.
func stack(data []byte) bool { return bytes.Contains(data, []byte("simulation_interpreter_test.go")) }
