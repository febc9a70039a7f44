package engine_test

import (
	"bytes"
	"cmp"
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

// place is where a payload has ended up.
type place struct {
	run   string
	hook  string
	where string
	order int // among those of the run
}

// checker looks at a world that has come to rest.
type checker struct {
	*world
	found   []string
	records map[string]*record
	places  map[int][]place // of payloads
	placed  int
}

// record is all that there is about one run.
type record struct {
	store.Loaded
	*engine.Replayed
	env *env
}

func (r *record) terminated() bool {
	return r.Run.Status == store.Canceled && !r.Finished
}

func (c *checker) errorf(format string, args ...any) {
	c.found = append(c.found, fmt.Sprintf(format, args...))
}

// quiet checks what holds whenever nothing moves.
func (w *world) quiet() {
	owners := map[string]string{}
	for _, h := range w.openHooks() {
		w.note(func() {
			if other, twice := owners[h.Token]; twice {
				w.problem("token %q is of hooks %s and %s", h.Token, other, h.ID)
			}
		})
		owners[h.Token] = h.ID
		if r, err := w.db.Run(context.Background(), h.RunID); err != nil || r.Status.Ended() {
			w.note(func() { w.problem("hook %s is open, its run is %s (%v)", h.ID, r.Status, err) })
		}
	}
}

// check says what is wrong.
func (w *world) check() error {
	c := &checker{world: w, records: map[string]*record{}, places: map[int][]place{}}
	c.found = append(c.found, w.problems...)
	for _, id := range w.runs() {
		c.load(id)
	}
	for _, id := range c.runs() {
		if r := c.records[id]; r != nil {
			c.checkJournal(r)
			c.checkSteps(r)
			c.checkTrace(r)
			c.checkEnd(r)
			c.checkParked(r)
			c.place(r)
		}
	}
	c.checkStarts()
	c.checkSends()
	c.checkConflicts()
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
	delete(c.envs, id)
	if r.Replayed, err = c.nodes[0].engine.Replay(l); err != nil {
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

// checkJournal checks that the journal is valid.
func (c *checker) checkJournal(r *record) {
	id := r.Run.ID
	if int64(len(r.Events)) != r.Run.Events {
		c.errorf("run %s: %d events, and its head says %d", id, len(r.Events), r.Run.Events)
	}
	deadlines := map[string]time.Time{}
	var last store.Event
	for i, e := range r.Events {
		if e.Position != int64(i)+1 {
			c.errorf("run %s: event %d has position %d", id, i+1, e.Position)
		}
		// What asked to terminate may have been under way for long.
		if e.At.Before(last.At) && (!r.terminated() || i < len(r.Events)-1) {
			c.errorf("run %s: event %d goes back in time, %v to %v", id, e.Position, last.At, e.At)
		}
		if e.Epoch < last.Epoch || e.Epoch == last.Epoch && e.Seq < last.Seq {
			c.errorf("run %s: event %d of epoch %d.%d comes after %d.%d", id, e.Position, e.Epoch, e.Seq, last.Epoch, last.Seq)
		}
		if (i == 0) != (e.Kind == store.Started) && !r.terminated() {
			c.errorf("run %s: event %d is %s", id, e.Position, e.Kind)
		}
		ends := e.Kind == store.RunCompleted || e.Kind == store.RunFailed || e.Kind == store.RunCanceled
		if ends != (i == len(r.Events)-1 && r.Run.Status.Ended()) {
			c.errorf("run %s is %s: event %d of %d is %s", id, r.Run.Status, e.Position, len(r.Events), e.Kind)
		}
		if e.Kind == store.TimerFired {
			// Not before, and not after anything that came later.
			if at, ok := deadlines[e.Ref]; !ok || !e.At.Equal(at) {
				c.errorf("run %s: event %d: timer %s of %v fires at %v", id, e.Position, e.Ref, at, e.At)
			}
		}
		for line := range strings.Lines(e.Asked) {
			var n string
			var at string
			for _, kind := range []string{"sleep", "deadline"} {
				if k, _ := fmt.Sscanf(line, kind+" %s until %s", &n, &at); k == 2 {
					deadlines[n], _ = time.Parse(time.RFC3339Nano, at)
				}
			}
		}
		last = e
	}
	if r.Run.Status == store.Blocked || r.Run.BlockedReason != "" {
		c.errorf("run %s is %s: %s", id, r.Run.Status, r.Run.BlockedReason)
	}
}

// checkSteps checks that each step has one outcome, after so many attempts.
func (c *checker) checkSteps(r *record) {
	failures := map[string]int{}
	outcomes := map[string]int{}
	for _, e := range r.Events {
		if e.Kind == store.Retried {
			clear(failures)
		}
		if e.Kind == store.StepRetried {
			if failures[e.Ref]++; failures[e.Ref] >= maxAttempts {
				c.errorf("run %s: step %s has failed %d times, and is retried", r.Run.ID, e.Ref, failures[e.Ref])
			}
		}
		if e.Kind == store.StepCompleted || e.Kind == store.StepFailed {
			if outcomes[e.Ref]++; outcomes[e.Ref] > 1 {
				c.errorf("run %s: step %s has two outcomes", r.Run.ID, e.Ref)
			}
		}
		if e.Kind != store.StepCompleted {
			continue
		}
		var value string
		if err := json.Unmarshal(e.Data, &value); err != nil || c.results[value] != r.Run.ID+"/"+e.Ref {
			c.errorf("run %s: step %s has the result %s, which no attempt returned", r.Run.ID, e.Ref, e.Data)
		}
	}
}

// checkTrace checks what the program has seen.
func (c *checker) checkTrace(r *record) {
	woken := slices.ContainsFunc(r.Events, func(e store.Event) bool { return e.Kind == store.Woken })
	var last time.Time
	for _, s := range r.env.trace {
		if s.At.Before(last) {
			c.errorf("run %s: Now goes back from %v to %v", r.Run.ID, last, s.At)
		}
		last = s.At
		if s.What == "sleep" && s.Err == "" && !woken && s.Slept.String() < s.Value {
			if d, _ := time.ParseDuration(s.Value); s.Slept < d {
				c.errorf("run %s: a sleep of %s took %v", r.Run.ID, s.Value, s.Slept)
			}
		}
	}
}

// checkEnd checks that the result is what the program computes from its journal.
func (c *checker) checkEnd(r *record) {
	if !r.Run.Status.Ended() || r.terminated() {
		return
	}
	last := r.Events[len(r.Events)-1]
	if !r.Finished {
		c.errorf("run %s is %s, and its program has not finished", r.Run.ID, r.Run.Status)
		return
	}
	if r.Failure == nil {
		if r.Run.Status != store.Completed || !bytes.Equal(last.Data, r.Result) {
			c.errorf("run %s is %s with %s, a replay gives %s", r.Run.ID, r.Run.Status, last.Data, r.Result)
		}
		return
	}
	var recorded run.Failure
	if err := json.Unmarshal(last.Data, &recorded); err != nil || recorded.Text != r.Failure.Text || r.Run.Status == store.Completed {
		c.errorf("run %s is %s with %s, a replay fails with %s", r.Run.ID, r.Run.Status, last.Data, r.Failure.Text)
	}
}

// checkParked checks that a run that has not ended waits for something that may
// still come.
func (c *checker) checkParked(r *record) {
	if r.Run.Status.Ended() {
		return
	}
	id := r.Run.ID
	if r.Finished || r.Run.Status != store.Waiting || r.Run.Worker != "" || !r.Run.WakeAt.IsZero() || len(r.Mail) > 0 ||
		len(r.Steps) > 0 || len(r.Timers) > 0 || r.Unsettled > 0 {
		c.errorf("run %s is stuck: %s, worker %q, wake at %v, %d messages, finished %t, steps %v, timers %v, %d unsettled",
			id, r.Run.Status, r.Run.Worker, r.Run.WakeAt, len(r.Mail), r.Finished, r.Steps, r.Timers, r.Unsettled)
	}
	open, err := c.db.Hooks(context.Background(), store.HookFilter{RunID: id, Limit: 1000})
	if err != nil {
		c.errorf("list hooks of run %s: %v", id, err)
	}
	open = slices.DeleteFunc(open, func(h store.Hook) bool { return h.Reserved })
	hooks := func(hs []store.Hook) []string {
		var names []string
		for _, h := range hs {
			names = append(names, h.ID+" "+h.Token)
		}
		slices.Sort(names)
		return names
	}
	if have, want := hooks(open), hooks(r.Open); !slices.Equal(have, want) {
		c.errorf("run %s has the open hooks %q, its program %q", id, have, want)
	}
	children := slices.ContainsFunc(r.Children, func(child string) bool {
		return c.records[child] == nil || !c.records[child].Run.Status.Ended()
	})
	for _, b := range r.env.blocked {
		switch b.verb {
		case vWait, vRange:
			for _, h := range b.hooks {
				if !slices.ContainsFunc(r.Open, func(o store.Hook) bool { return o.ID == h.ID() }) ||
					slices.ContainsFunc(r.Untaken, func(m store.Message) bool { return m.Ref == h.ID() }) {
					c.errorf("run %s waits for hook %s, which is closed or has payloads", id, h.ID())
				}
			}
		case vCall:
			if !children {
				c.errorf("run %s waits for a child, and all have ended", id)
			}
		case vJoin, vFirst, vAll:
		default:
			c.errorf("run %s is stuck in %s", id, b.verb)
		}
	}
}

func number(data []byte) int {
	var p payload
	_ = json.Unmarshal(data, &p)
	return p.N
}

// place notes where the payloads of a run have ended up.
func (c *checker) place(r *record) {
	id := r.Run.ID
	put := func(n int, hook, where string) {
		c.places[n] = append(c.places[n], place{id, hook, where, c.placed})
		c.placed++
	}
	hookOf := map[int]string{}
	for _, e := range r.Events {
		if e.Kind == store.PayloadReceived {
			n := number(e.Data)
			if _, twice := hookOf[n]; twice {
				c.errorf("run %s: payload %d is twice in the journal", id, n)
			}
			hookOf[n] = e.Ref
		}
	}
	for _, s := range r.env.trace {
		if s.Payload == 0 {
			continue
		}
		if s.Hook != "" && s.Hook != hookOf[s.Payload] {
			c.errorf("run %s: payload %d for hook %s came from hook %s", id, s.Payload, hookOf[s.Payload], s.Hook)
		}
		put(s.Payload, hookOf[s.Payload], "delivered")
	}
	if !r.Run.Status.Ended() || r.terminated() {
		for _, m := range r.Untaken {
			put(number(m.Data), m.Ref, "untaken")
		}
	}
	for _, m := range r.Mail {
		if m.Kind == store.PayloadReceived {
			put(number(m.Data), m.Ref, "mailbox")
		}
	}
	var unread []store.Message
	var err error
	if r.Run.Status.Ended() {
		unread, err = c.db.Mailbox(context.Background(), id, 1000)
	}
	if err != nil {
		c.errorf("unread of run %s: %v", id, err)
	}
	for _, m := range unread {
		if m.Kind == store.PayloadReceived {
			put(number(m.Data), m.Ref, "unread")
		}
	}
}

// checkStarts checks that a run ID is taken once.
func (c *checker) checkStarts() {
	for _, s := range c.starts {
		switch {
		case s.err == nil && c.records[s.id] == nil:
			c.errorf("run %s was started, and is not there", s.id)
		case s.err == nil:
			for _, o := range c.starts {
				if o.err == nil && o.id == s.id && o.begin != s.begin {
					c.errorf("run %s was started twice", s.id)
				}
			}
		case errors.Is(s.err, workflow.ErrRunExists) && c.records[s.id] == nil:
			c.errorf("run %s was said to exist, and is not there", s.id)
		}
	}
}

// accepted reports whether a payload is known to be durable.
func (s *sendCall) accepted() bool { return s.err == nil && !s.info.Duplicate }

// checkSends checks that each payload is where it belongs, once, and in order.
func (c *checker) checkSends() {
	sent := map[int]*sendCall{}
	for i := range c.sends {
		s := &c.sends[i]
		sent[s.n] = s
		at := c.places[s.n]
		refused := errors.Is(s.err, workflow.ErrHookNotFound) || errors.Is(s.err, workflow.ErrRunExists)
		switch {
		case s.accepted() && len(at) != 1:
			c.errorf("payload %d was accepted for %s, and is at %v", s.n, s.info.ID, at)
		case (refused || s.err == nil && s.info.Duplicate) && len(at) != 0:
			c.errorf("payload %d was refused or dropped (%v), and is at %v", s.n, s.err, at)
		case len(at) > 1:
			c.errorf("payload %d is at %v", s.n, at)
		case s.accepted() && at[0].hook != s.info.ID && !s.orStart:
			c.errorf("payload %d was accepted for %s, and is at %v", s.n, s.info.ID, at)
		}
	}
	for n, at := range c.places {
		if sent[n] == nil {
			c.errorf("payload %d is at %v, and nobody sent it", n, at)
		}
	}
	c.checkKeys()
	c.checkOrder()
	c.checkInTime()
}

// checkInTime checks that payloads accepted before a timer was due come before it,
// however late the worker was.
func (c *checker) checkInTime() {
	durable := map[int]*sendCall{}
	for i := range c.sends {
		if s := &c.sends[i]; s.accepted() {
			durable[s.n] = s
		}
	}
	for id, r := range c.records {
		var fired time.Time
		for _, e := range r.Events {
			switch {
			case e.Kind == store.TimerFired:
				fired = e.At
			case e.Kind == store.PayloadReceived && !c.retried[id]:
				if s := durable[number(e.Data)]; s != nil && s.info.RunID == id && s.done.Before(fired) {
					c.errorf("run %s: payload %d was accepted by %v, and comes after a timer of %v", id, s.n, s.done, fired)
				}
			}
		}
	}
}

// checkKeys checks that at most one payload of a token and key was accepted.
func (c *checker) checkKeys() {
	first := map[string]*sendCall{}
	slices.SortFunc(c.sends, func(a, b sendCall) int { return cmp.Compare(a.end, b.end) })
	placed := map[string]int{}
	for i := range c.sends {
		s := &c.sends[i]
		if s.key == "" {
			continue
		}
		k := s.token + " " + s.key
		placed[k] += len(c.places[s.n])
		if s.err != nil {
			continue
		}
		f := first[k]
		if f == nil {
			first[k] = s
			continue
		}
		if s.info.ID != f.info.ID || s.info.RunID != f.info.RunID || s.begin > f.end && !s.info.Duplicate {
			c.errorf("payloads %d and %d have the key %s, and got %v and %v", f.n, s.n, k, f.info, s.info)
		}
	}
	for k, n := range placed {
		if n > 1 || n == 0 && first[k] != nil {
			c.errorf("%d payloads of key %s were kept", n, k)
		}
	}
}

// checkOrder checks that payloads of a hook come in the order of acceptance.
func (c *checker) checkOrder() {
	for i := range c.sends {
		for j := range c.sends {
			a, b := &c.sends[i], &c.sends[j]
			if !a.accepted() || !b.accepted() || a.info.ID != b.info.ID || a.end >= b.begin {
				continue
			}
			if len(c.places[a.n]) != 1 || len(c.places[b.n]) != 1 {
				continue // found already
			}
			p, q := c.places[a.n][0], c.places[b.n][0]
			if p.run == q.run && p.hook == q.hook && p.order > q.order {
				c.errorf("payload %d was accepted before %d, and comes after it: %v, %v", a.n, b.n, p, q)
			}
		}
	}
}

// checkConflicts checks that a token that was refused had the owner that was named.
func (c *checker) checkConflicts() {
	for _, id := range c.runs() {
		r := c.records[id]
		if r == nil {
			continue
		}
		asked := map[string]store.Event{}
		token := map[string]string{}
		for _, e := range r.Events {
			for line := range strings.Lines(e.Asked) {
				var n, t string
				if k, _ := fmt.Sscanf(line, "hook %s token %s", &n, &t); k == 2 {
					asked[n], token[n] = e, t
				}
			}
			if e.Kind == store.HookConflict {
				var owner string
				_ = json.Unmarshal(e.Data, &owner)
				from, to := c.commits[commit{id, asked[e.Ref].Position}], c.commits[commit{id, e.Position}]
				if !c.owned(owner, token[e.Ref], from, to) {
					c.errorf("run %s: token %q is said to be of run %s between %v and %v, and is not", id, token[e.Ref], owner, from, to)
				}
			}
		}
	}
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
