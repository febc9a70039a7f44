package storetest

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/tenter-dev/tenter/store"
)

// model is a store as simple as it can be: what the contract says, over slices
// and maps, with no time but "due", "later" and "never". The store under test
// is to agree with it after each operation.
type model struct {
	runs     map[string]*modelRun
	hooks    []*modelHook
	receipts map[[2]string]string // token and key: run
	subs     []store.Subscription
	live     map[string]bool // workers with a lease
	messages int             // so many there have been
	paused   bool            // the workflow of all runs is

	seq       int // of publications, and of where hooks begin and cease to listen
	published []modelPublication
	known     map[string]int // idempotency keys: listeners
}

// modelPublication is one to the only topic and subject that there are.
type modelPublication struct {
	seq  int
	data string
}

type modelRun struct {
	id        string
	status    store.Status
	worker    string
	epoch     int64
	events    []modelMessage
	mail      []modelMessage
	unread    []modelMessage
	wake      int // never, due, later
	suspicion int32
	crashes   int32
	mark      bool
	blocked   string
	parent    string
	paused    bool

	generation int32
	base       int64
	over       []store.Generation
	forkedFrom string
	forkedAt   int64
}

const (
	never = iota
	due
	later
)

type modelMessage struct {
	Kind      store.Kind
	Ref, Data string
	OrStart   string // see orStartOf
	Actor     string
	journaled bool // of what is unread: it is in the journal too
	number    int  // in the order of messages
	leftBy    int  // of what is unread: the generation
}

type modelHook struct {
	id, run, token string
	open, reserved bool
	web            bool // it is a webhook
	carried        bool
	adopted        bool // it was reserved or carried, and the run has claimed its token
	opened, closed int64
	deferred       bool // its payloads go to the backlog
	backlog        []modelMessage
	listens        bool // to the topic
	told           int  // it has got what was published up to this
}

func newModel() *model {
	return &model{runs: map[string]*modelRun{}, receipts: map[[2]string]string{}, live: map[string]bool{}, known: map[string]int{}}
}

func (m *model) owner(token string) *modelHook {
	for _, h := range m.hooks {
		if h.token == token && h.open {
			return h
		}
	}
	return nil
}

func (m *model) hook(run, id string) *modelHook {
	for _, h := range m.hooks {
		if h.run == run && h.id == id {
			return h
		}
	}
	return nil
}

func (m *model) start(r store.NewRun) error {
	if m.runs[r.ID] != nil {
		return store.ErrExists
	}
	started := m.number(modelMessage{Kind: store.Started, Data: string(r.Input), Actor: r.Actor})
	m.runs[r.ID] = &modelRun{id: r.ID, status: store.Running, parent: r.ParentID, mail: []modelMessage{started}}
	return nil
}

// number makes a message the last that there is.
func (m *model) number(mm modelMessage) modelMessage {
	m.messages++
	mm.number = m.messages
	return mm
}

// backlogs are the hooks of a run that have one.
func (m *model) backlogs(run string) []*modelHook {
	var all []*modelHook
	for _, h := range m.hooks {
		if h.run == run && h.deferred {
			all = append(all, h)
		}
	}
	return all
}

func (m *model) accept(p store.Payload) (run string, duplicate bool, err error) {
	if run, ok := m.receipts[[2]string{p.Token, p.Key}]; ok && p.Key != "" {
		return run, true, nil
	}
	h := m.owner(p.Token)
	switch {
	case p.Hook != "" && (h == nil || h.id != p.Hook), h == nil && p.OrStart == nil:
		return "", false, store.ErrNotFound
	case h != nil && (h.web && p.Request == "" || p.Hook == "" && byRequest(p.OrStart)):
		return h.run, false, store.ErrMismatch
	case h == nil:
		if err := m.start(*p.OrStart); err != nil {
			return "", false, err
		}
		h = m.reserve(*p.OrStart, p.Token)
	}
	orStart := orStartOf(p.OrStart)
	m.put(h, modelMessage{Kind: store.PayloadReceived, Ref: h.id, Data: string(p.Data), OrStart: orStart, Actor: p.Actor})
	if p.Key != "" {
		m.receipts[[2]string{p.Token, p.Key}] = h.run
	}
	return h.run, false, nil
}

