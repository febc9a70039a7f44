package engine_test

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

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
		(*checker).requestsOpenTheirWebhook, (*checker).patchesAreTakenWhereTheyAre, (*checker).generationsFollow, (*checker).awaitedEndsArrive, (*checker).awaitsAreSubscribed,
		(*checker).actorsAreTheSenders,
	}
	worldInvariants = []func(*checker){
		(*checker).runIDsAreTakenOnce, (*checker).payloadsAreDeliveredOnce, (*checker).refusedIsNotWritten, (*checker).payloadsBelongToTheirHook,
		(*checker).orderIsKept, (*checker).messagesBeatTimers, (*checker).keysAreAcceptedOnce, (*checker).refusedUsesNoKey,
		(*checker).reservationsAreAdopted, (*checker).cancelIsHeard, (*checker).webhooksAnswer, (*checker).transactionsHappenOnce,
		(*checker).nobodyAwaitsHimself, (*checker).deliveriesHaveOneAnswer,
		(*checker).addresseesAnswerOnce, (*checker).deadLinksTakeNothing,
		(*checker).callsAreAnswered, (*checker).unansweredForAReason,
		(*checker).listenersGetAll, (*checker).listenersGetNothingElse, (*checker).publicationsAreCounted, (*checker).publicationsHappenOnce, (*checker).publicationsAreForgotten,
	}
)

// forkInvariants are checked for forks, see world.forks.
var forkInvariants = []func(*checker, *forked){(*checker).forkHasItsPrefix, (*checker).forkIsItsOwn, (*checker).forkGoesOn}

// "A fork has the events of its origin up to a position, and within them its code gets what the origin's
// code got, on each replay", but for generated tokens.
func (c *checker) forkHasItsPrefix(f *forked) {
	had, has := ofGeneration(f.origin.Run, f.origin.Events, f.at), ofGeneration(f.origin.Run, f.fork.Events, f.at)
	for i := range had {
		had[i].OrStart = nil
	}
	if diff := gocmp.Diff(had, has); diff != "" {
		c.errorf("the events that %s has of %s (-origin +fork):\n%s", f.fork.Run.ID, f.origin.Run.ID, diff)
	}
	before, _, after := c.traces(f)
	blank := func(all []entry) []entry {
		all = append([]entry{}, all[:min(len(all), len(before))]...)
		for i := range all {
			all[i].Token = ""
		}
		return all
	}
	if diff := gocmp.Diff(blank(before), blank(after)); diff != "" {
		c.errorf("what the code of %s has seen of %s up to event %d (-origin +fork):\n%s", f.fork.Run.ID, f.origin.Run.ID, f.at, diff)
	}
}

// "After these, no ID or random number is one that the origin gets, and no generated token ever."
func (c *checker) forkIsItsOwn(f *forked) {
	before, had, has := c.traces(f)
	drawn := map[string]bool{}
	for _, s := range had {
		drawn[s.Value] = s.What == "draw"
	}
	for _, s := range has[min(len(before), len(has)):] {
		if s.What == "draw" && drawn[s.Value] {
			c.errorf("%s has drawn %s after event %d, and so has %s", f.fork.Run.ID, s.Value, f.at, f.origin.Run.ID)
		}
	}
	for _, e := range f.fork.Events {
		for ask := range journal.Asks(e.Asked) {
			for _, a := range f.fork.Run.Origin.Prefix {
				if e.Position > f.at && ask.Op == journal.Child && strings.HasPrefix(ask.RunID, a.RunID+".") {
					c.errorf("%s asks for a child %s after event %d, which is one of %s", f.fork.Run.ID, ask.RunID, f.at, a.RunID)
				}
			}
		}
	}
	tokens := generatedHooks(&f.origin)
	for id, token := range generatedHooks(&f.fork) {
		for other, theirs := range tokens {
			if token == theirs {
				c.errorf("hook %s of %s has the token of hook %s of %s", id, f.fork.Run.ID, other, f.origin.Run.ID)
			}
		}
	}
	for _, h := range f.fork.Hooks {
		if h.Hook.OpenedPos > f.at && h.AdoptedAs == "" && !strings.HasPrefix(h.Hook.ID, f.fork.Run.ID+".h") {
			c.errorf("hook %s of %s was opened after event %d", h.Hook.ID, f.fork.Run.ID, f.at)
		}
	}
}

