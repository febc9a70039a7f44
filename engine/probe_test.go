package engine_test

import (
	"context"
	"errors"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tenter-dev/tenter/store"
)

// probe is the store as one process sees it, on a database that others have open too.
// It counts the calls, and can be cut off, be late, be deaf, or have another clock.
type probe struct {
	store.Store
	ahead time.Duration // of the clock
	deaf  bool          // to all signals: there is an All every five seconds instead
	yield bool          // what signals name is another worker's to claim

	awaiting atomic.Int64 // calls of Await that are not done

	mu    sync.Mutex
	down  func(op string) bool // these fail
	calls map[string]int
	next  map[string]*held // what becomes of the next call of an operation
}

// held is a call that is held up.
type held struct {
	lost    bool          // it has failed already
	early   bool          // it is carried out before it is held up
	reached chan struct{} // closed when it is there
	goOn    chan struct{}
	done    chan struct{} // closed when it has been carried out
}

var (
	errDown = errors.New("injected: connection refused")
	errCut  = errors.New("injected: the connection was cut")
)

func newProbe(st store.Store) *probe {
	return &probe{Store: st, calls: map[string]int{}, next: map[string]*held{}}
}

// fail has operations fail from now on; nil: none.
func (p *probe) fail(down func(op string) bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.down = down
}

func everything(string) bool { return true }

// hold holds up the next call of an operation.
func (p *probe) hold(op string, h held) *held {
	h.reached, h.goOn, h.done = make(chan struct{}), make(chan struct{}), make(chan struct{})
	p.mu.Lock()
	defer p.mu.Unlock()
	p.next[op] = &h
	return &h
}

// lose has the next call of an operation fail; land carries it out.
func (p *probe) lose(op string) (land func()) {
	h := p.hold(op, held{lost: true})
	return sync.OnceFunc(func() {
		close(h.goOn)
		<-h.done
	})
}

// count returns how often the store was called since the last count.
func (p *probe) count() map[string]int {
	p.mu.Lock()
	defer p.mu.Unlock()
	calls := maps.Clone(p.calls)
	clear(p.calls)
	return calls
}

// ask calls an operation of the store.
func ask[T any](ctx context.Context, p *probe, op string, f func(context.Context) (T, error)) (T, error) {
	var nothing T
	p.mu.Lock()
	p.calls[op]++
	down, h := p.down != nil && p.down(op), p.next[op]
	delete(p.next, op)
	p.mu.Unlock()
	switch {
	case h == nil && down:
		return nothing, errDown
	case h == nil:
		return f(ctx)
	}
	close(h.reached)
	if h.lost {
		go func() {
			defer close(h.done)
			<-h.goOn
			_, _ = f(context.WithoutCancel(ctx))
		}()
		return nothing, errCut
	}
	defer close(h.done)
	if !h.early {
		<-h.goOn
		return f(ctx)
	}
	answer, err := f(ctx)
	<-h.goOn
	return answer, err
}

func do(ctx context.Context, p *probe, op string, f func(context.Context) error) error {
	_, err := ask(ctx, p, op, func(ctx context.Context) (struct{}, error) { return struct{}{}, f(ctx) })
	return err
}

func (p *probe) Now() time.Time { return p.Store.Now().Add(p.ahead) }

func (p *probe) Shared() bool { return true }

func (p *probe) Watch(f func(store.Signal)) (stop func()) {
	if !p.deaf {
		return p.Store.Watch(func(s store.Signal) {
			if p.yield {
				s.Yield = 1
			}
			f(s)
		})
	}
	stopped := make(chan struct{})
	go func() {
		t := time.NewTicker(5 * time.Second)
		defer t.Stop()
		for {
			select {
			case <-t.C:
				f(store.Signal{All: true})
			case <-stopped:
				return
			}
		}
	}()
	return sync.OnceFunc(func() { close(stopped) })
}

func (p *probe) Await() (done func()) {
	p.awaiting.Add(1)
	p.mu.Lock()
	p.calls["Await"]++
	p.mu.Unlock()
	stop := p.Store.Await()
	return sync.OnceFunc(func() {
		p.awaiting.Add(-1)
		stop()
	})
}

func (p *probe) Start(ctx context.Context, r store.NewRun) error {
	return do(ctx, p, "Start", func(ctx context.Context) error { return p.Store.Start(ctx, r) })
}

func (p *probe) Accept(ctx context.Context, m store.Payload) (store.Receipt, error) {
	return ask(ctx, p, "Accept", func(ctx context.Context) (store.Receipt, error) { return p.Store.Accept(ctx, m) })
}

func (p *probe) Send(ctx context.Context, m store.Message) error {
	return do(ctx, p, "Send", func(ctx context.Context) error { return p.Store.Send(ctx, m) })
}

func (p *probe) Respond(ctx context.Context, r store.Response) error {
	return do(ctx, p, "Respond", func(ctx context.Context) error { return p.Store.Respond(ctx, r) })
}

func (p *probe) Terminate(ctx context.Context, runID string, e store.Event) error {
	return do(ctx, p, "Terminate", func(ctx context.Context) error { return p.Store.Terminate(ctx, runID, e) })
}