// byRequest reports whether a payload that came with r is a request.
func byRequest(r *store.NewRun) bool { return r != nil && r.Webhook != nil }

const requested = " by request"

// orStartOf is the modelMessage.OrStart of a payload, and runOf the run that it means.
func orStartOf(r *store.NewRun) string {
	switch {
	case r == nil:
		return ""
	case byRequest(r):
		return r.ID + requested
	}
	return r.ID
}

func runOf(orStart string) store.NewRun {
	id, web := strings.CutSuffix(orStart, requested)
	r := startedRun(id)
	if web {
		r.Webhook = []byte(`{"manual":true}`)
	}
	return r
}

// put puts a payload for a hook where it belongs.
func (m *model) put(h *modelHook, mm modelMessage) {
	mm = m.number(mm)
	if h.deferred {
		h.backlog = append(h.backlog, mm)
	} else {
		m.runs[h.run].mail = append(m.runs[h.run].mail, mm)
	}
}

// listeners are the open hooks that have got all up to a publication, and not another one.
func (m *model) listeners(from, to int) []*modelHook {
	var all []*modelHook
	for _, h := range m.hooks {
		if h.open && h.listens && h.told >= from && h.told < to {
			all = append(all, h)
		}
	}
	slices.SortFunc(all, func(a, b *modelHook) int {
		return cmp.Or(cmp.Compare(a.told, b.told), cmp.Compare(a.run, b.run), cmp.Compare(a.id, b.id))
	})
	return all
}

func (m *model) publish(p store.Publication) store.Published {
	if n, known := m.known[p.Key]; known && p.Key != "" {
		return store.Published{Count: n, Duplicate: true}
	}
	m.seq++
	all, before := m.listeners(0, m.seq), 0
	if len(all) == 0 {
		return store.Published{}
	}
	for _, q := range m.published {
		before = q.seq
	}
	q := modelPublication{m.seq, string(p.Data)}
	m.published = append(m.published, q)
	if len(all) <= p.AtOnce {
		m.tell(m.listeners(before, q.seq), q)
	}
	if p.Key != "" {
		m.known[p.Key] = len(all)
	}
	return store.Published{Count: len(all)}
}

func (m *model) tell(hooks []*modelHook, p modelPublication) {
	for _, h := range hooks {
		m.put(h, modelMessage{Kind: store.PayloadReceived, Ref: h.id, Data: p.data})
		h.told = p.seq
	}
}

// tellAll tells all listeners what they have still to get, so many at a time.
func (m *model) tellAll(atOnce int) {
	for _, p := range m.published {
		for {
			behind := m.listeners(0, p.seq)
			if len(behind) == 0 {
				break
			}
			m.tell(behind[:min(len(behind), atOnce)], p)
		}
	}
}

// listen lets a hook listen from now on.
func (m *model) listen(h *modelHook) {
	m.seq++
	h.listens, h.told = true, m.seq
}

// cease lets closed hooks of a run listen no more.
func (m *model) cease(run string) {
	var closed []*modelHook
	for _, h := range m.hooks {
		if h.run == run && !h.open && h.listens && h.told >= 0 {
			closed = append(closed, h)
		}
	}
	slices.SortFunc(closed, func(a, b *modelHook) int { return cmp.Compare(a.id, b.id) })
	for _, h := range closed {
		for _, p := range m.published {
			if p.seq > h.told {
				m.tell([]*modelHook{h}, p)
			}
		}
		h.told = -1 // it has ceased
	}
}

func (m *model) reserve(r store.NewRun, token string) *modelHook {
	h := &modelHook{id: r.ID + ".h0", run: r.ID, token: token, open: true, reserved: true, web: byRequest(&r)}
	m.hooks = append(m.hooks, h)
	return h
}

