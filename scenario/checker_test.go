package scenario_test

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/tenter-dev/tenter/store"
)

// A checker compares a database with what a test has seen, once all work is done. It proves that
// every run that was started finished once, every payload was delivered once and in order, nobody
// wrote to a run after having lost it, nothing was left behind, and no step was executed twice
// without a reason.
type checker struct {
	inv     *inventory
	chron   *chronicle
	effects []effect
	lapses  []mishap // that processes suffered by themselves

	// orStarted are the workflows that runs were started of by payloads.
	orStarted []string

	found []string
	heads map[string]*store.Run
}

// check returns what is wrong.
func (c *checker) check() (found []string) {
	c.found, c.heads = nil, map[string]*store.Run{}
	for i := range c.inv.runs {
		c.heads[c.inv.runs[i].ID] = &c.inv.runs[i]
	}
	c.checkStarts()
	for i := range c.inv.runs {
		r := &c.inv.runs[i]
		c.checkRun(r)
		c.checkJournal(r, c.inv.events[r.ID])
	}
	c.checkOrphans()
	c.checkHooks()
	c.checkPayloads()
	c.checkEffects()
	for _, s := range c.inv.stale {
		c.report("%s", s)
	}
	return c.found
}

func (c *checker) report(format string, args ...any) {
	c.found = append(c.found, fmt.Sprintf(format, args...))
}

// checkStarts: the runs in the database are those that were started.
func (c *checker) checkStarts() {
	for id, a := range c.chron.starts {
		if r := c.heads[id]; r == nil {
			if a.certain {
				c.report("run %s was started, and is gone", id)
			}
		} else if a.result != "" && r.Status.Ended() {
			events := c.inv.events[id]
			if got := string(events[max(0, len(events)-1)].Data); r.Status != store.Completed || got != a.result {
				c.report("run %s is %s with %s, it should have returned %s", id, r.Status, got, a.result)
			}
		}
	}
	for id, r := range c.heads {
		if c.chron.starts[id] == nil && r.ParentID == "" && !slices.Contains(c.orStarted, r.Workflow) {
			c.report("run %s was never started", id)
		}
		if r.ParentID != "" && c.heads[r.ParentID] == nil {
			c.report("run %s is a child of %s, which is gone", id, r.ParentID)
		}
	}
}

// checkRun: a run has ended, and is nobody's any more.
func (c *checker) checkRun(r *store.Run) {
	if !r.Status.Ended() {
		c.report("run %s (%s) has not ended, it is %s %s", r.ID, r.Workflow, r.Status, r.BlockedReason)
		if until, ok := c.inv.leases[r.Worker]; r.Worker != "" && (!ok || until.Before(c.inv.now)) {
			c.report("run %s is owned by worker %s, whose lease has lapsed", r.ID, r.Worker)
		}
	} else if r.Worker != "" {
		c.report("run %s has ended, and is owned by worker %s", r.ID, r.Worker)
	}
	if r.Status.Ended() == r.EndedAt.IsZero() {
		c.report("run %s is %s, and ended at %v", r.ID, r.Status, r.EndedAt)
	}
	if n := len(c.inv.mail[r.ID]); n != c.inv.messages[r.ID] {
		c.report("run %s has %d messages, its head says %d", r.ID, n, c.inv.messages[r.ID])
	}
	if r.Status.Ended() && c.inv.due[r.ID] {
		c.report("run %s has ended, and needs a worker", r.ID)
	}
}

// once are the kinds of events of which a run can have one for each thing that its
// code asked for. Those with the same number exclude each other.
var once = map[store.Kind]int{
	store.Started: 1, store.StepCompleted: 2, store.StepFailed: 2, store.TimerFired: 3, store.ChildStarted: 4, store.ChildExists: 4,
	store.ChildCompleted: 5, store.ChildFailed: 5, store.HookClaimed: 6, store.HookConflict: 6, store.HookDrained: 7,
	store.AwaitedCompleted: 10, store.AwaitedFailed: 10, store.AwaitRefused: 10, store.Responded: 8, store.RespondConflict: 8, store.RunCompleted: 9, store.RunFailed: 9, store.RunCanceled: 9,
}