func (p *probe) Retry(ctx context.Context, c store.Cut) (store.Hook, error) {
	return ask(ctx, p, "Retry", func(ctx context.Context) (store.Hook, error) { return p.Store.Retry(ctx, c) })
}

func (p *probe) Unblock(ctx context.Context, runID string) error {
	return do(ctx, p, "Unblock", func(ctx context.Context) error { return p.Store.Unblock(ctx, runID) })
}

func (p *probe) Load(ctx context.Context, runID string, after int64) (store.Loaded, error) {
	return ask(ctx, p, "Load", func(ctx context.Context) (store.Loaded, error) { return p.Store.Load(ctx, runID, after) })
}

func (p *probe) Backlog(ctx context.Context, runID, hookID string, after int64, limit int) (payloads []store.Message, more bool, err error) {
	payloads, err = ask(ctx, p, "Backlog", func(ctx context.Context) (payloads []store.Message, err error) {
		payloads, more, err = p.Store.Backlog(ctx, runID, hookID, after, limit)
		return payloads, err
	})
	return payloads, more, err
}

func (p *probe) Run(ctx context.Context, runID string) (store.Run, error) {
	return ask(ctx, p, "Run", func(ctx context.Context) (store.Run, error) { return p.Store.Run(ctx, runID) })
}

func (p *probe) Endings(ctx context.Context, runIDs []string) ([]store.Ending, error) {
	return ask(ctx, p, "Endings", func(ctx context.Context) ([]store.Ending, error) { return p.Store.Endings(ctx, runIDs) })
}

func (p *probe) Runs(ctx context.Context, f store.Filter) ([]store.Run, error) {
	return ask(ctx, p, "Runs", func(ctx context.Context) ([]store.Run, error) { return p.Store.Runs(ctx, f) })
}

func (p *probe) Hook(ctx context.Context, token string) (store.Hook, error) {
	return ask(ctx, p, "Hook", func(ctx context.Context) (store.Hook, error) { return p.Store.Hook(ctx, token) })
}

func (p *probe) Hooks(ctx context.Context, f store.HookFilter) ([]store.Hook, error) {
	return ask(ctx, p, "Hooks", func(ctx context.Context) ([]store.Hook, error) { return p.Store.Hooks(ctx, f) })
}

func (p *probe) Receipt(ctx context.Context, token string) (store.Receipt, error) {
	return ask(ctx, p, "Receipt", func(ctx context.Context) (store.Receipt, error) { return p.Store.Receipt(ctx, token) })
}

func (p *probe) Mailbox(ctx context.Context, runID string, limit int) ([]store.Message, error) {
	return ask(ctx, p, "Mailbox", func(ctx context.Context) ([]store.Message, error) { return p.Store.Mailbox(ctx, runID, limit) })
}

func (p *probe) Journal(ctx context.Context, runID string, after int64, limit int) ([]store.Event, error) {
	return ask(ctx, p, "Journal", func(ctx context.Context) ([]store.Event, error) { return p.Store.Journal(ctx, runID, after, limit) })
}

func (p *probe) Count(ctx context.Context, limit int) (map[store.Status]int, error) {
	return ask(ctx, p, "Count", func(ctx context.Context) (map[store.Status]int, error) { return p.Store.Count(ctx, limit) })
}

func (p *probe) Workers(ctx context.Context) ([]store.WorkerInfo, error) {
	return ask(ctx, p, "Workers", p.Store.Workers)
}

func (p *probe) Response(ctx context.Context, request string) (store.Response, error) {
	return ask(ctx, p, "Response", func(ctx context.Context) (store.Response, error) { return p.Store.Response(ctx, request) })
}

func (p *probe) Resync(ctx context.Context, s store.Signal) (store.Signal, error) {
	return ask(ctx, p, "Resync", func(ctx context.Context) (store.Signal, error) { return p.Store.Resync(ctx, s) })
}

func (p *probe) Renew(ctx context.Context, l store.Lease) error {
	return do(ctx, p, "Renew", func(ctx context.Context) error { return p.Store.Renew(ctx, l) })
}

func (p *probe) Release(ctx context.Context, worker string) error {
	return do(ctx, p, "Release", func(ctx context.Context) error { return p.Store.Release(ctx, worker) })
}

func (p *probe) Claim(ctx context.Context, c store.Claim) (store.Claimed, error) {
	return ask(ctx, p, "Claim", func(ctx context.Context) (store.Claimed, error) { return p.Store.Claim(ctx, c) })
}

func (p *probe) Apply(ctx context.Context, t *store.Transition) ([]store.Outcome, error) {
	return ask(ctx, p, "Apply", func(ctx context.Context) ([]store.Outcome, error) { return p.Store.Apply(ctx, t) })
}

func (p *probe) Fence(ctx context.Context, runID, worker string, epoch int64) (store.Loaded, error) {
	return ask(ctx, p, "Fence", func(ctx context.Context) (store.Loaded, error) { return p.Store.Fence(ctx, runID, worker, epoch) })
}

// writes are the operations that need space on a disk.
func writes(op string) bool {
	return slices.Contains([]string{
		"Start", "Accept", "Send", "Respond", "Terminate", "Retry", "Unblock", "Renew", "Release", "Claim", "Apply", "Fence",
	}, op)
}