func (m *model) send(msg store.Message) error {
	r := m.runs[msg.RunID]
	mm := m.number(modelMessage{Kind: msg.Kind, Ref: msg.Ref, Data: string(msg.Data), Actor: msg.Actor})
	switch {
	case r == nil:
		return store.ErrNotFound
	case r.status.Ended():
		kept := []store.Kind{store.ChildCompleted, store.ChildFailed, store.AwaitedCompleted, store.AwaitedFailed}
		if r.status == store.Failed && slices.Contains(kept, mm.Kind) {
			r.leave(mm)
		}
		return store.ErrFenced
	}
	r.mail = append(r.mail, mm)
	return nil
}

// apply carries out a transition that took the messages at these places of the
// mailbox, and so many of each backlog.
func (m *model) apply(t *store.Transition, took []int, pulled map[string]int, wake int) ([]store.Outcome, error) {
	r := m.runs[t.RunID]
	switch {
	case t.Create != nil && m.paused:
		return nil, store.ErrPaused
	case t.Create != nil && r != nil:
		return nil, store.ErrExists
	case t.Create != nil:
		r = &modelRun{id: t.RunID, epoch: 1, parent: t.Create.ParentID}
		m.runs[t.RunID] = r
	case r == nil:
		return nil, store.ErrNotFound
	case t.Claim && (r.epoch != t.Epoch-1 || r.worker != ""), r.status.Ended():
		return nil, store.ErrFenced
	case !t.Claim && (r.epoch != t.Epoch || r.worker != "" && r.worker != t.Worker):
		return nil, store.ErrFenced
	case m.stopped(r):
		return nil, store.ErrPaused
	case int64(len(r.events)) != t.After:
		return nil, store.ErrConflict
	case !t.NoMailBefore.IsZero() && m.passed(r, t, took, pulled):
		return nil, store.ErrConflict
	}
	for i := len(r.mail) - 1; i >= 0; i-- {
		if slices.Contains(took, i) {
			r.mail = slices.Delete(r.mail, i, i+1)
		}
	}
	m.changeBacklogs(r, t, pulled)
	for _, e := range t.Events {
		r.events = append(r.events, modelMessage{Kind: e.Kind, Ref: e.Ref, Data: string(e.Data), OrStart: orStartOf(e.OrStart), Actor: e.Actor})
	}
	r.status, r.worker, r.epoch, r.wake = t.Status, "", t.Epoch, wake
	r.suspicion, r.mark, r.crashes, r.blocked = t.Suspicion, t.Mark, t.Crashes, t.BlockedBuild
	if t.Keep && !t.Status.Ended() {
		r.worker = t.Worker
	}
	var outcomes []store.Outcome
	for _, e := range t.Effects {
		outcomes = append(outcomes, m.effect(r, e))
	}
	switch {
	case t.Restart != nil:
		m.restart(r, t)
	case t.Status.Ended():
		m.end(r, t)
		m.tellEnd(r.id)
	}
	return outcomes, nil
}

func (m *model) effect(r *modelRun, e store.Effect) store.Outcome {
	switch e.Kind {
	case store.OpenHook:
		h := m.owner(e.Hook.Token)
		switch {
		case h == nil:
			h = &modelHook{id: e.Hook.ID, run: r.id, token: e.Hook.Token, open: true, opened: e.Hook.OpenedPos, web: e.Hook.Webhook != nil}
			m.hooks = append(m.hooks, h)
			if e.Hook.Subject != "" {
				m.listen(h)
			}
			return store.Outcome{HookID: e.Hook.ID}
		case h.run == r.id && (h.reserved || h.carried) && h.web != (e.Hook.Webhook != nil):
			return store.Outcome{Conflict: h.run, Carried: ofForm(h.web)}
		case h.run == r.id && h.carried && h.listens != (e.Hook.Subject != ""):
			return store.Outcome{Conflict: r.id, Carried: ofForm(h.web)}
		case h.run == r.id && (h.reserved || h.carried):
			h.reserved, h.carried, h.adopted, h.opened = false, false, true, e.Hook.OpenedPos
			if e.Hook.Subject != "" && !h.listens {
				m.listen(h)
			}
			return store.Outcome{HookID: h.id}
		}
		return store.Outcome{Conflict: h.run}
	case store.CloseHook:
		if h := m.hook(r.id, e.Hook.ID); h != nil && h.open {
			h.open, h.closed = false, e.Hook.ClosedPos
			m.cease(r.id)
		}
	case store.StartRun:
		if m.start(e.Run) != nil {
			return store.Outcome{Conflict: e.Run.ID}
		}
	case store.Send:
		_ = m.send(e.Message)
	case store.Subscribe:
		sub := e.Subscription
		sub.RunID = r.id
		m.subscribe(sub)
	case store.Unsubscribe:
		m.unsubscribe(r.id, e.Subscription.Ref)
	case store.Respond: // has its own tests: answers touch nothing that is modeled here
	case store.IssueLink, store.RevokeLink: // have their own tests too
	}
	return store.Outcome{}
}

