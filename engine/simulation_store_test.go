package engine_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/tenter-dev/tenter/store"
)

var (
	errBefore = errors.New("injected: nothing was written")
	errAfter  = errors.New("injected: the answer got lost")
	errLate   = errors.New("injected: it is carried out later")
	errDead   = errors.New("injected: the process is gone")
)

// fault is what happens to an operation.
type fault struct {
	mishap
	d    time.Duration
	only access // the kind of operations that it waits for
}

type mishap string

const (
	none      mishap = "none"
	before    mishap = "before"             // it fails, and has not been carried out
	after     mishap = "after"              // it is carried out, and its answer gets lost
	lateBy    mishap = "late by"            // it fails, and is carried out after d
	slow      mishap = "slow by"            // it is carried out after d
	tardy     mishap = "answered by"        // it is carried out, and answered after d
	dieBefore mishap = "die before"         // the process dies before it is carried out
	dieAfter  mishap = "die after"          // the process dies once it is carried out
	stall     mishap = "stand still before" // the process does, before it is carried out, for d
	halt      mishap = "stand still after"  // the process does, once it is carried out, for d
)

const latest = 5 * time.Minute

func (f fault) String() string {
	s := string(f.mishap)
	if f.d > 0 {
		s += " " + f.d.String()
	}
	if f.only != anything {
		s += fmt.Sprintf(" (%s)", f.only)
	}
	return s
}

// faultyStore is the store as one node sees it: operations fail, answers get lost or
// come late, and once the node has crashed nothing happens any more.
type faultyStore struct {
	store.Store
	w     *world
	node  int
	build int // of the node's code

	mu      sync.Mutex
	dead    bool
	worker  string         // ID of the node's last one
	renewed time.Time      // when its last successful renewal was sent
	cutTo   time.Time      // no connection until then
	thaws   time.Time      // the process stands still until then
	faults  []fault        // of the operations to come
	told    map[string]int // how often runs had mail
}

func (s *faultyStore) crash() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.dead = true
}

func (s *faultyStore) crashed() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.dead
}

func (s *faultyStore) heal() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.cutTo, s.faults = time.Time{}, nil
}

// freeze has the process stand still.
func (s *faultyStore) freeze(d time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.thaws = time.Now().Add(d)
}

// stand stands still while the process is frozen.
func (s *faultyStore) stand(name string) {
	for {
		s.mu.Lock()
		left := time.Until(s.thaws)
		s.mu.Unlock()
		if left <= 0 {
			return
		}
		s.wait(left, name)
	}
}

// leased returns the node's worker, and how old its last renewal is.
func (s *faultyStore) leased() (worker string, age time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.worker, time.Since(s.renewed)
}

// access is what an operation does.
type access string

const (
	anything   access = ""
	reading    access = "a read"
	writing    access = "a write"
	transition access = "a transition" // that a worker may be in doubt about
	appTx      access = "a transaction of the application"
)

// next returns the fault of an operation that begins: the first that fits it.
func (s *faultyStore) next(kind access) fault {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.dead || time.Now().Before(s.cutTo) {
		return fault{mishap: before}
	}
	i := slices.IndexFunc(s.faults, func(f fault) bool {
		if kind == reading && !slices.Contains([]mishap{none, before, slow, tardy, stall, halt}, f.mishap) {
			return false
		}
		return f.only == anything || f.only == kind
	})
	if i < 0 {
		return fault{mishap: none}
	}
	f := s.faults[i]
	s.faults = slices.Delete(s.faults, i, i+1)
	return f
}

