package postgres

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/tenter-dev/tenter/store"
)

const (
	// maxBatch and maxBytes bound a batch, and with it what one statement that fails
	// costs the others. What is larger than maxBytes goes by itself.
	maxBatch = 256
	maxBytes = 4 << 20

	// committers is how many batches are under way at a time: while one syncs, the next
	// is carried out.
	committers = 2

	// minConcurrent is how many operations at least have to wait for a committer to begin a batch
	// while another is under way: small batches cost the server more than they gain.
	minConcurrent = 16

	// slowBatch is how long a batch may take until the other committer no longer waits for the
	// callers that it holds up.
	slowBatch = 50 * time.Millisecond

	// maxAlone bounds the operations that are carried out alone at a time, so that
	// connections are left for the rest.
	maxAlone = 4

	// maxPause is how long it takes at most until an operation that somebody else's
	// lock is in the way of is tried again.
	maxPause = 128 * time.Millisecond

	// maxDoublings is how often the time to wait for an answer is doubled, while none comes. Where
	// commits wait for a synchronous standby, each connection that is given up goes on to wait on
	// the server, which has only so many.
	maxDoublings = 4

	// lastTries is how often that is done while the store is being closed.
	lastTries = 5
)

// writer carries out operations in batches. Whatever has arrived while the last
// batch was committing goes into the next, in one round trip and one commit.
type writer struct {
	s     *Store
	wake  chan struct{}   // for a committer that may begin a batch, as far as committers are idle
	alone chan struct{}   // holds what is carried out alone
	ctx   context.Context //nolint:containedctx // of the operations under way; it ends when the store is closed

	unanswered atomic.Int32 // batches in a row

	mu        sync.Mutex
	queue     []*op
	active    int              // committers that have a batch under way
	inBatches int              // operations in these
	slow      int              // committers whose batch is slow
	underway  map[string][]*op // for each key of a batch under way what waits for it, so that no committer is in the way of another
	delay     commitDelay
	closed    bool
	idle      sync.Cond // nothing is queued or under way
	busy      int       // operations that are
}

// op is an operation that somebody waits for.
type op struct {
	kind opKind
	arg  any             // what the kind says
	ctx  context.Context //nolint:containedctx // of the caller
	keys []string        // what it locks, as far as is known
	size int             // of its data

	tries    int         // without success, because somebody else had a lock
	taken    atomic.Bool // by a batch, or by the caller that gave up
	outcomes []store.Outcome
	receipt  store.Receipt
	err      error
	done     chan struct{}
}

func runKey(id string) string       { return "run " + id }
func tokenKey(token string) string  { return "token " + token }
func topicKey(h *store.Hook) string { return "topic " + h.Type + " " + h.Subject }

type opKind int

// The kinds of operations, in the order in which a batch carries them out.
const (
	opApply   opKind = iota // *store.Transition
	opAccept                // *store.Payload
	opStart                 // *store.NewRun
	opSend                  // *store.Message
	opRespond               // *store.Response
)

// batchers put operations of one kind into a request, as one statement.
var batchers = [...]func(s *Store, r *request, ops []*op){
	opApply:   (*Store).applyAll,
	opAccept:  (*Store).acceptAll,
	opStart:   (*Store).startAll,
	opSend:    (*Store).sendAll,
	opRespond: (*Store).respondAll,
}

func newWriter(s *Store) *writer {
	w := &writer{
		s: s, wake: make(chan struct{}, committers), alone: make(chan struct{}, maxAlone),
		underway: make(map[string][]*op),
	}
	w.idle.L = &w.mu
	w.delay.reached = make(chan struct{}, 2)
	return w
}

func (w *writer) start(ctx context.Context, tasks *sync.WaitGroup) {
	w.ctx = ctx
	for range committers {
		tasks.Go(w.commitLoop)
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

// do carries out an operation. A caller that gives up before it is begun gets
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
	w.mu.Unlock()
	w.enqueue(o)
	select {
	case <-o.done:
		return o.err
	case <-o.ctx.Done():
		if !o.taken.CompareAndSwap(false, true) {
			// Not wrapped: the error of a context that has ended says that nothing was written.
			return fmt.Errorf("write to database %s: the outcome is unknown: %s", w.s.name, o.ctx.Err().Error())
		}
		defer w.finished(1)
		if o.tries > 0 {
			return o.locked()
		}
		return o.ctx.Err()
	}
}

// enqueue lets a committer have an operation.
func (w *writer) enqueue(o *op) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.queue = append(w.queue, o)
	if awaited := w.delay.queued(len(w.queue)); !awaited && w.ready() {
		w.wakeCommitter()
	}
}