func (m *model) subscribe(sub store.Subscription) {
	target := m.runs[sub.Target]
	switch {
	case target == nil:
		_ = m.send(store.Message{RunID: sub.RunID, Kind: store.AwaitRefused, Ref: sub.Told("")})
	case target.status.Ended():
		m.toSubscriber(sub)
	case m.reaches(sub.Target, sub.RunID):
		_ = m.send(store.Message{RunID: sub.RunID, Kind: store.AwaitRefused, Ref: sub.Told(""), Data: []byte("cycle")})
	default:
		m.unsubscribe(sub.RunID, sub.Ref)
		m.subs = append(m.subs, sub)
	}
}

// reaches reports whether a run is another one, or awaits it, or one that does.
func (m *model) reaches(from, to string) bool {
	if from == to {
		return true
	}
	return slices.ContainsFunc(m.subs, func(s store.Subscription) bool { return s.RunID == from && m.reaches(s.Target, to) })
}

// unsubscribe ends a subscription of a run, or all if ref is empty.
func (m *model) unsubscribe(run, ref string) {
	m.subs = slices.DeleteFunc(m.subs, func(s store.Subscription) bool { return s.RunID == run && (ref == "" || s.Ref == ref) })
}

func (m *model) toSubscriber(sub store.Subscription) {
	target := m.runs[sub.Target]
	kind := store.AwaitedFailed
	if target.status == store.Completed {
		kind = store.AwaitedCompleted
	}
	_ = m.send(store.Message{RunID: sub.RunID, Kind: kind, Ref: sub.Told("flow"), Data: []byte(target.events[len(target.events)-1].Data)})
}

// tellEnd tells those that await a run, in the order of their references.
func (m *model) tellEnd(run string) {
	slices.SortFunc(m.subs, func(a, b store.Subscription) int {
		return cmp.Or(cmp.Compare(a.RunID, b.RunID), cmp.Compare(a.Ref, b.Ref))
	})
	for _, s := range m.subs {
		if s.Target == run {
			m.toSubscriber(s)
		}
	}
	m.subs = slices.DeleteFunc(m.subs, func(s store.Subscription) bool { return s.Target == run })
}

// passed reports whether there is a message that the transition has not taken.
func (m *model) passed(r *modelRun, t *store.Transition, took []int, pulled map[string]int) bool {
	for i, mm := range r.mail {
		if !slices.Contains(took, i) && !slices.Contains(t.Defer, mm.Ref) {
			return true
		}
	}
	for _, h := range m.backlogs(r.id) {
		if slices.Contains(t.Admit, h.id) && len(h.backlog) > pulled[h.id] {
			return true
		}
	}
	return false
}

func (m *model) changeBacklogs(r *modelRun, t *store.Transition, pulled map[string]int) {
	for id, n := range pulled {
		h := m.hook(r.id, id)
		h.backlog = h.backlog[n:]
	}
	for _, id := range t.Defer {
		h := m.hook(r.id, id)
		of := func(mm modelMessage) bool { return mm.Kind == store.PayloadReceived && mm.Ref == id }
		if h == nil || h.deferred || !slices.ContainsFunc(r.mail, of) {
			continue
		}
		h.deferred = true
		for _, mm := range r.mail {
			if of(mm) {
				h.backlog = append(h.backlog, mm)
			}
		}
		r.mail = slices.DeleteFunc(r.mail, of)
	}
	for _, id := range t.Admit {
		if h := m.hook(r.id, id); h != nil {
			m.admit(r, h)
		}
	}
}