// do carries out an operation, or not, or later. Whatever happens after time has passed
// waits for its turn, lest chance decides who comes first.
func (s *faultyStore) do(ctx context.Context, kind access, what string, op func(context.Context) error) (err error) {
	name := fmt.Sprintf("%d %s", s.node, what)
	if call, ok := ctx.Value(callKey{}).(int); ok {
		name += fmt.Sprintf(" for call %d", call)
	}
	s.w.turns.take(name)
	s.w.turns.pause(s.w.pace, name)
	s.stand(name)
	f := s.next(kind)
	s.w.tell("node %s: %v", name, f)
	defer func() {
		s.stand(name)
		if s.crashed() {
			err = errDead
		}
		s.w.tell("node %s: %v", name, outcome(err))
	}()
	switch f.mishap {
	case before:
		return errBefore
	case lateBy:
		time.AfterFunc(f.d, func() {
			s.w.turns.take("late " + name)
			err := op(context.WithoutCancel(ctx))
			s.w.tell("node %s, late: %v", name, outcome(err))
		})
		return errLate
	case slow:
		s.wait(f.d, name)
	case stall:
		s.freeze(f.d)
		s.stand(name)
	case dieBefore:
		s.w.dies(s)
		return errDead
	case none, after, tardy, dieAfter, halt:
	}
	if s.crashed() {
		return errDead
	}
	err = op(ctx)
	switch f.mishap {
	case after:
		return errAfter
	case tardy:
		s.wait(f.d, name)
	case dieAfter:
		s.w.dies(s)
	case halt:
		s.freeze(f.d)
	case none, before, lateBy, slow, stall, dieBefore:
	}
	return err
}

// callKey is of the number of a call, in contexts.
type callKey struct{}

// wait lets time pass for what goes by a name.
func (s *faultyStore) wait(d time.Duration, name string) {
	advance(d)
	s.w.turns.take(name)
}

// outcome is an error as the trace shows it.
func outcome(err error) string {
	for _, known := range []error{
		store.ErrNotFound, store.ErrExists, store.ErrConflict, store.ErrFenced, store.ErrPaused, store.ErrMismatch, store.ErrClosed,
		errBefore, errAfter, errLate, errDead, context.Canceled, context.DeadlineExceeded,
	} {
		if errors.Is(err, known) {
			return known.Error()
		}
	}
	if err != nil {
		return err.Error()
	}
	return "done"
}

// try is do for operations with an answer, which a fault takes away.
func try[T any](ctx context.Context, s *faultyStore, kind access, name string, op func(context.Context) (T, error)) (T, error) {
	var answer T
	err := s.do(ctx, kind, name, func(ctx context.Context) error {
		a, err := op(ctx)
		answer = a
		return err
	})
	if errors.Is(err, errBefore) || errors.Is(err, errAfter) || errors.Is(err, errDead) || errors.Is(err, errLate) {
		var nothing T
		return nothing, err
	}
	return answer, err
}

// Shared reports whether other nodes may write, or what is late.
func (s *faultyStore) Shared() bool { return s.w.shared }

// Watch passes signals on late, and with an order of the nodes for each run, if the scenario has it
// so.
func (s *faultyStore) Watch(f func(store.Signal)) (stop func()) {
	return s.Store.Watch(func(sig store.Signal) {
		if s.w.lag == 0 {
			s.ordered(sig, f)
			return
		}
		time.AfterFunc(s.w.lag, func() {
			s.w.turns.take(fmt.Sprintf("%d signal %v", s.node, sig))
			s.ordered(sig, f)
		})
	})
}

// ordered says of each run with mail whether this node comes first for it. The order is another one
// each time that the run has mail, so that runs go from node to node.
func (s *faultyStore) ordered(sig store.Signal, f func(store.Signal)) {
	if !s.w.ordered || len(sig.Mail) == 0 {
		f(sig)
		return
	}
	rest := sig
	rest.Mail = nil
	f(rest)
	for _, id := range sig.Mail {
		s.mu.Lock()
		if s.told == nil {
			s.told = map[string]int{}
		}
		s.told[id]++
		yield := (s.node + s.told[id]) % 2
		s.mu.Unlock()
		f(store.Signal{Mail: []string{id}, Yield: yield})
	}
}

