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
	"github.com/tenter-dev/tenter/internal/journal"
	"github.com/tenter-dev/tenter/store"
	"github.com/tenter-dev/tenter/workflow"
)

// This file has what Tenter promises as statements that can be executed. Each function
// begins its comment with the promise; docs/reliability.md lists them. Those of a
// checker look at a world at rest, the others at what is happening.

// runInvariants are checked for each run of a world at rest, worldInvariants once.
var (
	runInvariants = []func(*checker, *record){
		(*checker).journalIsWhole, (*checker).timeNeverGoesBack, (*checker).timersFireOnTime, (*checker).nothingDiverges,
		(*checker).stepHasOneOutcome, (*checker).resultIsAnAttempts, (*checker).failuresAreCounted, (*checker).fatalIsObeyed,
		(*checker).liveIsWhatReplayIs, (*checker).sleepsLastLongEnough, (*checker).nothingIsStuck, (*checker).openHooksAreOpen,
		(*checker).waitsAreForSomething, (*checker).drainDelivers, (*checker).badPayloadsAreErrors, (*checker).unreadIsRecorded,
		(*checker).successorsAreStarted, (*checker).conflictsNameTheOwner, (*checker).childResultsArrive, (*checker).terminateFences,
		(*checker).panicsHaveAStack, (*checker).requestsAreAnsweredOnce, (*checker).journalHasWhatIsAskedFor,
	}
	worldInvariants = []func(*checker){
		(*checker).runIDsAreTakenOnce, (*checker).payloadsAreDeliveredOnce, (*checker).refusedIsNotWritten, (*checker).payloadsBelongToTheirHook,
		(*checker).orderIsKept, (*checker).messagesBeatTimers, (*checker).keysAreAcceptedOnce, (*checker).refusedUsesNoKey,
		(*checker).reservationsAreAdopted, (*checker).cancelIsHeard, (*checker).webhooksAnswer, (*checker).transactionsHappenOnce,
	}
)

// "A generated token is the same after every replay: a token that was logged or mailed
// just before a crash stays the right one": a step has it from its workflow.
func (w *world) tokensStand(seen map[string]string) {
	w.note(func() {
		for id, token := range seen {
			if had := w.tokenOf[id]; had != "" && had != token {
				w.problem("hook %s had the token %q, and has %q", id, had, token)
			}
			w.tokenOf[id] = token
		}
	})
}

// "NewHook with a custom token returns only when the token is durably claimed, or
// with the owning run's ID." (This is the first half.)
func (w *world) claimedBeforeItReturns(runID, hookID string) {
	w.note(func() {
		if !w.claimed[hookID] && !strings.HasSuffix(hookID, ".h0") { // which a send has claimed
			w.problem("run %s: hook %s was opened, and its token not claimed", runID, hookID)
		}
	})
}

// "NewHook returns *HookConflictError with the owning run's ID": that run had the
// token at that time.
func (c *checker) conflictsNameTheOwner(r *record) {
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
			from, to := c.commits[commit{r.id(), asked[e.Ref].Position}], c.commits[commit{r.id(), e.Position}]
			if !c.owned(owner, token[e.Ref], from, to) {
				c.errorf("run %s: token %q is said to be of run %s between %v and %v, and is not", r.id(), token[e.Ref], owner, from, to)
			}
		}
	}
}

// "The hook is registered always before the run waits or any step, child or response
// begins": those that the code had opened when it asked for a step are open when the
// step begins.
func (w *world) registeredBeforeItIsSeen(l *store.Loaded, ref string) {
	open := map[string]bool{}
	for _, e := range l.Events {
		for line := range strings.Lines(e.Asked) {
			verb, rest, _ := strings.Cut(strings.TrimSuffix(line, "\n"), " ")
			switch {
			case verb == "hook" && !strings.Contains(rest, " "):
				open[l.Run.ID+".h"+rest] = true
			case verb == "close":
				delete(open, l.Run.ID+".h"+rest)
			case verb == "step" && rest == ref:
				w.areOpen(l, open, "step "+ref)
			}
		}
	}
}

func (w *world) areOpen(l *store.Loaded, want map[string]bool, when string) {
	hooks, err := w.db.Hooks(context.Background(), store.HookFilter{RunID: l.Run.ID, Limit: 1000})
	if err != nil {
		w.note(func() { w.problem("list hooks: %v", err) })
		return
	}
	closed := w.closedSince(l)
	for id := range want {
		if !closed[id] && !slices.ContainsFunc(hooks, func(h store.Hook) bool { return h.ID == id }) {
			w.note(func() { w.problem("hook %s was not registered when %s began", id, when) })
		}
	}
}

// closedSince returns the hooks that the code has closed at any time.
func (w *world) closedSince(l *store.Loaded) map[string]bool {
	closed := map[string]bool{}
	for _, e := range l.Events {
		for line := range strings.Lines(e.Asked) {
			if n, ok := strings.CutPrefix(strings.TrimSuffix(line, "\n"), "close "); ok {
				closed[l.Run.ID+".h"+n] = true
			}
		}
	}
	return closed
}