// ready reports whether a committer may begin a batch. Few operations are left to the committer
// that is active, which takes them up next, with what comes until then, and all to one that
// delays its commit.
func (w *writer) ready() bool {
	return w.delay.want == 0 && (w.active == 0 || w.slow > 0 || len(w.queue) >= max(minConcurrent, w.delay.batchSize()))
}

// countSlow notes that the batch of a committer is slow, or that it is over (-1).
func (w *writer) countSlow(n int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.slow += n
	if w.ready() {
		w.wakeCommitter()
	}
}

// wakeCommitter has an idle committer look at the queue.
func (w *writer) wakeCommitter() {
	select {
	case w.wake <- struct{}{}:
	default:
	}
}

// gather returns how long what has been committed may wait for what will be committed next, to be
// announced to others together.
func (w *writer) gather() time.Duration {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.delay.callers < commitSiblings {
		return 0
	}
	return min(time.Duration(w.delay.callers)*gather, maxGather)
}

// finished counts operations that are over.
func (w *writer) finished(n int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.busy -= n; w.busy == 0 {
		w.idle.Broadcast()
	}
}

// commitLoop carries out one batch after the other.
func (w *writer) commitLoop() {
	for {
		batch := w.next()
		if len(batch) == 0 {
			select {
			case <-w.wake:
				continue
			case <-w.ctx.Done():
				return
			}
		}
		began, alarm := time.Now(), time.AfterFunc(slowBatch, func() { w.countSlow(1) })
		all := w.commitBatch(batch)
		if !alarm.Stop() {
			w.countSlow(-1)
		}
		w.delayCommit(len(batch), all, time.Since(began))
	}
}

// next takes up a batch for a committer.
func (w *writer) next() []*op {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.ready() {
		return nil
	}
	batch := w.take()
	if len(batch) > 0 {
		w.active++
		w.inBatches += len(batch)
	}
	return batch
}

// take takes up what is queued, except for what locks the same as a batch under way,
// and a run's transitions one at a time.
func (w *writer) take() []*op {
	var batch, next []*op
	size := 0
	runs := make(map[string]bool)
	queue := w.queue
	w.queue = nil
	for i, o := range queue {
		if len(batch) == maxBatch || size > 0 && size+o.size > maxBytes {
			w.queue = queue[i:]
			w.wakeCommitter()
			break
		}
		if w.waitBehind(o) {
			continue
		}
		if o.kind == opApply && runs[o.keys[0]] {
			next = append(next, o)
			continue
		}
		if !o.taken.CompareAndSwap(false, true) {
			continue // its caller has given up
		}
		if o.kind == opApply {
			runs[o.keys[0]] = true
		}
		batch = append(batch, o)
		size += o.size
	}
	for _, o := range batch {
		for _, k := range o.keys {
			w.underway[k] = nil
		}
	}
	for _, o := range next {
		w.waitBehind(o)
	}
	return batch
}

// waitBehind lets an operation wait for a batch under way that locks the same, if there is
// one.
func (w *writer) waitBehind(o *op) bool {
	for _, k := range o.keys {
		if waiting, ok := w.underway[k]; ok {
			w.underway[k] = append(waiting, o)
			return true
		}
	}
	return false
}

// release lets go on what waited for a batch of a committer. It returns how many operations there
// are that may come again.
func (w *writer) release(batch []*op) (all int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	var waiting []*op
	for _, o := range batch {
		for _, k := range o.keys {
			waiting = append(waiting, w.underway[k]...)
			delete(w.underway, k)
		}
	}
	if len(waiting) > 0 {
		w.queue = append(waiting, w.queue...)
	}
	all = w.inBatches + len(w.queue)
	w.delay.observe(all)
	return all
}