// admit puts what is in a backlog back into the mailbox.
func (m *model) admit(r *modelRun, h *modelHook) {
	for _, mm := range h.backlog {
		mm.Ref = h.id
		r.mail = append(r.mail, mm)
	}
	h.deferred, h.backlog = false, nil
	slices.SortStableFunc(r.mail, func(a, b modelMessage) int { return cmp.Compare(a.number, b.number) })
}

// unread is what a transition says of the journal.
func unread(t *store.Transition) (journaled []modelMessage) {
	for _, u := range t.Unread {
		journaled = append(journaled, modelMessage{Kind: u.Kind, Ref: u.Ref, Data: string(u.Data), OrStart: orStartOf(u.OrStart), Actor: u.Actor, journaled: true})
	}
	return journaled
}

// restart ends a generation and begins the next.
func (m *model) restart(r *modelRun, t *store.Transition) {
	for _, h := range m.hooks {
		if h.run == r.id && h.open && h.carried {
			h.open, h.closed = false, int64(len(r.events))
		}
	}
	m.cease(r.id)
	closed := func(mm modelMessage) bool {
		h := m.hook(r.id, mm.Ref)
		return mm.Kind == store.PayloadReceived && (h == nil || !h.open)
	}
	var left, carried []modelMessage
	for _, mm := range unread(t) {
		if closed(mm) {
			left = append(left, mm)
		} else {
			carried = append(carried, mm)
		}
	}
	if t.TookAny {
		left = m.succeed(r, left)
	}
	for _, h := range m.backlogs(r.id) {
		if !h.open {
			m.admit(r, h)
		}
	}
	r.leave(left...)
	m.messages++
	number := -1000 * m.messages
	front := []modelMessage{{Kind: store.Started, Ref: t.Restart.Start, Data: string(t.Restart.Input), Actor: t.Restart.Actor, number: number}}
	if t.Restart.Canceled {
		front = append(front, modelMessage{Kind: store.CancelRequested, number: number + 1})
	}
	waiting := map[*modelHook][]modelMessage{}
	for i, mm := range carried {
		mm.journaled, mm.number = false, number+2+i
		if h := m.hook(r.id, mm.Ref); h.deferred {
			waiting[h] = append(waiting[h], mm)
		} else {
			front = append(front, mm)
		}
	}
	for h, mail := range waiting {
		h.backlog = append(mail, h.backlog...)
	}
	for _, mm := range r.mail {
		switch {
		case mm.Kind == store.PayloadReceived && m.hook(r.id, mm.Ref) != nil && closed(mm):
			r.leave(mm)
		case mm.Kind != store.Woken && mm.Kind != store.RetryNow:
			front = append(front, mm)
		}
	}
	r.mail = front
	for _, h := range m.hooks {
		if h.run == r.id && h.open && !h.reserved {
			h.carried = true
		}
	}
	r.epoch++
	last := int64(len(r.events))
	r.over = append(r.over, store.Generation{Number: int(r.generation), Base: r.base, Last: last})
	r.generation++
	r.base = last
}

func (m *model) end(r *modelRun, t *store.Transition) {
	journaled := unread(t)
	r.worker, r.wake = "", never
	m.closeAll(r)
	if t.TookAny {
		journaled = m.succeed(r, journaled)
	}
	for _, h := range m.backlogs(r.id) {
		m.admit(r, h)
	}
	r.leave(journaled...)
	r.leave(m.drain(r)...)
}

// leave adds to what the present generation has left unread.
func (r *modelRun) leave(unread ...modelMessage) {
	for _, mm := range unread {
		mm.leftBy = int(r.generation)
		r.unread = append(r.unread, mm)
	}
}