// Within is for transactions of the application.
func (s *faultyStore) Within(tx store.Tx) (store.Joined, error) { return s.w.db.Within(tx) }

func (s *faultyStore) Start(ctx context.Context, r store.NewRun) error {
	return s.do(ctx, writing, "start "+r.ID, func(ctx context.Context) error { return s.Store.Start(ctx, r) })
}

func (s *faultyStore) Accept(ctx context.Context, p store.Payload) (store.Receipt, error) {
	return try(ctx, s, writing, fmt.Sprintf("accept %d", number(p.Data)), func(ctx context.Context) (store.Receipt, error) { return s.Store.Accept(ctx, p) })
}

func (s *faultyStore) Publish(ctx context.Context, p store.Publication) (store.Published, error) {
	return try(ctx, s, writing, fmt.Sprintf("publish %d", number(p.Data)), func(ctx context.Context) (store.Published, error) {
		begin := s.w.now()
		done, err := s.Store.Publish(ctx, p)
		if err == nil {
			s.w.isPublished(begin, &p, done)
		}
		return done, err
	})
}

func (s *faultyStore) TellListeners(ctx context.Context, atOnce int) (told int, more bool, err error) {
	err = s.do(ctx, writing, "tell listeners", func(ctx context.Context) (err error) {
		told, more, err = s.Store.TellListeners(ctx, atOnce)
		return err
	})
	return told, more, err
}

func (s *faultyStore) Send(ctx context.Context, m store.Message) error {
	return s.do(ctx, writing, fmt.Sprintf("send %s %s", m.RunID, m.Kind), func(ctx context.Context) error { return s.Store.Send(ctx, m) })
}

func (s *faultyStore) Respond(ctx context.Context, r store.Response) error {
	return s.do(ctx, writing, "respond "+r.Responder, func(ctx context.Context) error { return s.Store.Respond(ctx, r) })
}

func (s *faultyStore) Terminate(ctx context.Context, runID string, e store.Event) error {
	return s.do(ctx, writing, "terminate "+runID, func(ctx context.Context) error {
		begin := s.w.now()
		err := s.Store.Terminate(ctx, runID, e)
		if err == nil {
			s.w.noneListens(begin, runID)
			s.w.note(func() { s.w.ended[runID] = time.Now() })
			s.w.endIsTold(runID)
		}
		return err
	})
}

func (s *faultyStore) Retry(ctx context.Context, c store.Cut) (store.Hook, error) {
	return try(ctx, s, writing, "retry "+c.RunID, func(ctx context.Context) (store.Hook, error) {
		h, err := s.Store.Retry(ctx, c)
		if err == nil {
			s.w.note(func() { s.w.retried[c.RunID] = true })
		}
		return h, err
	})
}

func (s *faultyStore) Fork(ctx context.Context, f store.Fork) (store.Hook, error) {
	return try(ctx, s, writing, "fork "+f.Origin.RunID, func(ctx context.Context) (store.Hook, error) { return s.Store.Fork(ctx, f) })
}

func (s *faultyStore) Pause(ctx context.Context, runID string, p store.Pause) error {
	return s.do(ctx, writing, "pause "+runID, func(ctx context.Context) error {
		return s.w.pauseBegins(runID, func() error { return s.Store.Pause(ctx, runID, p) })
	})
}

func (s *faultyStore) Resume(ctx context.Context, runID, actor string) error {
	return s.do(ctx, writing, "resume "+runID, func(ctx context.Context) error {
		s.w.pauseEnds(runID)
		return s.Store.Resume(ctx, runID, actor)
	})
}

func (s *faultyStore) PauseWorkflow(ctx context.Context, name string, p store.Pause) error {
	return s.do(ctx, writing, "pause all", func(ctx context.Context) error {
		return s.w.pauseBegins("", func() error { return s.Store.PauseWorkflow(ctx, name, p) })
	})
}