// final are the kinds of the last event, and the statuses that they leave behind.
var final = map[store.Kind]store.Status{
	store.RunCompleted: store.Completed, store.RunFailed: store.Failed, store.RunCanceled: store.Canceled,
}

// checkJournal: a journal has no gap, its time and its owners never go back, nothing
// happens in it twice, and it ends as the run did.
func (c *checker) checkJournal(r *store.Run, events []store.Event) {
	if int64(len(events)) != r.Events {
		c.report("run %s: %d events, its head says %d", r.ID, len(events), r.Events)
	}
	if len(events) == 0 {
		return
	}
	if events[0].Kind != store.Started {
		c.report("run %s begins with %s", r.ID, events[0].Kind)
	}
	last := &events[len(events)-1]
	if ended := final[last.Kind]; ended != r.Status && (ended != "" || r.Status.Ended()) {
		c.report("run %s is %s, its last event is %s", r.ID, r.Status, last.Kind)
	}
	type thing struct {
		kind int
		ref  string
	}
	seen := map[thing]int64{}
	for i := range events {
		e := &events[i]
		if e.Position != int64(i)+1 {
			c.report("run %s: event %d has position %d", r.ID, i+1, e.Position)
		}
		if e.Epoch > r.Epoch || e.Epoch < 1 {
			c.report("run %s: event %d is of epoch %d, the run has had %d", r.ID, i+1, e.Epoch, r.Epoch)
		}
		if i > 0 {
			before := &events[i-1]
			if e.At.Before(before.At) {
				c.report("run %s: event %d is of %v, before the last one's %v", r.ID, i+1, e.At, before.At)
			}
			if cmp.Or(cmp.Compare(e.Epoch, before.Epoch), cmp.Compare(e.Seq, before.Seq)) < 0 {
				c.report("run %s: event %d is of transition %d/%d, after one of %d/%d", r.ID, i+1, e.Epoch, e.Seq, before.Epoch, before.Seq)
			}
		}
		if kind, ok := once[e.Kind]; ok {
			ref := e.Ref
			if kind == once[store.RunCompleted] {
				ref = ""
			}
			if p, again := seen[thing{kind, ref}]; again {
				c.report("run %s: events %d and %d are both about %s %s", r.ID, p, e.Position, e.Kind, ref)
			}
			seen[thing{kind, ref}] = e.Position
		}
	}
}

// checkOrphans: nothing is left behind by runs that have ended, or is of none.
func (c *checker) checkOrphans() {
	orphan := func(what, id string, ofEnded bool) {
		switch r := c.heads[id]; {
		case r == nil:
			c.report("%s of run %s, which is gone", what, id)
		case ofEnded && r.Status.Ended():
			c.report("%s of run %s, which has ended", what, id)
		}
	}
	for id := range c.inv.events {
		orphan("a journal", id, false)
	}
	for id, mail := range c.inv.mail {
		for _, m := range mail {
			orphan(fmt.Sprintf("message %d (%s)", m.ID, m.Kind), id, true)
		}
	}
	for _, a := range c.inv.executing {
		orphan("an attempt of "+a.Step, a.RunID, true)
	}
	for id := range c.inv.unread {
		orphan("unread payloads", id, false)
	}
}

// checkHooks: no token is leaked or has two owners.
func (c *checker) checkHooks() {
	open := map[string]*store.Hook{}
	for i := range c.inv.hooks {
		h := &c.inv.hooks[i]
		r := c.heads[h.RunID]
		if r == nil {
			c.report("hook %s of run %s, which is gone", h.ID, h.RunID)
		}
		if !h.ClosedAt.IsZero() {
			continue
		}
		if r != nil && r.Status.Ended() {
			c.report("hook %s of run %s is open, which has ended: token %s is leaked", h.ID, h.RunID, h.Token)
		}
		if other := open[h.Token]; other != nil {
			c.report("token %s has two open hooks, %s and %s", h.Token, other.ID, h.ID)
		}
		open[h.Token] = h
	}
}