// commitBatch carries out a batch of a committer. What cannot be done together is done alone, so
// that one operation never touches its neighbors. It returns how many operations there are
// that may come again.
func (w *writer) commitBatch(batch []*op) (all int) {
	err := w.commit(w.ctx, batch)
	all = w.release(batch)
	var done []*op
	for _, o := range batch {
		if err != nil {
			o.err = err
		}
		switch {
		case err != nil && (passing(err) || len(batch) > 1 && separable(err)):
			w.s.stats.alone.Add(1)
			go w.commitAlone(o)
		case passing(o.err):
			w.retry(o, func() { w.enqueue(o) })
		default:
			done = append(done, o)
		}
	}
	w.answer(done)
	return all
}

// commitAlone carries out an operation that may be what a batch failed for.
func (w *writer) commitAlone(o *op) {
	w.alone <- struct{}{}
	err := w.commit(w.ctx, []*op{o})
	<-w.alone
	if err != nil {
		o.err = err
	}
	if passing(o.err) {
		w.retry(o, func() {
			if o.taken.CompareAndSwap(false, true) {
				w.commitAlone(o)
			}
		})
		return
	}
	w.answer([]*op{o})
}

// retry carries out an operation once more. Another transaction has a lock, which
// may be one of the application's that lasts; nothing is held up meanwhile.
func (w *writer) retry(o *op, carryOut func()) {
	w.mu.Lock()
	closed := w.closed
	w.mu.Unlock()
	switch {
	case o.ctx.Err() != nil:
		o.err = o.locked()
	case closed && o.tries >= lastTries:
		o.err = store.ErrClosed
	default:
		pause := min(time.Millisecond<<min(o.tries, 10), maxPause)
		o.tries++
		o.taken.Store(false)
		time.AfterFunc(pause, carryOut)
		return
	}
	w.answer([]*op{o})
}

// locked is the error of a caller that gave up while somebody else had a lock.
func (o *op) locked() error {
	return fmt.Errorf("nothing was written, another transaction has a lock on the run or the token: %w", o.ctx.Err())
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
func (w *writer) commit(ctx context.Context, ops []*op) error {
	var kinds [len(batchers)][]*op
	for _, o := range ops {
		o.err = nil
		kinds[o.kind] = append(kinds[o.kind], o)
	}
	began := time.Now()
	var r request
	defer r.free()
	for kind, ops := range kinds {
		if len(ops) > 0 {
			batchers[kind](w.s, &r, ops)
		}
	}
	err := w.s.borrow(ctx, requestTimeout<<min(w.unanswered.Load(), maxDoublings), func(ctx context.Context, c *pgxpool.Conn) error {
		err := committing(c, func() error { return c.SendBatch(ctx, &r.Batch).Close() })
		if ctx.Err() != nil {
			w.unanswered.Add(1)
		} else {
			w.unanswered.Store(0)
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("write to database %s: %w", w.s.name, err)
	}
	w.s.stats.commits.Add(1)
	w.s.stats.statements.Add(int64(r.Len()))
	w.s.stats.operations.Add(int64(len(ops)))
	w.s.commits.Tell(store.Commit{Operations: len(ops), Took: time.Since(began)})
	w.s.tellLater(r.told, w.gather())
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
		for _, q := range []string{w.s.sql.purgeReceipts, w.s.sql.purgeAnswers, w.s.sql.purgePublications} {
			for {
				n, err := w.s.purge(w.ctx, q, few)
				if err != nil && !errors.Is(err, context.Canceled) {
					w.s.opts.Logger.Warn("delete what has expired", "database", w.s.name, "error", err)
				}
				if err != nil || n < few {
					break
				}
			}
		}
	}
}

// purge deletes up to a few rows that have expired, with one of the statements for it, and
// returns how many there were. It is not a function of the schema, so it says for itself
// that it goes by the index.
func (s *Store) purge(ctx context.Context, sql string, few int) (n int, err error) {
	err = pgx.BeginFunc(ctx, s.pool, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, "SET LOCAL enable_seqscan = off"); err != nil {
			return err
		}
		tag, err := tx.Exec(ctx, sql, few)
		n = int(tag.RowsAffected())
		return err
	})
	return n, err
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