// pruneGenerations deletes all generations that are over, unless the next one has written nothing.
func (m *model) pruneGenerations() (pruned int) {
	for _, r := range m.runs {
		for len(r.over) > 0 && r.over[0].Last < int64(len(r.events)) {
			g := r.over[0]
			r.over = r.over[1:]
			m.hooks = slices.DeleteFunc(m.hooks, func(h *modelHook) bool { return h.run == r.id && !h.open && h.closed <= g.Last })
			r.unread = slices.DeleteFunc(r.unread, func(mm modelMessage) bool { return mm.leftBy == g.Number })
			pruned++
		}
	}
	return pruned
}

// succeed starts successors, and returns what stays unread of what is in the journal.
func (m *model) succeed(r *modelRun, journaled []modelMessage) []modelMessage {
	token := func(mm modelMessage) string {
		if h := m.hook(r.id, mm.Ref); h != nil && !h.open && mm.OrStart != "" && mm.Kind == store.PayloadReceived {
			return h.token
		}
		return ""
	}
	all := slices.Concat(journaled, r.mail)
	for _, h := range m.backlogs(r.id) {
		for _, mm := range h.backlog {
			mm.Ref = h.id
			all = append(all, mm)
		}
	}
	next := map[string]*modelHook{}
	for _, mm := range all {
		tok := token(mm)
		if _, tried := next[tok]; tried || tok == "" {
			continue
		}
		next[tok] = nil
		if r := runOf(mm.OrStart); m.owner(tok) == nil && m.start(r) == nil {
			next[tok] = m.reserve(r, tok)
			next[tok].deferred = true
		}
	}
	// All that a successor gets are requests, or none.
	heir := func(mm modelMessage) *modelHook {
		if s := next[token(mm)]; s != nil && s.web == strings.HasSuffix(mm.OrStart, requested) {
			return s
		}
		return nil
	}
	// What it goes on with, and what stays.
	part := func(mail []modelMessage) (stay []modelMessage) {
		for _, mm := range mail {
			if s := heir(mm); s != nil {
				mm.Ref, mm.journaled = s.id, false
				s.backlog = append(s.backlog, mm)
			} else {
				stay = append(stay, mm)
			}
		}
		return stay
	}
	r.mail = part(r.mail)
	for _, h := range m.backlogs(r.id) {
		for i := range h.backlog {
			h.backlog[i].Ref = h.id
		}
		h.backlog = part(h.backlog)
	}
	for _, s := range next {
		if s != nil {
			slices.SortStableFunc(s.backlog, func(a, b modelMessage) int { return cmp.Compare(a.number, b.number) })
		}
	}
	// What the journal had comes in front.
	for _, s := range next {
		if s == nil {
			continue
		}
		var front []modelMessage
		for _, mm := range journaled {
			if heir(mm) == s {
				mm.Ref, mm.journaled, mm.number = s.id, false, inFront
				front = append(front, mm)
			}
		}
		s.backlog = append(front, s.backlog...)
	}
	return slices.DeleteFunc(journaled, func(mm modelMessage) bool { return heir(mm) != nil })
}

// inFront is the number of messages that came in front of others.
const inFront = -1

// drain empties a mailbox and returns what is kept of it.
func (m *model) drain(r *modelRun) []modelMessage {
	var kept []modelMessage
	for _, mm := range r.mail {
		again := !slices.Contains([]store.Kind{store.CancelRequested, store.Woken, store.Retried, store.RetryNow, store.Resumed}, mm.Kind)
		if mm.Kind == store.PayloadReceived || (r.status == store.Failed && again) {
			kept = append(kept, mm)
		}
	}
	r.mail = nil
	return kept
}

func (m *model) closeAll(r *modelRun) {
	for _, h := range m.hooks {
		if h.run == r.id && h.open {
			h.open, h.closed = false, int64(len(r.events))
		}
	}
	m.cease(r.id)
}