// A hearing is when a run was delivered a payload, as its result tells.
type hearing struct {
	run   *store.Run
	place int
}

// checkPayloads: what was accepted was delivered once, in the order of each sender,
// and what was refused was not.
func (c *checker) checkPayloads() {
	heard, taken := map[string][]hearing{}, map[string]map[string]int{} // by text; and run
	for i := range c.inv.runs {
		r := &c.inv.runs[i]
		for _, e := range c.inv.events[r.ID] {
			switch e.Kind { //nolint:exhaustive // others carry no payloads
			case store.PayloadReceived:
				for _, text := range texts(e.Data) {
					if taken[text] == nil {
						taken[text] = map[string]int{}
					}
					taken[text][r.ID]++
				}
			case store.RunCompleted:
				for place, text := range texts(e.Data) {
					heard[text] = append(heard[text], hearing{r, place})
				}
			}
		}
	}
	unread := map[string]bool{}
	for _, all := range c.inv.unread {
		for _, m := range all {
			for _, text := range texts(m.Data) {
				unread[text] = true
			}
		}
	}
	type line struct{ sender, token string }
	lines := map[line][]*payload{}
	for text, p := range c.chron.payloads {
		switch n := len(heard[text]); {
		case n > 1:
			c.report("payload %q was delivered %d times, to runs %s and %s", text, n, heard[text][0].run.ID, heard[text][1].run.ID)
		case n == 1 && p.refused:
			c.report("payload %q was refused, and delivered", text)
		case n == 1 && taken[text][heard[text][0].run.ID] == 0:
			c.report("payload %q was delivered, and is not in the journal of run %s", text, heard[text][0].run.ID)
		case n == 0 && p.certain && unread[text]:
			c.report("payload %q was accepted, and left unread", text)
		case n == 0 && p.certain:
			c.report("payload %q was accepted, and is lost", text)
		}
		for id, n := range taken[text] {
			if n > 1 {
				c.report("payload %q is %d times in the journal of run %s", text, n, id)
			}
		}
		if p.certain && p.key != "" && !c.inv.keys[p.token+" "+p.key] {
			c.report("payload %q has no receipt", text)
		}
		if p.certain && len(heard[text]) == 1 {
			l := line{p.sender, p.token}
			lines[l] = append(lines[l], p)
		}
	}
	for l, sent := range lines {
		slices.SortFunc(sent, func(a, b *payload) int { return a.number - b.number })
		for i, p := range sent[1:] {
			before, after := heard[sent[i].text][0], heard[p.text][0]
			if cmp.Or(before.run.CreatedAt.Compare(after.run.CreatedAt), cmp.Compare(before.run.ID, after.run.ID), cmp.Compare(before.place, after.place)) > 0 {
				c.report("%s sent %q to %s and then %q, and they were delivered the other way round", l.sender, sent[i].text, l.token, p.text)
			}
		}
	}
}

// texts returns all strings in JSON, in order.
func texts(data []byte) (all []string) {
	d := json.NewDecoder(strings.NewReader(string(data)))
	for {
		token, err := d.Token()
		if err != nil {
			return all
		}
		if s, ok := token.(string); ok {
			all = append(all, s)
		}
	}
}