// "What was pending begins again", and the fork goes on: it is not blocked, its children are its own.
func (c *checker) forkGoesOn(f *forked) {
	id := f.fork.Run.ID
	if f.fork.Run.Status == store.Blocked || len(f.fork.Mail) > 0 && f.fork.Mail[0].Kind == store.Forked {
		c.errorf("%s does not go on: %s %s", id, f.fork.Run.Status, f.fork.Run.BlockedReason)
		return
	}
	for _, e := range f.fork.Events {
		for _, a := range f.fork.Run.Origin.Prefix {
			if owner := journal.DecodeID(e.Data); e.Position > f.at && e.Kind == store.ChildExists && strings.HasPrefix(owner, a.RunID+".") {
				c.errorf("%s wants the child %s, which is one of %s", id, owner, a.RunID)
			}
		}
	}
	l, err := c.db.Load(context.Background(), id, 0)
	if err != nil {
		c.errorf("load %s: %v", id, err)
		return
	}
	state, err := c.nodes[0].engine.Replay(l)
	if err != nil {
		c.errorf("%s: %v", id, err)
		return
	}
	if f.fork.Run.Status.Ended() {
		return
	}
	for _, child := range state.Children {
		if r, err := c.db.Run(context.Background(), child); err != nil || r.ParentID != id {
			c.errorf("%s waits for the child %s, whose parent is %q, %v", id, child, r.ParentID, err)
		}
	}
}

// "The actor of a start, a payload and an order is recorded with it, and the code of the run is told": wherever a payload has ended up, it is its sender's.
func (c *checker) actorsAreTheSenders(r *record) {
	wrong := func(what, got string, want ...string) {
		if !slices.Contains(want, got) {
			c.errorf("run %s: %s is said to be by %q, and was by %q", r.id(), what, got, want)
		}
	}
	name := func(stored string) string { return journal.DecodeActor(stored).Name }
	ordered := func(do deed, others ...string) []string {
		for _, o := range c.commands {
			if o.do == do && o.id == r.id() {
				others = append(others, o.by)
			}
		}
		return others
	}
	for _, e := range r.Events {
		what := fmt.Sprintf("event %d, %s %s,", e.Position, e.Kind, e.Ref)
		switch e.Kind {
		case store.PayloadReceived:
			wrong(what, name(e.Actor), senderOf(number(e.Data)))
		case store.Started:
			if r.Run.Origin == nil {
				wrong(what, name(e.Actor), c.starters(r)...)
			}
		case store.CancelRequested: // by the parent too
			wrong(what, name(e.Actor), ordered(cancel, "")...)
		case store.Woken:
			wrong(what, name(e.Actor), ordered(wake)...)
		case store.Retried, store.RetryNow:
			wrong(what, name(e.Actor), ordered(retry)...)
		case store.Resumed: // at the end by the world itself
			wrong(what, name(e.Actor), ordered(proceed, "")...)
		case store.RunCanceled: // by its code too
			wrong(what, name(e.Actor), ordered(terminate, "")...)
		default:
			wrong(what, name(e.Actor), "")
		}
	}
	for _, m := range slices.Concat(r.Mail, r.backlog, r.unread) {
		if m.Kind == store.PayloadReceived {
			wrong(fmt.Sprintf("payload %d, not taken,", number(m.Data)), name(m.Actor), senderOf(number(m.Data)))
		}
	}
	for _, s := range r.env.trace {
		if s.Payload != 0 && s.Hook != "" {
			wrong(fmt.Sprintf("payload %d, as the code has seen it,", s.Payload), s.By, senderOf(s.Payload))
		}
	}
}