// "Each payload goes to exactly one Wait/All. After a crash none is lost, none is
// delivered twice to the code that follows."
func (c *checker) payloadsAreDeliveredOnce() {
	for i := range c.sends {
		s := &c.sends[i]
		if at := c.places[s.n]; s.accepted() && len(at) != 1 || len(at) > 1 {
			c.errorf("payload %d for %q (%s, %v) is at %v", s.n, s.token, s.info.ID, s.err, at)
		}
	}
	for n, at := range c.places {
		if c.sent[n] == nil {
			c.errorf("payload %d is at %v, and nobody sent it", n, at)
		}
	}
}

// "Payloads are delivered in the order in which they were accepted."
func (c *checker) orderIsKept() {
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

// "Resume returns when the payload is durable, with the hook's ID, run ID, token,
// metadata, creation time. Unknown, closed or ended: ErrHookNotFound": an open hook
// refuses nothing.
func (w *world) resumed(c *sendCall, before, after *store.Hook) {
	id := c.info.RunID
	switch {
	case c.err == nil && !c.info.Duplicate && !w.durable(c.n):
		w.note(func() { w.problem("payload %d was accepted for %s, and is not there", c.n, c.info.ID) })
	case c.err == nil && (c.info.Token != c.token || !strings.HasPrefix(c.info.ID, id+".h")):
		w.note(func() { w.problem("payload %d for token %q was accepted for %v", c.n, c.token, c.info) })
	case c.err == nil && !c.info.Duplicate && before.ID == c.info.ID && !before.Reserved &&
		(!bytes.Equal(before.Metadata, c.info.Metadata) || !before.CreatedAt.Equal(c.info.CreatedAt)):
		w.note(func() { w.problem("payload %d was accepted for %v, which is %v", c.n, c.info, before) })
	case errors.Is(c.err, workflow.ErrHookNotFound) && before.ID != "" && before.ID == after.ID:
		w.note(func() {
			if !w.retried[after.RunID] { // a retry opens it again
				w.problem("payload %d for token %q was refused, and hook %s has it", c.n, c.token, after.ID)
			}
		})
	}
}

// What is asked for is valid, so a call fails only for what the run or the store does.
func (w *world) failed(ctx context.Context, what string, err error) {
	_, bad := errors.AsType[*workflow.PayloadError](err)
	_, refused := errors.AsType[*workflow.RetryRefusedError](err)
	_, taken := errors.AsType[*workflow.HookConflictError](err)
	if err == nil || bad || refused || taken || ctx.Err() != nil {
		return
	}
	for _, known := range []error{
		workflow.ErrHookNotFound, workflow.ErrRunNotFound, workflow.ErrRunExists, workflow.ErrRunEnded, workflow.ErrEngineClosed,
		workflow.ErrOutcomeUnknown, engine.ErrNoResponse, engine.ErrResponseTimeout, engine.ErrStopping,
		errBefore, errAfter, errLate, errDead,
	} {
		if errors.Is(err, known) {
			return
		}
	}
	w.note(func() { w.problem("%s failed: %v", what, err) })
}

// durable reports whether some run has a payload.
func (w *world) durable(n int) bool {
	for _, id := range w.runs() {
		l, err := w.db.Load(context.Background(), id, 0)
		if err != nil {
			return false
		}
		mail, err := w.db.Mailbox(context.Background(), id, 1000)
		if err != nil {
			return false
		}
		is := func(m store.Message) bool { return m.Kind == store.PayloadReceived && number(m.Data) == n }
		if slices.ContainsFunc(mail, is) ||
			slices.ContainsFunc(l.Events, func(e store.Event) bool { return e.Kind == store.PayloadReceived && number(e.Data) == n }) {
			return true
		}
	}
	return false
}

// "ErrHookNotFound, nothing written", and so for whatever else refuses a payload.
func (c *checker) refusedIsNotWritten() {
	for i := range c.sends {
		s := &c.sends[i]
		if at := c.places[s.n]; (s.refused() || s.err == nil && s.info.Duplicate) && len(at) != 0 {
			c.errorf("payload %d was refused or dropped (%v), and is at %v", s.n, s.err, at)
		}
	}
}

// "With IdempotencyKey, a second send of that key is accepted and dropped, and says
// so. The receipt outlives hook and run: a repeat returns it even when the token is
// released or belongs to another run by then."
func (c *checker) keysAreAcceptedOnce() {
	first := map[string]*sendCall{}
	placed := map[string]int{}
	calls := make([]*sendCall, len(c.sends))
	for i := range c.sends {
		calls[i] = &c.sends[i]
	}
	slices.SortFunc(calls, func(a, b *sendCall) int { return cmp.Compare(a.end, b.end) })
	for _, s := range calls {
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
		if !f.request && !s.request && (s.info.ID != f.info.ID || s.info.RunID != f.info.RunID || s.begin > f.end && !s.info.Duplicate) {
			c.errorf("payloads %d and %d have the key %s, and got %v and %v", f.n, s.n, k, f.info, s.info)
		}
	}
	for k, n := range placed {
		if n > 1 || n == 0 && first[k] != nil {
			c.errorf("%d payloads of key %s were kept", n, k)
		}
	}
}

// "A refused payload uses up no key": what is called a duplicate had a first one that
// was not refused.
func (c *checker) refusedUsesNoKey() {
	for i := range c.sends {
		s := &c.sends[i]
		if s.err != nil || !s.info.Duplicate {
			continue
		}
		if !slices.ContainsFunc(c.sends, func(o sendCall) bool {
			return o.n != s.n && o.token == s.token && o.key == s.key && !o.refused() && o.begin < s.end
		}) {
			c.errorf("payload %d is a duplicate by the key %q, and of nothing that was accepted", s.n, s.key)
		}
	}
}

// "An accepted payload always wakes its run, whatever fails in between"; nor is
// anything else left undone: no messages, steps, timers or undecided claims.
func (c *checker) nothingIsStuck(r *record) {
	if r.Run.Status.Ended() {
		return
	}
	if r.Finished || r.Run.Status != store.Waiting || r.Run.Worker != "" || !r.Run.WakeAt.IsZero() || len(r.Mail) > 0 ||
		len(r.Steps) > 0 || len(r.Timers) > 0 || r.Pending > 0 {
		c.errorf("run %s is stuck: %s, worker %q, wake at %v, %d messages, finished %t, steps %v, timers %v, %d unsettled",
			r.id(), r.Run.Status, r.Run.Worker, r.Run.WakeAt, len(r.Mail), r.Finished, r.Steps, r.Timers, r.Pending)
	}
}

// "A run waits for what may still come": an open hook that has nothing for it, or a
// child that has not ended.
func (c *checker) waitsAreForSomething(r *record) {
	if r.Run.Status.Ended() {
		return
	}
	children := slices.ContainsFunc(r.Children, func(child string) bool {
		return c.records[child] == nil || !c.records[child].Run.Status.Ended()
	})
	for _, b := range r.env.blocked {
		switch b.verb {
		case vWait, vRange:
			if !slices.ContainsFunc(r.Open, func(o store.Hook) bool { return o.ID == b.hook }) ||
				slices.ContainsFunc(slices.Concat(r.Unread, r.backlog), func(m store.Message) bool { return m.Ref == b.hook }) {
				c.errorf("run %s waits for hook %s, which is closed or has payloads", r.id(), b.hook)
			}
		case vCall:
			if !children {
				c.errorf("run %s waits for a child, and all have ended", r.id())
			}
		case vJoin, vFirst, vAll:
		default:
			c.errorf("run %s is stuck in %s", r.id(), b.verb)
		}
	}
}

// "Wait under WithTimeout returns context.DeadlineExceeded; the hook stays open", and
// where a hook is created makes no difference: the hooks that the code has open are
// those that can be resumed.
func (c *checker) openHooksAreOpen(r *record) {
	if r.Run.Status.Ended() {
		return
	}
	open, err := c.db.Hooks(context.Background(), store.HookFilter{RunID: r.id(), Limit: 1000})
	if err != nil {
		c.errorf("list hooks of run %s: %v", r.id(), err)
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
		c.errorf("run %s has the open hooks %q, its program %q", r.id(), have, want)
	}
}

// "The run's first NewHook with that token adopts the reservation."
func (c *checker) reservationsAreAdopted() {
	for i := range c.sends {
		s := &c.sends[i]
		r := c.records[s.info.RunID]
		if s.err != nil || !s.info.Started || s.info.Duplicate || r == nil || c.retried[r.id()] {
			continue
		}
		first := ""
		r.asked(func(_ *store.Event, line string) {
			var n, t string
			if k, _ := fmt.Sscanf(line, "hook %s token %s", &n, &t); k == 2 && t == s.token && first == "" {
				first = n
			}
		})
		for _, e := range r.Events {
			if first != "" && e.Ref == first && (e.Kind == store.HookClaimed || e.Kind == store.HookConflict) && string(e.Data) != fmt.Sprintf("%q", s.info.ID) {
				c.errorf("run %s was started with hook %s, and its first NewHook of %q got %s %s", r.id(), s.info.ID, s.token, e.Kind, e.Data)
			}
		}
	}
}

// "Close, and the end of the run, release the token for others", and a token has one
// owner: at any time no token is of two hooks, none of a run that has ended.
func (w *world) tokensHaveOneOwner() {
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

// "What was accepted before is still delivered after Close while the run goes on": code that has
// drained a hook has got all.
func (c *checker) drainDelivers(r *record) {
	for _, s := range r.env.trace {
		if s.Hook == "" || s.What != "end of payloads" && !strings.Contains(s.Is, workflow.ErrHookClosed.Error()) {
			continue
		}
		for n, at := range c.places {
			for _, p := range at {
				if p.run == r.id() && p.hook == s.Hook && p.where != delivered {
					c.errorf("run %s: hook %s was drained, and payload %d is %s", r.id(), s.Hook, n, p.where)
				}
			}
		}
	}
}

// "What a run never took is recorded on it as unread": its mailbox and its backlogs are
// empty.
func (c *checker) unreadIsRecorded(r *record) {
	if r.Run.Status.Ended() && len(r.Mail)+len(r.backlog) > 0 {
		c.errorf("run %s is %s, and has %d messages, and %d payloads in backlogs", r.id(), r.Run.Status, len(r.Mail), len(r.backlog))
	}
}

// "A payload that nobody has asked for costs its run nothing, but for the first": of each
// hook the journal has one at most that the code has not taken. (After a close all come.)
func (c *checker) journalHasWhatIsAskedFor(r *record) {
	untaken := map[string]int{}
	for _, m := range r.Unread {
		closed := slices.ContainsFunc(r.env.trace, func(s entry) bool { return s.What == "close" && s.Hook == m.Ref })
		if untaken[m.Ref]++; untaken[m.Ref] == 2 && !closed {
			c.errorf("run %s: the journal has two payloads of hook %s that nobody has taken", r.id(), m.Ref)
		}
	}
}

// "Payloads that came with OrStart start the successor run with them, if this run had
// taken at least one."
func (c *checker) successorsAreStarted(r *record) {
	took := slices.ContainsFunc(r.env.trace, func(s entry) bool { return s.Payload != 0 })
	if !r.Run.Status.Ended() || r.terminated() || !took || c.retried[r.id()] {
		return
	}
	tried := map[string]bool{} // tokens
	for _, m := range r.unread {
		s := c.sent[number(m.Data)]
		if m.OrStart == nil || s == nil || tried[s.token] {
			continue
		}
		tried[s.token] = true
		closed := slices.ContainsFunc(r.env.trace, func(s entry) bool { return s.What == "close" && s.Hook == m.Ref })
		if !closed && c.records[m.OrStart.ID] == nil {
			c.errorf("run %s has ended without payload %d, and run %s was not started with it", r.id(), s.n, m.OrStart.ID)
		}
	}
}

// "Payloads belong to a hook ID: a new hook on the same token never sees the old
// one's."
func (c *checker) payloadsBelongToTheirHook() {
	for i := range c.sends {
		s := &c.sends[i]
		if at := c.places[s.n]; s.accepted() && len(at) == 1 && at[0].hook != s.info.ID && !s.orStart {
			c.errorf("payload %d was accepted for %s, and is at %v", s.n, s.info.ID, at)
		}
	}
}

// "A payload that does not decode into T, or whose Validate fails: Wait returns
// *PayloadError and the workflow may wait again."
func (c *checker) badPayloadsAreErrors(r *record) {
	for _, s := range r.env.trace {
		if sent := c.sent[s.Payload]; s.Payload != 0 && sent != nil && sent.bad != (s.Err != "") {
			c.errorf("run %s: payload %d is bad: %t, and its Wait returned the error %q", r.id(), s.Payload, sent.bad, s.Err)
		}
	}
}

// "The request is delivered whole: method, URL with query, all header values, exact
// body bytes."
func (w *world) deliveredWhole(runID string, r *workflow.Request) {
	want := httpRequest(&sendRequest{n: number(r.Body), key: r.Header.Get(keyHeader)})
	if r.Method != want.Method || r.URL.String() != want.URL.String() || !bytes.Equal(r.Body, want.Body) || r.RunID != runID ||
		!slices.Equal(r.Header["X-Values"], want.Header["X-Values"]) {
		w.note(func() { w.problem("run %s got the request %+v, not %+v", runID, r, want) })
	}
}

// "Default answer 202 Accepted. RespondManually: the connection is held until Respond;
// if the run ends without responding, 500; past the limit (30 s by default) 504."
func (c *checker) webhooksAnswer() {
	for i := range c.sends {
		s := &c.sends[i]
		if !s.request || s.key != "" || len(c.places[s.n]) != 1 {
			continue
		}
		r := c.records[c.places[s.n][0].run]
		took := s.done.Sub(s.at)
		switch {
		case s.err == nil && !s.manual && s.answer.Status != 202:
			c.errorf("request %d was answered with %d", s.n, s.answer.Status)
		case s.err == nil && s.manual && !strings.HasPrefix(string(s.answer.Body), fmt.Sprintf("%d by ", s.n)):
			c.errorf("request %d was answered with %q", s.n, s.answer.Body)
		case errors.Is(s.err, engine.ErrNoResponse) && r != nil && !r.Run.Status.Ended() && !c.retried[r.id()]:
			c.errorf("request %d had no response because run %s had ended, which is %s", s.n, r.id(), r.Run.Status)
		case errors.Is(s.err, engine.ErrResponseTimeout) && took < 30*time.Second:
			c.errorf("request %d was given up after %v", s.n, took)
		}
	}
}

// "First writer wins; from elsewhere ErrAlreadyResponded": a request has one answer.
func (c *checker) requestsAreAnsweredOnce(r *record) {
	answers := map[string]int{}
	for _, s := range r.env.trace {
		if s.What != "answer" {
			continue
		}
		if s.Err == "" {
			answers[s.Value]++
		}
		if answers[s.Value] > 1 {
			c.errorf("run %s: request %s was answered twice", r.id(), s.Value)
		}
		if _, err := c.db.Response(context.Background(), s.Value); err != nil && (s.Err == "" || strings.Contains(s.Is, workflow.ErrAlreadyResponded.Error())) {
			c.errorf("run %s: request %s is said to be answered (%q): %v", r.id(), s.Value, s.Err, err)
		}
	}
}

// attemptBegins checks what holds when an attempt of a step begins.
func (w *world) attemptBegins(n *node, info workflow.Info) {
	defer n.store.stand(info.StepID)
	if n.store.crashed() {
		return
	}
	ref := strings.TrimPrefix(info.StepID, info.RunID+"/")
	l, err := w.db.Load(context.Background(), info.RunID, 0)
	if err != nil {
		w.note(func() { w.problem("step %s begins: %v", info.StepID, err) })
		return
	}
	w.leasedWhenItBegins(n, info)
	if l.Run.Status.Ended() || w.isRetried(info.RunID) {
		return // by others, or what it follows from was cut off
	}
	w.decidedBeforeItBegins(&l, ref)
	w.registeredBeforeItIsSeen(&l, ref)
	w.ownedWhenItBegins(n, &l, ref)
	w.attemptsAreCounted(&l, info, ref)
	w.retryAfterIsObeyed(&l, ref)
}

func (w *world) isRetried(id string) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.retried[id]
}

// The commit rule: "a step begins only after the transition that decided it is
// durable".
func (w *world) decidedBeforeItBegins(l *store.Loaded, ref string) {
	if !slices.ContainsFunc(l.Events, func(e store.Event) bool { return slices.Contains(strings.Split(e.Asked, "\n"), "step "+ref) }) {
		w.note(func() { w.problem("step %s/%s began before it was decided", l.Run.ID, ref) })
	}
}

// "A worker starts no step later than the lease time after it sent its last successful
// renewal."
func (w *world) leasedWhenItBegins(n *node, info workflow.Info) {
	if _, age := n.store.leased(); age > leaseTime {
		w.note(func() { w.problem("step %s began %v after the lease was renewed", info.StepID, age) })
	}
}

// leaseTime is the default of engine.Options.Lease.
const leaseTime = 10 * time.Second

// "A run carries (worker, epoch)": no step begins while another worker owns the run.
func (w *world) ownedWhenItBegins(n *node, l *store.Loaded, ref string) {
	worker, _ := n.store.leased()
	w.note(func() {
		if l.Run.Worker != "" && l.Run.Worker != worker && !w.expired {
			w.problem("step %s/%s began at worker %s, and the run is worker %s's", l.Run.ID, ref, worker, l.Run.Worker)
		}
	})
}

// "Default 4 attempts": the attempt that a step is told is one more than have failed.
func (w *world) attemptsAreCounted(l *store.Loaded, info workflow.Info, ref string) {
	failed := failures(l.Events, ref)
	w.note(func() {
		if info.Attempt != failed+1 && !w.expired || info.Attempt > maxAttempts {
			w.problem("step %s: attempt %d begins, %d have failed", info.StepID, info.Attempt, failed)
		}
	})
}

// failures is how often a step has failed and was to be retried, since the run was.
func failures(events []store.Event, ref string) int {
	n := 0
	for _, e := range events {
		switch {
		case e.Kind == store.Retried:
			n = 0
		case e.Kind == store.StepRetried && e.Ref == ref:
			n++
		}
	}
	return n
}

// "RetryAfter obeyed."
func (w *world) retryAfterIsObeyed(l *store.Loaded, ref string) {
	for _, e := range slices.Backward(l.Events) {
		if e.Kind == store.Retried {
			return
		}
		if e.Kind != store.StepRetried || e.Ref != ref {
			continue
		}
		var retry struct {
			journal.Failure
			RetryAt time.Time `json:"retry_at"`
		}
		if err := json.Unmarshal(e.Data, &retry); err != nil {
			w.note(func() { w.problem("step %s/%s: %v", l.Run.ID, ref, err) })
		}
		early := time.Until(retry.RetryAt)
		asked := slices.Contains(retry.Is, errNotYet.Error())
		if early > 0 || asked && time.Since(e.At) < retryAfter-time.Second && retry.RetryAt.Sub(e.At) < retryAfter-time.Second {
			w.note(func() {
				w.problem("step %s/%s failed at %v and is attempted again at %v", l.Run.ID, ref, e.At, time.Now())
			})
		}
		return
	}
}

// "Steps: result recorded once."
func (c *checker) stepHasOneOutcome(r *record) {
	outcomes := map[string]int{}
	for _, e := range r.Events {
		if e.Kind == store.StepCompleted || e.Kind == store.StepFailed {
			if outcomes[e.Ref]++; outcomes[e.Ref] > 1 {
				c.errorf("run %s: step %s has two outcomes", r.id(), e.Ref)
			}
		}
	}
}

// "The step ID is stable over attempts": the result of a step is one that an attempt
// with its ID returned.
func (c *checker) resultIsAnAttempts(r *record) {
	for _, e := range r.Events {
		if e.Kind != store.StepCompleted || strings.HasPrefix(e.Ref, "respond#") {
			continue
		}
		var value string
		if err := json.Unmarshal(e.Data, &value); err != nil || c.results[value] != r.id()+"/"+e.Ref {
			c.errorf("run %s: step %s has the result %s, which no attempt returned", r.id(), e.Ref, e.Data)
		}
	}
}

// "Default 4 attempts" (here 3): failures are counted one by one, and after the last
// there is no retry.
func (c *checker) failuresAreCounted(r *record) {
	failed := map[string]int{}
	for _, e := range r.Events {
		switch e.Kind {
		case store.Retried:
			clear(failed)
		case store.StepRetried:
			var f journal.Failure
			_ = json.Unmarshal(e.Data, &f)
			if failed[e.Ref]++; f.Attempts != failed[e.Ref] || f.Attempts >= maxAttempts {
				c.errorf("run %s: step %s has failed %d times, it says %d, and is retried", r.id(), e.Ref, failed[e.Ref], f.Attempts)
			}
		case store.StepFailed:
			var f journal.Failure
			_ = json.Unmarshal(e.Data, &f)
			last := slices.Contains(f.Is, errNotYet.Error()) && f.Attempts < maxAttempts
			canceled := slices.Contains(f.Is, journal.IsCanceled) || slices.Contains(f.Is, journal.IsDeadlineExceeded)
			if last && !canceled {
				c.errorf("run %s: step %s was given up after %d attempts", r.id(), e.Ref, f.Attempts)
			}
		default:
		}
	}
}

// "Fatal obeyed."
func (c *checker) fatalIsObeyed(r *record) {
	for _, e := range r.Events {
		var f journal.Failure
		if e.Kind == store.StepRetried && json.Unmarshal(e.Data, &f) == nil && slices.Contains(f.Is, errFatal.Error()) {
			c.errorf("run %s: step %s failed for good, and is retried", r.id(), e.Ref)
		}
	}
}

// "The workflow gets the recorded form on the live path too, so that live and replay
// can't differ": the recorded result has all that the code saw, and is what a replay
// computes.
func (c *checker) liveIsWhatReplayIs(r *record) {
	if !r.Run.Status.Ended() || r.terminated() {
		return
	}
	last := r.Events[len(r.Events)-1]
	if !r.Finished {
		c.errorf("run %s is %s, and its program has not finished", r.id(), r.Run.Status)
		return
	}
	if r.Failure == nil {
		if r.Run.Status != store.Completed || !bytes.Equal(last.Data, r.Result) {
			c.errorf("run %s is %s with %s, a replay gives %s", r.id(), r.Run.Status, last.Data, r.Result)
		}
		return
	}
	text := r.Failure.Text
	if first := r.Events[0]; r.Run.Status == store.Canceled && first.Epoch == last.Epoch && first.Seq == last.Seq {
		text = "canceled before it began"
	}
	var recorded journal.Failure
	if err := json.Unmarshal(last.Data, &recorded); err != nil || r.Run.Status == store.Completed || recorded.Text != text {
		c.errorf("run %s is %s with %s, a replay fails with %s", r.id(), r.Run.Status, last.Data, text)
	}
}

// "Start returns when the run is durable", and ErrRunExists names one that is.
func (w *world) started(c *startCall) {
	if c.err != nil && !errors.Is(c.err, workflow.ErrRunExists) {
		return
	}
	if _, err := w.db.Run(context.Background(), c.id); err != nil {
		w.note(func() { w.problem("run %s was started (%v), and is not there: %v", c.id, c.err, err) })
	}
}

// "RunID makes Start idempotent": an ID is taken once.
func (c *checker) runIDsAreTakenOnce() {
	for i, s := range c.starts {
		if s.err != nil {
			continue
		}
		for _, o := range c.starts[:i] {
			if o.err == nil && o.id == s.id {
				c.errorf("run %s was started twice", s.id)
			}
		}
	}
}

// "Cancel is cooperative": the code is told, unless it ends before.
func (c *checker) cancelIsHeard() {
	for _, m := range c.commands {
		r := c.records[m.id]
		if m.do != cancel || m.err != nil || r == nil || r.terminated() || c.retried[m.id] || r.has(store.CancelRequested) {
			continue
		}
		last := r.Events[len(r.Events)-1]
		if !r.Run.Status.Ended() || last.At.After(m.done.Add(15*time.Minute)) {
			c.errorf("run %s was canceled at %v, is %s since %v, and has not heard of it", m.id, m.done, r.Run.Status, last.At)
		}
	}
}

// "Durable calls return context.Canceled" once their context has ended.
func (w *world) canceledCallsFail(e *env, v verb, seen []entry) {
	switch v {
	case vStep, vDeaf, vTx, vSend, vSleep, vOpen, vWait, vWaitFor, vRange, vDrain, vSelect, vPoll, vWebhook, vServe, vJoin:
	default:
		return
	}
	for _, s := range seen {
		if s.What != "close" && !strings.Contains(s.Is, context.Canceled.Error()) && !strings.Contains(s.Is, context.DeadlineExceeded.Error()) {
			w.note(func() { w.problem("run %s: its context had ended, and %s returned %+v", e.run, v, s) })
		}
	}
}

// "Terminate does not ask": the run has ended when it returns.
func (w *world) terminated(c *commandCall) {
	if c.err != nil {
		return
	}
	if r, err := w.db.Run(context.Background(), c.id); err != nil || r.Status != store.Canceled {
		w.note(func() { w.problem("run %s was terminated, and is %s (%v)", c.id, r.Status, err) })
	}
}

// "Terminate and retry take the lease (epoch+1)."
func (c *checker) terminateFences(r *record) {
	if n := len(r.Events); r.terminated() && n > 1 && r.Events[n-1].Epoch <= r.Events[n-2].Epoch {
		c.errorf("run %s was terminated in epoch %d, and its event before is of epoch %d", r.id(), r.Events[n-1].Epoch, r.Events[n-2].Epoch)
	}
}

// "A panic in a workflow fails the run with its stack."
func (c *checker) panicsHaveAStack(r *record) {
	if r.Failure == nil || !strings.Contains(r.Failure.Text, "the program panics") || !r.Run.Status.Ended() || r.terminated() {
		return
	}
	if last := r.Events[len(r.Events)-1]; r.Run.Status != store.Failed && r.Run.ParentID == "" || r.env.panicked && !stack(last.Data) {
		c.errorf("run %s panicked, and is %s with %s", r.id(), r.Run.Status, last.Data)
	}
}

// "Replay that diverges blocks the run": this code never does, so nothing is blocked.
func (c *checker) nothingDiverges(r *record) {
	if r.Run.Status == store.Blocked || r.Run.BlockedReason != "" {
		c.errorf("run %s is %s: %s", r.id(), r.Run.Status, r.Run.BlockedReason)
	}
}

// A child's result comes to its parent, once, and is the one that the child has.
func (c *checker) childResultsArrive(r *record) {
	child := map[string]string{}
	ends := map[string]int{}
	for _, e := range r.Events {
		for line := range strings.Lines(e.Asked) {
			var ref, id string
			if k, _ := fmt.Sscanf(line, "child %s run %s", &ref, &id); k == 2 {
				child[ref] = id
			}
		}
		if e.Kind != store.ChildCompleted && e.Kind != store.ChildFailed {
			continue
		}
		o := c.records[child[e.Ref]]
		if o == nil || c.retried[o.id()] {
			continue
		}
		if ends[e.Ref]++; ends[e.Ref] > 1 || !o.Run.Status.Ended() || !bytes.Equal(o.Events[len(o.Events)-1].Data, e.Data) {
			c.errorf("run %s: child %s is %s, and its parent got %s %s", r.id(), o.id(), o.Run.Status, e.Kind, e.Data)
		}
	}
}

// "A transactional step's database writes commit together with its recorded result, so
// that it happens exactly once."
func (c *checker) transactionsHappenOnce() {
	paid, err := c.payments()
	if err != nil {
		c.errorf("read payments: %v", err)
	}
	for step, n := range paid {
		id, ref, _ := strings.Cut(step, "/")
		r := c.records[id]
		if n > 1 || r == nil {
			c.errorf("step %s was paid %d times", step, n)
			continue
		}
		recorded := slices.ContainsFunc(r.Events, func(e store.Event) bool { return e.Kind == store.StepCompleted && e.Ref == ref })
		if !recorded && !r.Run.Status.Ended() { // else it ended while the step was executing
			c.errorf("step %s was paid, and its result not recorded", step)
		}
	}
	for _, id := range c.runs() {
		if r := c.records[id]; r != nil {
			for _, e := range r.Events {
				if e.Kind == store.StepCompleted && strings.HasPrefix(e.Ref, string(vTx)+"#") && paid[id+"/"+e.Ref] != 1 {
					c.errorf("step %s/%s has a result, and was paid %d times", id, e.Ref, paid[id+"/"+e.Ref])
				}
			}
		}
	}
}

// "Only the leaseholder writes the journal": it is one history, without gaps, that
// ends when the run ends, and epochs only rise in it.
func (c *checker) journalIsWhole(r *record) {
	if int64(len(r.Events)) != r.Run.Events {
		c.errorf("run %s: %d events, and its head says %d", r.id(), len(r.Events), r.Run.Events)
	}
	var last store.Event
	for i, e := range r.Events {
		if e.Position != int64(i)+1 {
			c.errorf("run %s: event %d has position %d", r.id(), i+1, e.Position)
		}
		if e.Epoch < last.Epoch || e.Epoch == last.Epoch && e.Seq < last.Seq {
			c.errorf("run %s: event %d of epoch %d.%d comes after %d.%d", r.id(), e.Position, e.Epoch, e.Seq, last.Epoch, last.Seq)
		}
		if (i == 0) != (e.Kind == store.Started) && !r.terminated() {
			c.errorf("run %s: event %d is %s", r.id(), e.Position, e.Kind)
		}
		ends := e.Kind == store.RunCompleted || e.Kind == store.RunFailed || e.Kind == store.RunCanceled
		if ends != (i == len(r.Events)-1 && r.Run.Status.Ended()) {
			c.errorf("run %s is %s: event %d of %d is %s", r.id(), r.Run.Status, e.Position, len(r.Events), e.Kind)
		}
		last = e
	}
}

// "Late writes are refused by the store": none of an epoch that had been followed by
// another before it was sent. It is called within note.
func (w *world) notFenced(begin int, t *store.Transition) {
	for _, s := range w.epochs[t.RunID] {
		if s.epoch > t.Epoch && s.tick < begin {
			w.problem("run %s: transition %d.%d was written, though epoch %d had begun", t.RunID, t.Epoch, t.Seq, s.epoch)
		}
	}
}

// "Now is the time of the current event and never goes back, also after a take-over."
func (c *checker) timeNeverGoesBack(r *record) {
	var last time.Time
	for i, e := range r.Events {
		// What asked to terminate may have been under way for long.
		if e.At.Before(last) && (!r.terminated() || i < len(r.Events)-1) {
			c.errorf("run %s: event %d goes back in time, %v to %v", r.id(), e.Position, last, e.At)
		}
		last = e.At
	}
	last = time.Time{}
	for _, s := range r.env.trace {
		if s.At.Before(last) {
			c.errorf("run %s: Now goes back from %v to %v", r.id(), last, s.At)
		}
		last = s.At
	}
}

// "Timers and messages merge by time, after downtime too: before a message is taken
// in, timers due at or before its acceptance fire": a timer fires with the time at which
// it was due, never after anything that came later.
func (c *checker) timersFireOnTime(r *record) {
	due := map[string]time.Time{}
	for _, e := range r.Events {
		if at, ok := due[e.Ref]; e.Kind == store.TimerFired && (!ok || !e.At.Equal(at)) {
			c.errorf("run %s: event %d: timer %s of %v fires at %v", r.id(), e.Position, e.Ref, at, e.At)
		}
		for line := range strings.Lines(e.Asked) {
			var n, at string
			for _, kind := range []string{"sleep", "deadline"} {
				if k, _ := fmt.Sscanf(line, kind+" %s until %s", &n, &at); k == 2 {
					due[n], _ = time.Parse(time.RFC3339Nano, at)
				}
			}
		}
	}
}

// "Before a timer due at D fires, messages accepted before D are taken in", however
// late the worker was: no timer fires while the code waits for a payload that is there.
func (c *checker) messagesBeatTimers() {
	for id, r := range c.records {
		var fired store.Event
		for _, e := range r.Events {
			switch {
			case e.Kind == store.TimerFired:
				fired = e
			case e.Kind == store.PayloadReceived && !c.retried[id]:
				s := c.sent[number(e.Data)]
				if s != nil && s.accepted() && s.info.RunID == id && s.durableBy().Before(fired.At) && c.awaited(r, e.Ref, fired.Position) {
					c.errorf("run %s: payload %d was accepted by %v, and comes after a timer of %v", id, s.n, s.durableBy(), fired.At)
				}
			}
		}
	}
}

// awaited reports whether the code waited for a payload of a hook just before an event.
func (c *checker) awaited(r *record, hook string, position int64) bool {
	l := r.Loaded
	l.Events = l.Events[:position-1]
	defer func(env *env) { c.envs[r.id()] = env }(c.envs[r.id()])
	before, err := c.all[1].engine.Replay(l)
	if err != nil {
		c.errorf("run %s before event %d: %v", r.id(), position, err)
		return false
	}
	return slices.Contains(before.Awaited, hook)
}

// "Before a timer due at D fires, messages accepted before D are taken in", of all kinds:
// none is left in the mailbox by the transition in which it fires, but for payloads in
// backlogs.
func (w *world) noMessageWasPassed(t *store.Transition) {
	var fired time.Time
	for _, e := range t.Events {
		if e.Kind == store.TimerFired {
			fired = e.At
		}
	}
	if fired.IsZero() || t.Status.Ended() {
		return
	}
	l, err := w.db.Load(context.Background(), t.RunID, t.After)
	if err != nil {
		w.note(func() { w.problem("mailbox of run %s: %v", t.RunID, err) })
	}
	for _, m := range l.Mail {
		if m.AcceptedAt.Before(fired) {
			w.note(func() {
				w.problem("run %s: a timer of %v fired, and left a message (%s) accepted at %v", t.RunID, fired, m.Kind, m.AcceptedAt)
			})
		}
	}
}

// durableBy is when a payload was accepted at the latest.
func (s *sendCall) durableBy() time.Time { return s.done }

// "Sleep": for as long as was asked, unless Wake or Cancel ends it.
func (c *checker) sleepsLastLongEnough(r *record) {
	for _, s := range r.env.trace {
		if d, _ := time.ParseDuration(s.Value); s.What == "sleep" && s.Err == "" && s.Slept < d && !r.has(store.Woken) {
			c.errorf("run %s: a sleep of %s took %v", r.id(), s.Value, s.Slept)
		}
	}
}

// "Deadline changes only through journal events, never by the wall clock": a deadline
// is workflow time and what was asked for, or an earlier one around it.
func (w *world) deadlineIsDurable(runID string, outer, inner workflow.Context, d time.Duration) {
	want := workflow.Now(outer).Add(d)
	if at, ok := outer.Deadline(); ok && at.Before(want) {
		want = at
	}
	if at, ok := inner.Deadline(); !ok || !at.Equal(want) {
		w.note(func() { w.problem("run %s: a deadline of %v after %v is at %v", runID, d, workflow.Now(outer), at) })
	}
}