// checkEffects: a step that is recorded was executed, and was executed again only
// where a process may have lost it.
func (c *checker) checkEffects() {
	bySteps := map[string][]*effect{}
	acting := map[string]bool{} // runs
	for i := range c.effects {
		e := &c.effects[i]
		bySteps[e.Step] = append(bySteps[e.Step], e)
		acting[e.Run] = true
		if c.heads[e.Run] == nil {
			c.report("step %s was executed, its run is gone", e.Step)
		}
	}
	for step, all := range bySteps {
		for _, e := range all {
			c.thaw(e)
		}
		slices.SortFunc(all, func(a, b *effect) int { return a.Began.Compare(b.Began) })
		recorded := c.recorded(all)
		for i, again := range all[1:] {
			var why string
			first := all[i]
			switch {
			case first == recorded:
				why = "though its result was recorded"
			case !c.explained(first, again):
				why = "without a reason"
			default:
				continue
			}
			c.report("step %s was executed by process %d from %s to %s, and again by process %d at %s, %s (%v)", step,
				first.Process, clock(first.Began), clock(first.Ended), again.Process, clock(again.Began), why, c.story(first.Process, again.Process))
		}
	}
	for id := range acting {
		for _, e := range c.inv.events[id] {
			if e.Kind != store.StepCompleted {
				continue
			}
			if !slices.ContainsFunc(bySteps[stepID(id, e.Ref)], func(e *effect) bool { return !e.Ended.IsZero() }) {
				c.report("run %s: step %s is completed, and was never executed", id, e.Ref)
			}
		}
	}
}

// thaw corrects when an execution began: its process may have been frozen just then,
// between its last look at the lease and the first thing that the step did, which was to
// look at the clock.
func (c *checker) thaw(e *effect) {
	const moment = 3 * time.Millisecond
	for _, m := range c.chron.mishaps {
		if m.process == e.Process && m.what == "frozen" && e.Began.Sub(m.over).Abs() < moment {
			e.Began = m.began
		}
	}
}

// recorded returns, of several executions of a step, the one whose result is in the
// journal: it was by the process that is the result, if that says so, and ended when the event
// happened, as far as a clock tells. nil if none is.
func (c *checker) recorded(all []*effect) (r *effect) {
	if len(all) == 1 {
		return nil // it makes no difference
	}
	for _, e := range c.inv.events[all[0].Run] {
		if e.Kind != store.StepCompleted || stepID(all[0].Run, e.Ref) != all[0].Step {
			continue
		}
		var process int
		_ = json.Unmarshal(e.Data, &process) // other steps have other results
		for _, x := range all {
			if process != 0 && x.Process != process {
				continue
			}
			if !x.Ended.IsZero() && (r == nil || x.Ended.Sub(e.At).Abs() < r.Ended.Sub(e.At).Abs()) {
				r = x
			}
		}
	}
	return r
}

// onTheWay is how long after a step ended its result may be on the way into the
// database, which may be busy: a mishap in that time is a reason for another attempt.
const onTheWay = 20 * time.Second

// explained reports whether the process of the first execution may have lost the run,
// or its result, before the second.
func (c *checker) explained(first, again *effect) bool {
	// A step begins with a third of the lease left at least. On a busy machine the process, or its
	// store, may then be too slow to renew the lease, or to commit.
	if !first.Ended.IsZero() && again.Began.Sub(first.Began) >= workLease/3 {
		return true
	}
	return slices.ContainsFunc(c.mishaps(), func(m mishap) bool {
		return !m.harmless && m.process == first.Process && !m.over.Before(first.Began) && !m.began.After(again.Began) &&
			(first.Ended.IsZero() || !m.began.After(first.Ended.Add(onTheWay)))
	})
}

// story is what happened to processes.
func (c *checker) story(processes ...int) (all []mishap) {
	for _, m := range c.mishaps() {
		if slices.Contains(processes, m.process) {
			all = append(all, m)
		}
	}
	return all
}

// mishaps are what the test did to processes, and the leases that they lost without it.
func (c *checker) mishaps() []mishap { return slices.Concat(c.chron.mishaps, c.lapses) }

func clock(t time.Time) string { return t.Format("15:04:05.000") }

// stepID is how a step knows itself (workflow.Info.StepID).
func stepID(runID, ref string) string { return runID + "/" + ref }
