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
	"github.com/tenter-dev/tenter/internal/journal"
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
	generation []store.Event // of the present one; Events are those of all
	env        *env
	forgot     bool            // what the earlier generations have seen
	unread     []store.Message // in all generations
	backlog    []store.Message // payloads that wait until they are asked for
	awaits     []store.Subscription
	hooks      []store.ArchivedHook
}

// place is where a payload has ended up.
type place struct {
	run   string
	hook  string
	where string
	order int // among those of the run

	generation int // the last one that has had it
}

func (r *record) id() string { return r.Run.ID }

func (r *record) terminated() bool {
	return r.Run.Status == store.Canceled && (!r.Finished || r.Failure.Names(journal.IsRestarting))
}

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
	for _, r := range c.records {
		if r.forgot {
			c.placeForgotten(r)
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
	return c.verdict()
}

// verdict is all that was found to be wrong.
func (c *checker) verdict() error {
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
	all, err := c.db.Export(context.Background(), id)
	if err != nil {
		c.errorf("export run %s: %v", id, err)
		return
	}
	r := &record{Loaded: l, generation: l.Events}
	r.Events, r.awaits, r.hooks = all.Events, all.Subscriptions, all.Hooks
	for _, m := range all.Unread {
		r.unread = append(r.unread, m.Message)
	}
	for _, first := range l.Backlog {
		waiting, _, err := c.db.Backlog(context.Background(), id, first.Ref, first.ID, 1000)
		if err != nil {
			c.errorf("backlog of run %s: %v", id, err)
		}
		r.backlog = append(append(r.backlog, first), waiting...)
	}
	delete(c.envs, id)
	if r.Replayed, err = c.nodes[0].engine.Replay(l); err != nil {
		c.errorf("run %s: %v", id, err)
		return
	}
	r.env = c.envs[id]
	if r.env == nil && r.terminated() { // before it had begun
		r.env, r.forgot = &env{}, true
	}
	if r.env == nil {
		c.errorf("run %s was never begun: %s, worker %q, epoch %d, %d events, %d messages", id, l.Run.Status, l.Run.Worker, l.Run.Epoch, l.Run.Events, len(l.Mail))
		return
	}
	if r.isRepeatable() {
		if err := c.nodes[0].engine.Repeat(l); err != nil {
			c.errorf("run %s: %v", id, err)
			return
		}
	}
	c.records[id] = r
}

// isRepeatable reports whether the code would ask for the same if all happened now: it would take
// patches that the run has passed, and not ask for those whose calls it has lost.
func (r *record) isRepeatable() bool {
	for _, p := range r.env.patches {
		if !p.took {
			return false
		}
	}
	lost := false
	r.asked(func(_ *store.Event, line string) {
		if id, ok := strings.CutPrefix(line, "patched "); ok {
			_, has := r.env.patches[id]
			lost = lost || !has
		}
	})
	return !lost
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
	type payloadOf struct {
		n    int
		hook string // empty: it was sent to one
	}
	key := func(n int, hook string) payloadOf {
		if c.isNews(n) {
			return payloadOf{n, hook}
		}
		return payloadOf{n: n}
	}
	hookOf := map[payloadOf]string{}
	generation := map[payloadOf]int{} // that has a payload in its part of the journal
	now := 0
	put := func(n int, hook, where string) {
		of, journaled := generation[key(n, hook)]
		if !journaled {
			of = now
		}
		c.places[n] = append(c.places[n], place{r.id(), hook, where, c.placed, of})
		c.placed++
	}
	plain := map[string][]int{} // payloads of hooks that were not sent as requests
	for _, e := range r.Events {
		if e.Kind == store.Restarted {
			now++
		}
		if e.Kind != store.PayloadReceived {
			continue
		}
		n := number(e.Data)
		k := key(n, e.Ref)
		_, carried := hookOf[k]
		if carried && generation[k] == now {
			c.errorf("run %s: payload %d is twice in the journal", r.id(), n)
		}
		hookOf[k], generation[k] = e.Ref, now
		if _, _, err := run.DecodeRequest(e.Data); err != nil && !carried {
			plain[e.Ref] = append(plain[e.Ref], n)
		}
	}
	for _, s := range r.env.trace {
		if s.Plain && len(plain[s.Hook]) > 0 {
			s.Payload, plain[s.Hook] = plain[s.Hook][0], plain[s.Hook][1:]
		}
		if s.Payload == 0 {
			continue
		}
		hook := hookOf[key(s.Payload, s.Hook)]
		if s.Hook != "" && s.Hook != hook {
			c.errorf("run %s: payload %d for hook %s came from hook %s", r.id(), s.Payload, hook, s.Hook)
		}
		put(s.Payload, hook, delivered)
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

const (
	delivered = "delivered"
	forgotten = "forgotten"
)

// placeForgotten notes the payloads that earlier generations of a run have taken. Their traces are in the
// input of the next one, which goes with it if the run is terminated before that begins.
func (c *checker) placeForgotten(r *record) {
	earlier := r.Events[:len(r.Events)-len(r.generation)]
	generation := 0
	for i, e := range earlier {
		if e.Kind == store.Restarted {
			generation++
		}
		if e.Kind != store.PayloadReceived {
			continue
		}
		n := number(e.Data)
		if !slices.ContainsFunc(c.places[n], func(p place) bool { return p.hook == e.Ref || !c.isNews(n) }) {
			c.places[n] = append(c.places[n], place{r.id(), e.Ref, forgotten, i - len(earlier), generation})
		}
	}
}

// accepted reports whether a payload is known to be durable.
func (s *sendCall) accepted() bool {
	_, unanswered := errors.AsType[*workflow.UnansweredError](s.err)
	if s.asked && unanswered {
		return s.key == ""
	}
	if s.request { // a repeat gets the answer of the first
		return s.key == "" && (s.err == nil || errors.Is(s.err, engine.ErrNoResponse) || errors.Is(s.err, engine.ErrResponseTimeout) ||
			errors.Is(s.err, engine.ErrStopping) || errors.Is(s.err, engine.ErrPaused))
	}
	return s.err == nil && !s.info.Duplicate
}

// refused reports whether a payload was not taken, for sure.
func (s *sendCall) refused() bool {
	if _, taken := errors.AsType[*workflow.UnansweredError](s.err); taken {
		return false
	}
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
