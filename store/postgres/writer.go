package postgres

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/tenter-dev/tenter/store"
)

const (
	// maxBatch bounds a batch, and with it what one statement that fails costs the
	// others.
	maxBatch = 256

	// lanes is how many batches are under way at a time: while one syncs, the next
	// is carried out.
	lanes = 2

	// maxAlone bounds the operations that wait for locks of others, so that
	// connections are left for the rest.
	maxAlone = 4
)

// writer carries out operations in batches. Whatever has arrived while the last
// batch was committing goes into the next, in one round trip and one commit;
// nothing waits for others to come.
type writer struct {
	s     *Store
	wake  chan struct{}   // for each operation, as far as lanes are idle
	alone chan struct{}   // holds what may be carried out alone at a time
	ctx   context.Context //nolint:containedctx // of the operations under way; it ends when the store is closed

	mu     sync.Mutex
	queue  []*op
	closed bool
	idle   sync.Cond // nothing is queued or under way
	busy   int       // operations that are
}

// op is an operation that somebody waits for.
type op struct {
	kind opKind
	arg  any             // what the kind says
	ctx  context.Context //nolint:containedctx // of the caller

	taken    atomic.Bool // by a batch, or by the caller that gave up
	outcomes []store.Outcome
	receipt  store.Receipt
	err      error
	done     chan struct{}
}

type opKind int

// The kinds of operations, in the order in which a batch carries them out.
const (
	opApply   opKind = iota // *store.Transition
	opAccept                // *store.Payload
	opStart                 // *store.NewRun
	opSend                  // *store.Message
	opRespond               // *store.Response
)

// batchers put operations of one kind into a batch, as one statement. They note what
// is to be told when it is committed.
var batchers = [...]func(s *Store, b *pgx.Batch, mode string, ops []*op, told *store.Signal){
	opApply:   (*Store).applyAll,
	opAccept:  (*Store).acceptAll,
	opStart:   (*Store).startAll,
	opSend:    (*Store).sendAll,
	opRespond: (*Store).respondAll,
}

func newWriter(s *Store) *writer {
	w := &writer{s: s, wake: make(chan struct{}, lanes), alone: make(chan struct{}, maxAlone)}
	w.idle.L = &w.mu
	return w
}

func (w *writer) start(ctx context.Context, tasks *sync.WaitGroup) {
	w.ctx = ctx
	for range lanes {
		tasks.Go(w.lane)
	}
	tasks.Go(w.purge)
}

// close waits until everything that was queued is carried out.
func (w *writer) close() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.closed = true
	for w.busy > 0 {
		w.idle.Wait()
	}
}

// do has an operation carried out. A caller that gives up before it is begun gets
// its context's error, and nothing is written; after that the outcome is unknown.
func (w *writer) do(o *op) error {
	if err := o.ctx.Err(); err != nil {
		return err
	}
	o.done = make(chan struct{})
	w.mu.Lock()
	if w.closed {
		w.mu.Unlock()
		return store.ErrClosed
	}
	w.busy++
	w.queue = append(w.queue, o)
	w.mu.Unlock()
	select {
	case w.wake <- struct{}{}:
	default:
	}
	select {
	case <-o.done:
		return o.err
	case <-o.ctx.Done():
		if o.taken.CompareAndSwap(false, true) {
			w.finished(1)
			return o.ctx.Err()
		}
		// Not wrapped: the error of a context that has ended says that nothing was written.
		return fmt.Errorf("write to database %s: the outcome is unknown: %s", w.s.name, o.ctx.Err().Error())
	}
}

// finished counts operations that are over.
func (w *writer) finished(n int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.busy -= n; w.busy == 0 {
		w.idle.Broadcast()
	}
}

// lane carries out one batch after the other.
func (w *writer) lane() {
	for {
		batch := w.take()
		if len(batch) == 0 {
			select {
			case <-w.wake:
				continue
			case <-w.ctx.Done():
				return
			}
		}
		w.carryOut(batch)
	}
}

// take takes up what is queued, a run's transitions one at a time.
func (w *writer) take() []*op {
	w.mu.Lock()
	defer w.mu.Unlock()
	var batch, rest []*op
	var runs map[string]bool
	for i, o := range w.queue {
		if len(batch) == maxBatch {
			rest = append(rest, w.queue[i:]...)
			break
		}
		if o.kind == opApply && len(w.queue) > 1 {
			if runs == nil {
				runs = make(map[string]bool, len(w.queue))
			}
			id := o.arg.(*store.Transition).RunID
			if runs[id] {
				rest = append(rest, o)
				continue
			}
			runs[id] = true
		}
		if o.taken.CompareAndSwap(false, true) {
			batch = append(batch, o)
		}
	}
	w.queue = rest
	if len(rest) > 0 {
		select {
		case w.wake <- struct{}{}:
		default:
		}
	}
	return batch
}