// starters are those who may have started a run: nobody if that was its parent, or whoever sent a payload
// with OrStart.
func (c *checker) starters(r *record) (all []string) {
	if r.Run.ParentID != "" {
		return []string{""}
	}
	for i := range c.sends {
		if s := &c.sends[i]; s.orStart && fmt.Sprintf("s%d", s.n) == r.id() {
			all = append(all, senderOf(s.n))
		}
	}
	return append(all, starter(r.id()))
}

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
	token, named := map[string]string{}, map[string]bool{}
	for _, e := range r.Events {
		for a := range journal.Asks(e.Asked) {
			if a.Op == journal.Hook {
				asked[a.Ref], token[a.Ref], named[a.Ref] = e, a.Token, a.Name != ""
			}
		}
		if e.Kind == store.HookConflict {
			var owner string
			_ = json.Unmarshal(e.Data, &owner)
			if named[e.Ref] {
				if owner != r.id() {
					c.errorf("run %s: the name of its hook %s is said to be taken by run %s", r.id(), e.Ref, owner)
				}
				continue
			}
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
		if c.sent[n] == nil && !c.isNews(n) {
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
		workflow.ErrOutcomeUnknown, engine.ErrNoResponse, engine.ErrResponseTimeout, engine.ErrStopping, engine.ErrPaused,
		workflow.ErrLinkNotFound, workflow.ErrRunPaused, errBefore, errAfter, errLate, errDead,
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
		all, err := w.db.Export(context.Background(), id)
		if err != nil {
			return false
		}
		mail, err := w.db.Mailbox(context.Background(), id, 1000)
		if err != nil {
			return false
		}
		is := func(m store.Message) bool { return m.Kind == store.PayloadReceived && number(m.Data) == n }
		if slices.ContainsFunc(mail, is) ||
			slices.ContainsFunc(all.Events, func(e store.Event) bool { return e.Kind == store.PayloadReceived && number(e.Data) == n }) ||
			slices.ContainsFunc(all.Unread, func(m store.UnreadMessage) bool { return is(m.Message) }) {
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
		if !f.request && !s.request && !f.asked && !s.asked && (s.info.ID != f.info.ID || s.info.RunID != f.info.RunID || s.begin > f.end && !s.info.Duplicate) {
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

// "A run waits for what may still come": an open hook that has nothing for it, a
// child that has not ended, or another run that has not.
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
		case vAwait:
			if o := c.records[b.run]; o == nil || o.Run.Status.Ended() {
				c.errorf("run %s awaits run %s, which has ended or is not there", r.id(), b.run)
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
	open = slices.DeleteFunc(open, func(h store.Hook) bool { return h.Reserved || h.Carried })
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
			if first != "" && e.Ref == first && (e.Kind == store.HookClaimed || e.Kind == store.HookConflict) && journal.DecodeClaimed(e.Data).ID != s.info.ID {
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
		if s.Hook == "" || s.What == "link" || s.What != "end of payloads" && !strings.Contains(s.Is, workflow.ErrHookClosed.Error()) {
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
	first := r.env.trace // of the first generation: what a later one takes may come after what it left
	if i := slices.IndexFunc(first, func(s entry) bool { return s.What == "restart" }); i >= 0 {
		first = first[:i]
	}
	took := slices.ContainsFunc(first, func(s entry) bool { return s.Payload != 0 })
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
		if r.isMixed(s.token) {
			continue
		}
		closed := slices.ContainsFunc(r.env.trace, func(s entry) bool { return s.What == "close" && s.Hook == m.Ref })
		if !closed && c.records[m.OrStart.ID] == nil {
			c.errorf("run %s has ended without payload %d, and run %s was not started with it", r.id(), s.n, m.OrStart.ID)
		}
	}
}

// isMixed reports whether a run had a plain hook and a webhook with a token, one after the other: what
// comes first of what it leaves unread decides for which of them the successor is.
func (r *record) isMixed(token string) bool {
	of := func(v verb) func(entry) bool {
		return func(s entry) bool { return s.What == string(v) && s.Token == token && s.Err == "" }
	}
	return slices.ContainsFunc(r.env.trace, of(vOpen)) && slices.ContainsFunc(r.env.trace, of(vWebhook))
}

// "Payloads belong to a hook ID: a new hook on the same token never sees the old
// one's."
func (c *checker) payloadsBelongToTheirHook() {
	for i := range c.sends {
		s := &c.sends[i]
		if at := c.places[s.n]; s.accepted() && len(at) == 1 && at[0].hook != s.info.ID && !s.orStart && !s.asked {
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
	if r.Method != want.Method || r.URL.String() != want.URL.String() || !bytes.Equal(r.Body, want.Body) || r.RunID != runID && !w.knocked(number(r.Body)) ||
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
		case c.knocked(s.n):
			c.knockIsAnswered(s)
		case s.err == nil && !s.manual && s.answer.Status != 202:
			c.errorf("request %d was answered with %d", s.n, s.answer.Status)
		case s.err == nil && s.manual && !strings.HasPrefix(string(s.answer.Body), fmt.Sprintf("%d by ", s.n)):
			c.errorf("request %d was answered with %q", s.n, s.answer.Body)
		case errors.Is(s.err, engine.ErrNoResponse) && r != nil && !r.Run.Status.Ended() && !c.retried[r.id()]:
			c.errorf("request %d had no response because run %s had ended, which is %s", s.n, r.id(), r.Run.Status)
		case errors.Is(s.err, engine.ErrResponseTimeout) && took < 30*time.Second:
			c.errorf("request %d was given up after %v", s.n, took)
		case errors.Is(s.err, engine.ErrPaused) && r != nil && !c.wasPaused(r.id()):
			c.errorf("request %d was given up because run %s was paused, which it never was", s.n, r.id())
		}
	}
}

// knockIsAnswered is webhooksAnswer for a request that may start a run: the owner of the token by then
// decides how it is answered, and the end of a run does not matter, as the next one may answer.
func (c *checker) knockIsAnswered(s *sendCall) {
	taken := s.answer.Status == 202 && len(s.answer.Body) == 0
	if s.err == nil && !taken && !strings.HasPrefix(string(s.answer.Body), fmt.Sprintf("%d by ", s.n)) {
		c.errorf("request %d was answered with %d %q", s.n, s.answer.Status, s.answer.Body)
	}
	if errors.Is(s.err, engine.ErrNoResponse) {
		c.errorf("request %d was given up because a run has ended: %v", s.n, s.err)
	}
	if took := s.done.Sub(s.at); errors.Is(s.err, engine.ErrResponseTimeout) && took < 30*time.Second {
		c.errorf("request %d was given up after %v", s.n, took)
	}
}

// "A repeat gets the answer of the first request": no delivery has two answers.
func (c *checker) deliveriesHaveOneAnswer() {
	answers := map[string]*sendCall{}
	for i := range c.sends {
		s := &c.sends[i]
		if !s.request || s.key == "" || s.err != nil {
			continue
		}
		k := s.token + " " + s.key
		if f := answers[k]; f != nil && (f.answer.Status != s.answer.Status || !bytes.Equal(f.answer.Body, s.answer.Body)) {
			c.errorf("requests %d and %d are one delivery (%s), and were answered with %d %q and %d %q", f.n, s.n, k,
				f.answer.Status, f.answer.Body, s.answer.Status, s.answer.Body)
		}
		answers[k] = s
	}
}

// "The run's first webhook with the token gets the request", and so it does in a successor.
func (c *checker) requestsOpenTheirWebhook(r *record) {
	if !c.byRequest(r.id()) || c.retried[r.id()] {
		return
	}
	var started *sendCall
	for i := range c.sends {
		if s := &c.sends[i]; c.knocked(s.n) && fmt.Sprintf("s%d", s.n) == r.id() {
			started = s
		}
	}
	if started == nil {
		return
	}
	ref := "" // of the first hook with the token
	r.asked(func(_ *store.Event, line string) {
		var n, t string
		if k, _ := fmt.Sscanf(line, "hook %s token %s", &n, &t); k == 2 && t == started.token && ref == "" {
			ref = n
		}
	})
	opened := func(v verb) bool {
		return slices.ContainsFunc(r.env.trace, func(s entry) bool { return s.What == string(v) && s.Token == started.token })
	}
	if !opened(vWebhook) || opened(vOpen) || opened(vOffer) {
		return
	}
	for _, e := range r.Events {
		adopted := e.Kind == store.HookClaimed && journal.DecodeClaimed(e.Data).ID == journal.ReservedHookID(r.id())
		if ref != "" && e.Ref == ref && slices.Contains(decided, e.Kind) && !adopted {
			c.errorf("run %s was started by request %d, and its first webhook of %q got %s %s", r.id(), started.n, started.token, e.Kind, e.Data)
		}
	}
}

// decided are the kinds of events that say whether a run gets the token that it wants.
var decided = []store.Kind{store.HookClaimed, store.HookMismatch, store.HookConflict}

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

// "An answer is recorded before the caller gets it": what a caller has got is what the run has recorded.
func (w *world) answerIsRecorded(c *sendCall) {
	r, err := w.db.Response(context.Background(), c.reply.Request)
	recorded, refused := c.reply.Output, r.Status >= 300
	if refused {
		recorded = c.reply.Error
	}
	if err != nil || !bytes.Equal(r.Body, recorded) || (c.reply.Error != nil) != refused {
		w.note(func() {
			w.problem("call %d was answered with %s%s, and the record is %s, %v", c.n, c.reply.Output, c.reply.Error, r.Body, err)
		})
	}
}

// "Each idempotency key has one answer", and an answer is to the request that it is for.
func (c *checker) callsAreAnswered() {
	first := map[string]*sendCall{}
	for i := range c.sends {
		s := &c.sends[i]
		if !s.asked || s.err != nil {
			continue
		}
		answer := string(s.reply.Output) + string(s.reply.Error)
		its := strings.Contains(answer, fmt.Sprintf(`"%d by `, s.n)) || s.bad && strings.Contains(answer, fmt.Sprintf(`bad payload %d"`, s.n))
		if !s.reply.Duplicate && !its {
			c.errorf("call %d was answered with %s", s.n, answer)
		}
		if s.key == "" {
			continue
		}
		k := s.token + " " + s.key
		f := first[k]
		if f == nil {
			first[k] = s
			continue
		}
		if s.reply.Request != f.reply.Request || answer != string(f.reply.Output)+string(f.reply.Error) {
			c.errorf("calls %d and %d have the key %s, and got the answers %+v and %+v", f.n, s.n, k, f.reply, s.reply)
		}
	}
}

// "*UnansweredError says why": the run has ended, or was paused.
func (c *checker) unansweredForAReason() {
	for i := range c.sends {
		s := &c.sends[i]
		u, ok := errors.AsType[*workflow.UnansweredError](s.err)
		if !ok {
			continue
		}
		r := c.records[u.RunID]
		switch {
		case r == nil:
			c.errorf("call %d went to run %s, which is not there", s.n, u.RunID)
		case errors.Is(u.Err, workflow.ErrRunEnded) && !r.Run.Status.Ended() && !c.retried[u.RunID]:
			c.errorf("call %d has no answer because run %s had ended, which is %s", s.n, u.RunID, r.Run.Status)
		case errors.Is(u.Err, workflow.ErrRunPaused) && !c.wasPaused(u.RunID):
			c.errorf("call %d has no answer because run %s was paused, which it never was", s.n, u.RunID)
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
	w.noAttemptBeginsLongAfterAPause(n, &l, info)
}

// "While a run is paused its code does not go on": none of its transitions is written between the end
// of a call that has paused it, or its workflow, and the beginning of one that resumes it.
func (w *world) nothingGoesOnWhilePaused(t *store.Transition, begin [2]int) {
	now := w.pausesOf(t.RunID)
	w.note(func() {
		for i, what := range []string{"it", "its workflow"} {
			if begin[i] != 0 && begin[i] == now[i] {
				w.problem("run %s: %d events after %d were written while %s was paused", t.RunID, len(t.Events), t.After, what)
			}
		}
	})
}

// "Attempts under way return, and their outcomes wait": when a worker gives a paused run up, each
// attempt that has succeeded there has an outcome.
func (w *world) outcomesWait(s *faultyStore, d *store.Deposit) {
	l, err := w.db.Load(context.Background(), d.RunID, 0)
	if err != nil || l.Run.Status.Ended() || w.isRetried(d.RunID) {
		return
	}
	w.note(func() {
		for id, in := range w.pauses.succeeded {
			ref, ok := strings.CutPrefix(id, d.RunID+"/")
			if !ok || in.node != s.node || in.epoch != d.Epoch {
				continue
			}
			of := func(kind store.Kind, r string) bool {
				return r == ref && (kind == store.StepCompleted || kind == store.StepFailed || kind == store.StepRetried)
			}
			if !slices.ContainsFunc(l.Events, func(e store.Event) bool { return of(e.Kind, e.Ref) }) &&
				!slices.ContainsFunc(l.Mail, func(m store.Message) bool { return of(m.Kind, m.Ref) }) {
				w.problem("run %s was given up while it is paused, and the outcome of step %s is nowhere", d.RunID, ref)
			}
		}
	})
}

// "No attempt of a step begins" while its run is paused: not later than its worker can know.
func (w *world) noAttemptBeginsLongAfterAPause(n *node, l *store.Loaded, info workflow.Info) {
	w.note(func() {
		w.pauses.begun[info.StepID] = began{n.store.node, l.Run.Epoch}
		if p := l.Run.Paused; p != nil && time.Since(p.At) > 10*time.Minute {
			w.problem("step %s: attempt %d begins %v after its run was paused", info.StepID, info.Attempt, time.Since(p.At))
		}
	})
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
		if e.Kind == store.Retried || e.Kind == store.RetryNow {
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
		asked = asked && !w.wasPaused(l.Run.ID) // then the event has the time at which its outcome was deposited
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
	case vStep, vDeaf, vTx, vSend, vPublish, vSleep, vOpen, vListen, vWait, vWaitFor, vRange, vDrain, vSelect, vPoll, vWebhook, vServe, vOffer, vReply, vJoin:
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

// "Patched is decided once for each run and ID, however often the call is made."
func (w *world) patchIsDecidedOnce(e *env, id string, took bool) {
	if first, decided := e.patches[id]; decided && first.took != took {
		w.note(func() { w.problem("run %s: patch %q: Patched returned %t, and now %t", e.run, id, first.took, took) })
	}
}

// "Patched is the same on replay", over crashes, evictions and builds: it is what the steps of
// the run have followed from.
func (w *world) patchesStand(runID string, generation int, seen map[string]patch) {
	w.note(func() {
		for id, p := range seen {
			name := runPatch{runID, generation, id}
			if took, known := w.patches[name]; known && took != p.took && !w.retried[runID] {
				w.problem("run %s: patch %q: Patched had returned %t, and returns %t", runID, id, took, p.took)
			}
			w.patches[name] = p.took
		}
	})
}

// runPatch names a patch of a generation of a run.
type runPatch struct {
	run        string
	generation int
	id         string
}

// "Patched is true for runs that reach it with the new code, false for those that had passed the
// place": the event in which a run has passed a patch is of a build without it.
func (c *checker) patchesAreTakenWhereTheyAre(r *record) {
	if c.retried[r.id()] {
		return // the journal does not have all of it
	}
	for id, p := range r.env.patches {
		if took, known := c.patches[runPatch{r.id(), int(r.Run.Generation), id}]; known && took != p.took {
			c.errorf("run %s: patch %q: Patched had returned %t, and returns %t", r.id(), id, took, p.took)
		}
		before := func(e store.Event) bool { return e.At.Equal(p.at) && c.builds[commit{r.id(), e.Position}] < p.build }
		if !p.took && !slices.ContainsFunc(r.Events, before) {
			c.errorf("run %s passed patch %q at %v, when its code had it", r.id(), id, p.at)
		}
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

// "Await is told in the very commit that ends that run": none awaits it any more.
func (w *world) endIsTold(runID string) {
	for _, id := range w.runs() {
		a, err := w.db.Export(context.Background(), id)
		if err != nil {
			w.note(func() { w.problem("export run %s: %v", id, err) })
			return
		}
		r, err := w.db.Run(context.Background(), runID)
		if err == nil && r.Status.Ended() && slices.ContainsFunc(a.Subscriptions, func(s store.Subscription) bool { return s.Target == runID }) {
			w.note(func() { w.problem("run %s has ended, and run %s was not told", runID, id) })
		}
	}
}

// "It is told once, with what Result returns", or that there is no such run, while there is none.
func (c *checker) awaitedEndsArrive(r *record) {
	awaits, told := map[string]string{}, map[string]int{}
	asked := map[string]time.Time{} // when that was committed
	for _, e := range r.Events {
		for line := range strings.Lines(e.Asked) {
			if a, ok := journal.Parse(strings.TrimSuffix(line, "\n")); ok && a.Op == journal.Await {
				awaits[a.Ref], asked[a.Ref] = a.RunID, c.commits[commit{r.id(), e.Position}]
			}
		}
		if e.Kind != store.AwaitedCompleted && e.Kind != store.AwaitedFailed && e.Kind != store.AwaitRefused {
			continue
		}
		number := journal.Awaited(e.Ref)
		id := awaits[number]
		if told[number]++; (told[number] > 1 || id == "") && !c.retried[r.id()] { // it may have asked in what was cut
			c.errorf("run %s has asked for await %s, of run %q, and was told %d times", r.id(), number, id, told[number])
		}
		o := c.records[id]
		switch {
		case e.Kind == store.AwaitRefused && e.Data == nil:
			if began := c.commits[commit{id, 1}]; o != nil && !began.IsZero() && began.Before(asked[number]) {
				c.errorf("run %s has asked at %v for run %s, which had begun at %v, and was told that there is none", r.id(), asked[number], id, began)
			}
		case e.Kind == store.AwaitRefused:
			copied := r.Run.Origin != nil && e.Position <= r.Run.Origin.Position // then it has the origin's ID
			if cycle := journal.DecodeCycle(e.Data); len(cycle) < 2 || cycle[0] != id || cycle[len(cycle)-1] != r.id() && !copied {
				c.errorf("run %s awaits run %s, and the cycle that it was told is %s", r.id(), id, e.Data)
			}
		case o == nil || c.retried[id]:
		case !o.Run.Status.Ended() || !bytes.Equal(o.Events[len(o.Events)-1].Data, e.Data) || (o.Run.Status == store.Completed) != (e.Kind == store.AwaitedCompleted):
			c.errorf("run %s: run %s, which it awaits, is %s, and it was told %s %s", r.id(), id, o.Run.Status, e.Kind, e.Data)
		}
	}
}

// "When the context of an Await ends, or its run does, nothing is told any more": what a run
// is subscribed to is what its code awaits.
func (c *checker) awaitsAreSubscribed(r *record) {
	targets := []string{}
	for _, s := range r.awaits {
		targets = append(targets, s.Target)
	}
	slices.Sort(targets)
	switch {
	case r.Run.Status == store.Failed: // it may be retried
	case r.Run.Status.Ended() && len(targets) > 0, !r.Run.Status.Ended() && !slices.Equal(targets, r.Awaiting):
		c.errorf("run %s is %s, and subscribed to %q; its code awaits %q", r.id(), r.Run.Status, targets, r.Awaiting)
	}
}

// "If the run awaits the one that asks, directly or through others, the future has
// ErrAwaitCycle": runs that await each other never go on.
func (c *checker) nobodyAwaitsHimself() {
	for id := range c.records {
		seen := map[string]bool{}
		for next := []string{id}; len(next) > 0; next = next[1:] {
			r := c.records[next[0]]
			if r == nil {
				continue
			}
			for _, s := range r.awaits {
				if s.Target == id {
					c.errorf("run %s awaits itself, in the end through run %s", id, r.id())
				}
				if !seen[s.Target] {
					seen[s.Target], next = true, append(next, s.Target)
				}
			}
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
		begins := i == 0 || last.Kind == store.Restarted
		if begins != (e.Kind == store.Started) && !r.terminated() {
			c.errorf("run %s: event %d is %s", r.id(), e.Position, e.Kind)
		}
		ends := e.Kind == store.RunCompleted || e.Kind == store.RunFailed || e.Kind == store.RunCanceled
		if ends != (i == len(r.Events)-1 && r.Run.Status.Ended()) {
			c.errorf("run %s is %s: event %d of %d is %s", r.id(), r.Run.Status, e.Position, len(r.Events), e.Kind)
		}
		last = e
	}
}

// "Restart ends this generation and begins the next in one commit": each generation begins with the
// input that the one before gave it, and nothing of the one before is written after it.
func (c *checker) generationsFollow(r *record) {
	n := 0
	for i, e := range r.Events {
		if e.Kind != store.Restarted {
			continue
		}
		if n++; e.Ref != strconv.Itoa(n) {
			c.errorf("run %s: event %d begins generation %s, want %d", r.id(), e.Position, e.Ref, n)
		}
		if i+1 < len(r.Events) && r.Events[i+1].Epoch <= e.Epoch {
			c.errorf("run %s: event %d ends a generation in epoch %d, and the next is of epoch %d", r.id(), e.Position, e.Epoch, r.Events[i+1].Epoch)
		}
	}
	if n != int(r.Run.Generation) {
		c.errorf("run %s has restarted %d times, and is generation %d", r.id(), n, r.Run.Generation)
	}
}

// "Between two generations a token is never free": a carried hook keeps its ID and its time.
func (w *world) restartKeepsHooks(t *store.Transition, before []store.Hook) {
	after, err := w.db.Hooks(context.Background(), store.HookFilter{RunID: t.RunID, Limit: 1000})
	if err != nil {
		w.note(func() { w.problem("hooks of run %s: %v", t.RunID, err) })
		return
	}
	if r, err := w.db.Run(context.Background(), t.RunID); err != nil || r.Status.Ended() {
		return // it was terminated since
	}
	for _, h := range before {
		closed := slices.ContainsFunc(t.Effects, func(e store.Effect) bool { return e.Kind == store.CloseHook && e.Hook.ID == h.ID })
		is := func(o store.Hook) bool { return o.ID == h.ID && o.Token == h.Token && o.CreatedAt.Equal(h.CreatedAt) }
		if !closed && !h.Carried && !slices.ContainsFunc(after, is) {
			w.note(func() { w.problem("run %s has restarted, and lost hook %s with token %q", t.RunID, h.ID, h.Token) })
		}
	}
}

// "Whoever waits for the result goes on waiting" when a run restarts: only a run that
// has ended is said to have ended.
func (w *world) awaited(id string, err error) {
	if _, failed := errors.AsType[*workflow.RunError](err); err != nil && !failed {
		return
	}
	if r, err := w.db.Run(context.Background(), id); err == nil && !r.Status.Ended() {
		w.note(func() {
			if !w.retried[id] {
				w.problem("run %s is said to have ended, and is %s, in generation %d", id, r.Status, r.Generation)
			}
		})
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
		for _, e := range r.generation {
			switch {
			case e.Kind == store.TimerFired:
				fired = e
			case e.Kind == store.PayloadReceived && !c.retried[id]:
				s := c.sent[number(e.Data)]
				if s != nil && s.accepted() && s.info.RunID == id && s.durableBy().Before(fired.At) && c.awaitedAt(r, e.Ref, fired.Position) {
					c.errorf("run %s: payload %d was accepted by %v, and comes after a timer of %v", id, s.n, s.durableBy(), fired.At)
				}
			}
		}
	}
}

// awaitedAt reports whether the code waited for a payload of a hook just before an event.
func (c *checker) awaitedAt(r *record, hook string, position int64) bool {
	l := r.Loaded
	l.Events = r.generation[:position-1-r.Run.Base]
	defer func(env *env) { c.envs[r.id()] = env }(c.envs[r.id()])
	before, err := c.nodes[0].engine.Replay(l)
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
	if fired.IsZero() || t.Status.Ended() || t.Restart != nil { // what is carried over keeps its time
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

// "All links of one addressee to a hook share one answer, and with Once all links to the hook do." Each
// generation that opens the hook takes answers of its own.
func (c *checker) addresseesAnswerOnce() {
	votes, all, once := map[string]int{}, map[string]int{}, map[string]bool{}
	for _, a := range c.answers {
		for _, at := range c.places[a.n] {
			hook := fmt.Sprintf("%s in generation %d", a.hook, at.generation)
			votes[hook+" by "+a.addressee]++
			all[hook]++
			once[hook] = once[hook] || a.once
		}
	}
	for vote, n := range votes {
		if n > 1 {
			c.errorf("hook %s has %d answers", vote, n)
		}
	}
	for hook, n := range all {
		if once[hook] && n > 1 {
			c.errorf("hook %s has %d answers by links, one of which takes one only", hook, n)
		}
	}
}

// "No answer is taken by a link that has expired or was revoked."
func (c *checker) deadLinksTakeNothing() {
	for _, a := range c.answers {
		if a.recorded && !a.at.Before(a.expires) {
			c.errorf("answer %d was taken by a link that had expired: at %v, and it was good until %v", a.n, a.at, a.expires)
		}
		for _, r := range c.revoked {
			if a.recorded && r.id == a.id && r.end < a.begin {
				c.errorf("answer %d was taken by a link that had been revoked", a.n)
			}
		}
	}
}

// "A hook gets each publication that begins after Listen has returned and before its close", whatever
// crashes, batches and restarts; "others, none".
func (c *checker) listenersGetAll() {
	for i := range c.published {
		p := &c.published[i]
		for id, l := range c.listeners {
			if l.subject != p.subject || c.retried[l.run] || c.records[l.run] == nil {
				continue
			}
			got := slices.ContainsFunc(c.places[p.n], func(at place) bool { return at.hook == id })
			listened := l.began < p.begin && (l.ceased == 0 || p.end < l.ceases)
			did := p.end < l.begins || l.ceased != 0 && l.ceased < p.begin
			switch {
			case listened && !got:
				c.errorf("hook %s listened to %q when publication %d began, and has not got it", id, p.subject, p.n)
			case did && got:
				c.errorf("hook %s did not listen to %q at publication %d, and has got it", id, p.subject, p.n)
			}
		}
	}
}

// "Each once, in the order of publication": what a hook has got is what was published between the
// numbers with which it began and ceased to listen.
func (c *checker) listenersGetNothingElse() {
	all := slices.SortedFunc(slices.Values(c.published), func(a, b published) int { return cmp.Compare(a.Seq, b.Seq) })
	for _, r := range c.records {
		for _, h := range r.hooks {
			got := c.came(r.id(), h.Hook.ID)
			var want []int
			for _, p := range all {
				retried := c.retried[r.id()] && slices.Contains(got, p.n) // it has listened more than once
				if gets(&h.Hook, &p) || retried {
					want = append(want, p.n)
				}
			}
			if !slices.Equal(got, want) {
				c.errorf("hook %s listened to %q from %d to %d, and has got the publications %d, not %d",
					h.Hook.ID, h.Hook.Subject, h.Hook.ListensFrom, h.Hook.ListensTo, got, want)
			}
		}
	}
}

// "Listeners is how many hooks get the payload": all that listened. The number of a publication is
// its own.
func (c *checker) publicationsAreCounted() {
	for i := range c.published {
		p := &c.published[i]
		if n := len(c.listenedWhen(p)); p.Count < n || p.Count > n+c.maybe(p.subject) {
			c.errorf("publication %d to %q is said to have %d listeners, and has %d", p.n, p.subject, p.Count, n)
		}
	}
	for _, call := range c.publishes {
		if call.err != nil {
			continue
		}
		i := slices.IndexFunc(c.published, func(p published) bool {
			return p.subject == call.subject && p.Seq == call.info.Number && (p.n == call.n || call.info.Duplicate && p.key == call.key)
		})
		switch {
		case i < 0:
			c.errorf("publication %d was answered with %+v, and is not there", call.n, call.info)
		case c.published[i].Count != call.info.Listeners, c.published[i].begin > call.end:
			c.errorf("publication %d was answered with %+v, and is %+v", call.n, call.info, c.published[i])
		}
	}
}

// "Publish with an IdempotencyKey is safe to repeat": of each key one publication has listeners.
func (c *checker) publicationsHappenOnce() {
	first := map[string]int{}
	for _, p := range c.published {
		if p.key == "" || p.Count == 0 {
			continue
		}
		k := p.subject + " " + p.key
		if n, twice := first[k]; twice {
			c.errorf("publications %d and %d to %q have the key %s, and both have listeners", n, p.n, p.subject, p.key)
		}
		first[k] = p.n
	}
}

// "What all listeners have got is forgotten": nothing that was published has still to come, and the
// tables of the store agree.
func (c *checker) publicationsAreForgotten() {
	ctx := context.Background()
	topics, err := c.db.Topics(ctx, store.TopicFilter{})
	if err != nil {
		c.errorf("list topics: %v", err)
	}
	for _, t := range topics {
		if t.Behind {
			c.errorf("some of those that listen to %q have not got what was published", t.Subject)
		}
	}
	if err := c.db.Check(ctx); err != nil {
		c.errorf("%v", err)
	}
}