func (m *model) terminate(id, actor string) error {
	r := m.runs[id]
	switch {
	case r == nil:
		return store.ErrNotFound
	case r.status.Ended():
		return store.ErrFenced
	}
	r.status, r.worker, r.wake, r.mark, r.blocked, r.paused = store.Canceled, "", never, false, "", false
	r.epoch++
	r.events = append(r.events, modelMessage{Kind: store.RunCanceled, Actor: actor})
	m.closeAll(r)
	for _, h := range m.backlogs(id) {
		m.admit(r, h)
	}
	r.leave(m.drain(r)...)
	for _, c := range m.runs {
		if c.parent == id {
			_ = m.send(store.Message{RunID: c.id, Kind: store.CancelRequested})
		}
	}
	if r.parent != "" {
		_ = m.send(store.Message{RunID: r.parent, Kind: store.ChildFailed, Ref: "call#1"})
	}
	m.unsubscribe(id, "")
	m.tellEnd(id)
	return nil
}

func (m *model) retry(c store.Cut) error {
	r := m.runs[c.RunID]
	if r == nil {
		return store.ErrNotFound
	}
	if r.status != store.Failed || int64(len(r.events)) != c.Events || c.From <= max(r.base, r.forkedAt) {
		return store.ErrConflict
	}
	returned := func(h *modelHook) bool { return h.run == r.id && h.adopted && h.opened >= c.From && h.closed >= c.From }
	reopened := func(h *modelHook) bool {
		return returned(h) || h.run == r.id && h.opened < c.From && h.closed >= c.From
	}
	for _, h := range m.hooks {
		if reopened(h) && m.owner(h.token) != nil {
			return store.ErrExists
		}
	}
	for _, h := range m.hooks {
		if returned(h) {
			h.reserved, h.adopted, h.opened = r.generation == 0, false, 0
			h.carried = !h.reserved
			h.open, h.closed = true, 0
			h.listens = h.listens && h.carried
		} else if reopened(h) {
			h.open, h.closed = true, 0
		}
		if h.run == r.id && h.open && h.listens {
			m.listen(h)
		}
	}
	m.hooks = slices.DeleteFunc(m.hooks, func(h *modelHook) bool { return h.run == r.id && h.opened >= c.From })
	r.mail = nil
	for _, pos := range c.Back {
		r.mail = append(r.mail, m.number(r.events[pos-1]))
	}
	present := func(mm modelMessage) bool { return mm.leftBy == int(r.generation) }
	for _, u := range r.unread {
		if present(u) && !u.journaled {
			r.mail = append(r.mail, m.number(u))
		}
	}
	r.mail = append(r.mail, m.number(modelMessage{Kind: store.Retried, Actor: c.Actor}))
	r.events = r.events[:c.From-1]
	r.unread = slices.DeleteFunc(r.unread, present)
	r.epoch++
	r.status, r.suspicion, r.crashes, r.mark, r.blocked, r.wake = store.Running, 0, 0, false, "", never
	return nil
}

func (m *model) fork(f store.Fork) error {
	o := m.runs[f.Origin.RunID]
	if o == nil {
		return store.ErrNotFound
	}
	g := store.Generation{Number: int(o.generation), Base: o.base, Last: int64(len(o.events))}
	if i := slices.IndexFunc(o.over, func(g store.Generation) bool { return g.Number == f.Generation }); i >= 0 {
		g = o.over[i]
	}
	if f.Generation != g.Number || f.Base != g.Base || f.Origin.Position <= g.Base || f.Origin.Position > g.Last {
		return store.ErrConflict
	}
	var hooks []*modelHook
	for _, fh := range f.Hooks {
		h := *m.hook(o.id, fh.ID)
		h.run, h.open, h.closed, h.deferred, h.backlog = f.Run.ID, true, 0, false, nil
		if fh.Token != "" {
			h.token = fh.Token
		}
		h.reserved = fh.Unopened && (h.reserved || f.Generation == 0)
		h.carried = fh.Unopened && !h.reserved
		h.opened = min(h.opened, f.Origin.Position)
		if fh.Unopened {
			h.adopted, h.opened = false, 0
		}
		if m.owner(h.token) != nil {
			return store.ErrExists
		}
		hooks = append(hooks, &h)
	}
	if m.runs[f.Run.ID] != nil {
		return store.ErrExists
	}
	m.hooks = append(m.hooks, hooks...)
	for _, h := range hooks {
		if h.listens = h.listens && !h.reserved; h.listens {
			m.listen(h)
		}
	}
	r := &modelRun{
		id: f.Run.ID, status: store.Running, epoch: o.epoch, generation: int32(f.Generation), base: f.Base,
		events: slices.Clone(o.events[:f.Origin.Position]), forkedFrom: o.id, forkedAt: f.Origin.Position,
	}
	for i := range r.events {
		r.events[i].OrStart = ""
	}
	r.mail = []modelMessage{m.number(modelMessage{Kind: store.Forked, Ref: o.id, Data: string(f.Data), Actor: f.Run.Actor})}
	m.runs[r.id] = r
	return nil
}