// carryOut carries out a batch. What cannot be done together is done alone, so that
// one operation never touches its neighbors.
func (w *writer) carryOut(batch []*op) {
	err := w.commit(w.ctx, inBatch, batch)
	var done []*op
	for _, o := range batch {
		if err != nil {
			o.err = err
		}
		if passing(o.err) || len(batch) > 1 && separable(o.err) {
			w.s.stats.alone.Add(1)
			go w.carryOutAlone(o)
			continue
		}
		done = append(done, o)
	}
	w.answer(done)
}

// carryOutAlone carries out an operation that is in the way of another transaction,
// which may be one of the application's that lasts.
func (w *writer) carryOutAlone(o *op) {
	defer w.answer([]*op{o})
	select {
	case w.alone <- struct{}{}:
		defer func() { <-w.alone }()
	case <-o.ctx.Done():
		o.err = o.ctx.Err()
		return
	}
	for pause := time.Millisecond; ; pause = min(2*pause, 100*time.Millisecond) {
		if err := w.commit(w.ctx, alone, []*op{o}); err != nil {
			o.err = err
		}
		if !passing(o.err) {
			return
		}
		select {
		case <-time.After(pause):
		case <-o.ctx.Done():
			o.err = fmt.Errorf("write to database %s: nothing was written, another transaction has a lock on the run or the token: %w", w.s.name, o.ctx.Err())
			return
		case <-w.ctx.Done():
			o.err = store.ErrClosed
			return
		}
	}
}

// answer tells the callers.
func (w *writer) answer(ops []*op) {
	for _, o := range ops {
		close(o.done)
	}
	w.finished(len(ops))
}

// commit carries out operations in one transaction and one round trip. The error is
// one that all of them share; each has its own otherwise.
func (w *writer) commit(ctx context.Context, mode string, ops []*op) error {
	var kinds [len(batchers)][]*op
	for _, o := range ops {
		o.err = nil
		kinds[o.kind] = append(kinds[o.kind], o)
	}
	var told store.Signal
	var b pgx.Batch // without BEGIN: what is sent together is one transaction
	for kind, ops := range kinds {
		if len(ops) > 0 {
			batchers[kind](w.s, &b, mode, ops, &told)
		}
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	if err := w.s.pool.SendBatch(ctx, &b).Close(); err != nil {
		return fmt.Errorf("write to database %s: %w", w.s.name, err)
	}
	w.s.stats.commits.Add(1)
	w.s.stats.statements.Add(int64(b.Len()))
	w.s.stats.operations.Add(int64(len(ops)))
	w.s.tell(told)
	return nil
}

// purge deletes receipts and responses that have expired, now and then.
func (w *writer) purge() {
	const few = 1000
	tick := time.NewTicker(time.Minute)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
		case <-w.ctx.Done():
			return
		}
		for _, q := range []string{w.s.sql.purgeReceipts, w.s.sql.purgeAnswers} {
			for {
				tag, err := w.s.pool.Exec(w.ctx, q, few)
				if err != nil && !errors.Is(err, context.Canceled) {
					w.s.opts.Logger.Warn("delete what has expired", "database", w.s.name, "error", err)
				}
				if err != nil || tag.RowsAffected() < few {
					break
				}
			}
		}
	}
}

// args are the arguments of operations of one kind, as their function takes them.
func args[A, T any](ops []*op, f func(A) T) []T {
	all := make([]T, len(ops))
	for i, o := range ops {
		all[i] = f(o.arg.(A))
	}
	return all
}

// answers reads the answer of a function to each of the operations of one kind: a
// code, if it is refused. then is called for those that are not.
func answers(ops []*op, then func(*op)) func(pgx.Rows) error {
	return func(rows pgx.Rows) error {
		for i := 0; rows.Next(); i++ {
			var code *string
			if err := rows.Scan(&code); err != nil {
				return err
			}
			if ops[i].err = refusal(code); ops[i].err == nil {
				then(ops[i])
			}
		}
		return rows.Err()
	}
}