func (s *faultyStore) ResumeWorkflow(ctx context.Context, name string) error {
	return s.do(ctx, writing, "resume all", func(ctx context.Context) error {
		s.w.pauseEnds("")
		return s.Store.ResumeWorkflow(ctx, name)
	})
}

func (s *faultyStore) Deposit(ctx context.Context, d store.Deposit) error {
	return s.do(ctx, transition, fmt.Sprintf("deposit %s %d", d.RunID, d.Epoch), func(ctx context.Context) error {
		err := s.Store.Deposit(ctx, d)
		if err == nil && d.Release {
			s.w.outcomesWait(s, &d)
		}
		return err
	})
}

func (s *faultyStore) Unblock(ctx context.Context, runID string) error {
	return s.do(ctx, writing, "unblock "+runID, func(ctx context.Context) error { return s.Store.Unblock(ctx, runID) })
}

func (s *faultyStore) Backlog(ctx context.Context, runID, hookID string, after int64, limit int) (payloads []store.Message, more bool, err error) {
	payloads, err = try(ctx, s, reading, "backlog of "+runID, func(ctx context.Context) (payloads []store.Message, err error) {
		payloads, more, err = s.Store.Backlog(ctx, runID, hookID, after, limit)
		return payloads, err
	})
	return payloads, more, err
}

func (s *faultyStore) Answer(ctx context.Context, a store.Answer) (store.Link, error) {
	return try(ctx, s, writing, fmt.Sprintf("answer %d", number(a.Data)), func(ctx context.Context) (store.Link, error) { return s.Store.Answer(ctx, a) })
}

func (s *faultyStore) RevokeLink(ctx context.Context, id, actor string) error {
	return s.do(ctx, writing, "revoke a link", func(ctx context.Context) error { return s.Store.RevokeLink(ctx, id, actor) })
}

func (s *faultyStore) Link(ctx context.Context, id string) (store.Link, error) {
	return try(ctx, s, reading, "link", func(ctx context.Context) (store.Link, error) { return s.Store.Link(ctx, id) })
}

func (s *faultyStore) Load(ctx context.Context, runID string, after int64) (store.Loaded, error) {
	return try(ctx, s, reading, "load "+runID, func(ctx context.Context) (store.Loaded, error) { return s.Store.Load(ctx, runID, after) })
}

func (s *faultyStore) Run(ctx context.Context, runID string) (store.Run, error) {
	return try(ctx, s, reading, "run "+runID, func(ctx context.Context) (store.Run, error) { return s.Store.Run(ctx, runID) })
}

func (s *faultyStore) Endings(ctx context.Context, runIDs []string) ([]store.Ending, error) {
	return try(ctx, s, reading, "endings", func(ctx context.Context) ([]store.Ending, error) { return s.Store.Endings(ctx, runIDs) })
}

func (s *faultyStore) Hook(ctx context.Context, token string) (store.Hook, error) {
	return try(ctx, s, reading, "hook", func(ctx context.Context) (store.Hook, error) { return s.Store.Hook(ctx, token) })
}

func (s *faultyStore) Receipt(ctx context.Context, token string) (store.Receipt, error) {
	return try(ctx, s, reading, "receipt", func(ctx context.Context) (store.Receipt, error) { return s.Store.Receipt(ctx, token) })
}

func (s *faultyStore) Response(ctx context.Context, request string) (store.Response, error) {
	return try(ctx, s, reading, "response", func(ctx context.Context) (store.Response, error) { return s.Store.Response(ctx, request) })
}

func (s *faultyStore) Resync(ctx context.Context, sig store.Signal) (store.Signal, error) {
	return try(ctx, s, reading, "resync", func(ctx context.Context) (store.Signal, error) { return s.Store.Resync(ctx, sig) })
}

func (s *faultyStore) Renew(ctx context.Context, l store.Lease) error {
	sent := time.Now()
	err := s.do(ctx, writing, "renew", func(ctx context.Context) error { return s.Store.Renew(ctx, l) })
	s.mu.Lock()
	defer s.mu.Unlock()
	s.worker = l.Worker
	if err == nil {
		s.renewed = sent
	}
	return err
}