func (m *model) unblock(id string) error {
	r := m.runs[id]
	switch {
	case r == nil:
		return store.ErrNotFound
	case r.status != store.Blocked:
		return store.ErrConflict
	}
	r.status, r.blocked, r.wake = store.Running, "", due
	return nil
}

// claimable are the runs that a worker of a build could claim, by ID.
func (m *model) claimable(worker, build string) []string {
	out := []string{}
	for _, r := range m.runs {
		switch {
		case len(r.mail) == 0 && r.wake != due, r.status.Ended(), m.stopped(r):
		case r.worker != "" && (r.worker == worker || m.live[r.worker]):
		case r.blocked != "" && r.blocked == build:
		default:
			out = append(out, r.id)
		}
	}
	slices.Sort(out)
	return out
}

// stopped reports whether a run is paused, or all are.
func (m *model) stopped(r *modelRun) bool { return (r.paused || m.paused) && !r.status.Ended() }

func (m *model) pause(id string) error {
	r := m.runs[id]
	switch {
	case r == nil:
		return store.ErrNotFound
	case r.status.Ended():
		return store.ErrFenced
	}
	r.paused = true
	return nil
}

func (m *model) resume(id, actor string) error {
	r := m.runs[id]
	switch {
	case r == nil:
		return store.ErrNotFound
	case r.status.Ended():
		return store.ErrFenced
	case r.paused:
		r.paused = false
		r.mail = append(r.mail, m.number(modelMessage{Kind: store.Resumed, Actor: actor}))
	}
	return nil
}

func (m *model) deposit(d store.Deposit) error {
	r := m.runs[d.RunID]
	switch {
	case r == nil:
		return store.ErrNotFound
	case r.epoch != d.Epoch, r.worker != "" && r.worker != d.Worker, r.status.Ended():
		return store.ErrFenced
	}
	for _, o := range d.Outcomes {
		if !slices.ContainsFunc(r.mail, func(mm modelMessage) bool {
			return mm.Ref == o.Ref && (mm.Kind == store.StepCompleted || mm.Kind == store.StepFailed || mm.Kind == store.StepRetried)
		}) {
			r.mail = append(r.mail, m.number(modelMessage{Kind: o.Kind, Ref: o.Ref, Data: string(o.Data)}))
		}
	}
	if d.Release {
		r.worker = ""
	}
	return nil
}

func (m *model) claim(id, worker string) {
	r := m.runs[id]
	if r.worker != "" {
		r.suspicion++
		if r.mark {
			r.crashes++
		}
	}
	r.mark = false
	r.worker = worker
	r.epoch++
}

func (m *model) fence(id, worker string, epoch int64) error {
	r := m.runs[id]
	switch {
	case r == nil:
		return store.ErrNotFound
	case r.epoch != epoch, r.worker != "" && r.worker != worker, r.status.Ended():
		return nil
	}
	r.worker, r.mark = worker, false
	r.epoch++
	return nil
}

func (m *model) release(worker string) {
	m.live[worker] = false
	for _, r := range m.runs {
		if r.worker == worker {
			r.worker = ""
		}
	}
}

// sorted are the runs by ID.
func (m *model) sorted() []*modelRun {
	var all []*modelRun
	for _, r := range m.runs {
		all = append(all, r)
	}
	slices.SortFunc(all, func(a, b *modelRun) int { return cmp.Compare(a.id, b.id) })
	return all
}

// String shows a run in a failure.
func (r *modelRun) String() string { return fmt.Sprintf("%+v", *r) }