func (s *faultyStore) Release(ctx context.Context, worker string) error {
	return s.do(ctx, writing, "release", func(ctx context.Context) error { return s.Store.Release(ctx, worker) })
}

func (s *faultyStore) Claim(ctx context.Context, c store.Claim) (store.Claimed, error) {
	return try(ctx, s, writing, "claim", func(ctx context.Context) (store.Claimed, error) {
		got, err := s.Store.Claim(ctx, c)
		for _, r := range got.Runs {
			s.w.owns(r.ID, r.Epoch)
		}
		return got, err
	})
}

func (s *faultyStore) Apply(ctx context.Context, t *store.Transition) ([]store.Outcome, error) {
	return try(ctx, s, transition, fmt.Sprintf("apply %s %d.%d", t.RunID, t.Epoch, t.After), func(ctx context.Context) ([]store.Outcome, error) {
		begin, pauses := s.w.now(), s.w.pausesOf(t.RunID)
		var before []store.Hook
		if t.Restart != nil {
			before, _ = s.w.db.Hooks(ctx, store.HookFilter{RunID: t.RunID, Limit: 1000})
		}
		out, err := s.Store.Apply(ctx, t)
		if err == nil {
			if t.Restart != nil {
				s.w.owns(t.RunID, t.Epoch+1)
				s.w.restartKeepsHooks(t, before)
			}
			if t.Claim {
				s.w.owns(t.RunID, t.Epoch)
			}
			s.w.applied(begin, t, out, s.build)
			s.w.listens(begin, t, out)
			if t.Status.Ended() {
				s.w.endIsTold(t.RunID)
			}
			s.w.nothingGoesOnWhilePaused(t, pauses)
			s.w.noMessageWasPassed(t)
		}
		return out, err
	})
}

func (s *faultyStore) Fence(ctx context.Context, runID, worker string, epoch int64) (store.Loaded, error) {
	return try(ctx, s, writing, fmt.Sprintf("fence %s %d", runID, epoch), func(ctx context.Context) (store.Loaded, error) {
		l, err := s.Store.Fence(ctx, runID, worker, epoch)
		if err == nil {
			s.w.owns(runID, l.Run.Epoch)
		}
		return l, err
	})
}

// owns notes that a run has an epoch by now.
func (w *world) owns(runID string, epoch int64) {
	at := w.now()
	w.note(func() { w.epochs[runID] = append(w.epochs[runID], since{epoch, at}) })
}

// since is when an epoch was seen, in ticks.
type since struct {
	epoch int64
	tick  int
}

// applied remembers what a transition has done.
func (w *world) applied(begin int, t *store.Transition, out []store.Outcome, build int) {
	now := time.Now()
	w.note(func() {
		w.notFenced(begin, t)
		for i, e := range t.Events {
			if e.At.After(now) {
				w.problem("run %s: event %d (%s) is of %v, and was committed at %v already", t.RunID, t.After+int64(i)+1, e.Kind, e.At, now)
			}
			w.commits[commit{t.RunID, t.After + int64(i) + 1}] = now
			w.builds[commit{t.RunID, t.After + int64(i) + 1}] = build
		}
		for i, e := range t.Effects {
			if e.Kind == store.OpenHook && out[i].Conflict == "" {
				w.claimed[out[i].HookID] = true
			}
		}
		if t.Status.Ended() {
			w.ended[t.RunID] = now
		}
	})
}

// commit names an event.
type commit struct {
	run      string
	position int64
}

// note changes what the world remembers.
func (w *world) note(f func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	f()
}

// problem is called within note.
func (w *world) problem(format string, args ...any) {
	if w.forking {
		return // what is promised of forks is checked at the end
	}
	w.problems = append(w.problems, fmt.Sprintf(format, args...))
}
