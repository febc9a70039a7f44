package sqlite

import (
	"context"
	"fmt"
	"math/rand/v2"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tenter-dev/tenter/store"
	"github.com/tenter-dev/tenter/store/internal/refused"
)

const (
	// pollInterval is how often changes of other processes are polled for. After a commit, of this
	// process or of another, there may soon be more: then it begins with firstPoll and grows by a quarter.
	pollInterval = 250 * time.Millisecond
	firstPoll    = 2 * time.Millisecond
	// warnAfter is how long commits wait for another process in silence.
	warnAfter = time.Second
	// outcomeTimeout is how long a commit may take once its caller has given up: longer than
	// any does on a disk that works.
	outcomeTimeout = time.Second / 2
	// maxBatch bounds a transaction, and so the wait of the first in it.
	maxBatch = 1024
)

// writer is the one goroutine that writes. It commits whatever operations have
// arrived while the last commit was syncing in one transaction.
type writer struct {
	s *Store
	*conn

	mu     sync.Mutex
	queue  []*op
	spare  []*op
	closed bool

	wake chan struct{} // holds a token when there is something to look at
	stop chan struct{} // closed by close
	done chan struct{} // closed when the goroutine has ended

	maxLog        int64 // see boundLog
	walCheckEvery int64
	walChecked    int64 // operations when the length of the log was last checked
	checkpointed  int64 // operations at the last idle checkpoint
	err           error // of closing the connection

	// The rest belongs to the goroutine.
	sig        store.Signal // of the transaction under way
	began      time.Time    // when it began to be carried out
	accepted   time.Time    // the last acceptance time given
	version    int64        // data_version when it was last read
	started    int64        // ID of the last Started message
	purged     time.Time    // when expired receipts were last deleted
	spaceTried time.Time    // when making space was last tried, in vain

	pausedNames []string // of the workflows that are paused
	pausesKnown bool     // pausedNames is as in the file
}

// op is an operation. It checks first and writes after, so that one that is
// refused leaves nothing to be rolled back. It may be run again after a rollback.
type op struct {
	run   func(w *writer) error
	err   error
	state atomic.Int32
	done  chan struct{}
}

const (
	opQueued int32 = iota
	opTaken
	opAbandoned
)

func newWriter(s *Store, c *conn) *writer {
	return &writer{
		s: s, conn: c,
		wake: make(chan struct{}, 1),
		stop: make(chan struct{}),
		done: make(chan struct{}),

		maxLog:        maxLog,
		walCheckEvery: walCheckEvery,
	}
}

func (w *writer) start() error {
	// Waiting for other processes is done in begin, where it can be ended.
	w.c.SetBusyTimeout(0)
	if !w.s.opts.Private {
		if _, err := w.changedElsewhere(); err != nil {
			return err
		}
	}
	go w.loop()
	return nil
}

// close lets the goroutine carry out what is queued, and end.
func (w *writer) close() error {
	w.mu.Lock()
	w.closed = true
	w.mu.Unlock()
	close(w.stop)
	<-w.done
	return w.err
}

// do carries out an operation and waits for its outcome. If ctx ends before
// it is taken up, it is not carried out at all, and the error is that of ctx. After
// that the outcome is waited for a while all the same, lest it be unknown.
func (w *writer) do(ctx context.Context, run func(w *writer) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	o := &op{run: run, done: make(chan struct{})}
	w.mu.Lock()
	if w.closed {
		w.mu.Unlock()
		return store.ErrClosed
	}
	w.queue = append(w.queue, o)
	first := len(w.queue) == 1
	w.mu.Unlock()
	if first {
		select {
		case w.wake <- struct{}{}:
		default:
		}
	}
	select {
	case <-o.done:
	case <-ctx.Done():
		if o.state.CompareAndSwap(opQueued, opAbandoned) {
			return ctx.Err()
		}
		if !w.outcome(o) {
			// Not wrapped: the error of a context that has ended says that nothing was written.
			return fmt.Errorf("write to database %q: the disk does not answer, the outcome is unknown: %s", w.s.path, ctx.Err().Error())
		}
	}
	switch {
	case isFatal(o.err):
		return o.err
	case unexpected(o.err):
		return fmt.Errorf("write to database %q: %w", w.s.path, o.err)
	}
	return o.err
}

// outcome waits for the outcome of an operation that its caller has given up.
func (w *writer) outcome(o *op) bool {
	late := time.NewTimer(outcomeTimeout)
	defer late.Stop()
	select {
	case <-o.done:
		return true
	case <-late.C:
		return false
	}
}

func (w *writer) loop() {
	defer close(w.done)
	defer func() {
		// To close the last connection copies the log into the file, and deletes what has
		// its name. A database that has failed is rather left open.
		if w.s.fatal.err() != nil {
			return
		}
		if w.err = w.s.checkFiles(); w.err == nil {
			w.err = w.conn.close()
		}
	}()
	pause, poll := pollInterval, time.NewTimer(pollInterval)
	defer poll.Stop()
	tick := poll.C
	if w.s.opts.Private {
		tick = nil // never
	}
	for {
		select {
		case <-w.wake:
			w.work()
			w.checkpoint()
			pause = firstPoll
			poll.Reset(pause)
		case <-tick:
			pause = min(pause+pause/4, pollInterval)
			if w.pollChanges() {
				pause = firstPoll
			}
			poll.Reset(pause)
		case <-w.stop:
			w.work()
			return
		}
	}
}

// work commits until nothing is queued.
func (w *writer) work() {
	for {
		// Let those that the last commit has woken queue their next.
		runtime.Gosched()
		w.mu.Lock()
		empty := len(w.queue) == 0
		w.mu.Unlock()
		if empty {
			return
		}
		if err := w.begin(); err != nil {
			w.fail(err)
			continue
		}
		w.commitBatch(w.take())
		w.boundLog()
	}
}

// take takes up what is queued: from here on its outcome is waited for.
func (w *writer) take() []*op {
	w.mu.Lock()
	batch := w.queue
	if len(batch) > maxBatch {
		w.queue = append(w.spare[:0:0], batch[maxBatch:]...)
		batch = batch[:maxBatch]
	} else {
		w.queue = w.spare[:0]
	}
	w.spare = nil
	w.mu.Unlock()
	taken := batch[:0]
	for _, o := range batch {
		if o.state.CompareAndSwap(opQueued, opTaken) {
			taken = append(taken, o)
		}
	}
	return taken
}

// commitBatch carries out operations in the transaction that has begun.
func (w *writer) commitBatch(batch []*op) {
	w.sig = store.Signal{}
	others := !w.s.opts.Private && w.resync()
	ok := true
	for _, o := range batch {
		if o.err = o.run(w); unexpected(o.err) {
			ok = false
			break
		}
	}
	switch {
	case ok:
		err := w.commit(len(batch))
		if isFull(err) && w.makeSpace() {
			w.rerun(batch)
		} else if err != nil {
			err = fmt.Errorf("commit: %w", err)
			for _, o := range batch {
				o.err = err
			}
			w.sig = store.Signal{}
		}
	default:
		w.rollback()
		if slices.ContainsFunc(batch, func(o *op) bool { return isFull(o.err) }) {
			w.makeSpace()
		}
		w.rerun(batch)
	}
	for _, o := range batch {
		o.err = w.s.noteFatal(o.err)
	}
	w.s.stats.operations.Add(int64(len(batch)))
	sig := w.sig
	sig.All = sig.All || others
	for i, o := range batch {
		close(o.done)
		batch[i] = nil
	}
	w.mu.Lock()
	w.spare = batch[:0]
	w.mu.Unlock()
	if len(sig.Mail) > 0 || len(sig.Ended) > 0 || len(sig.Responded) > 0 || len(sig.Behind) > 0 || sig.All {
		w.s.watch.Tell(sig)
	}
}

// rerun carries out operations one by one, so that the one that fails does no
// harm to the others.
func (w *writer) rerun(batch []*op) {
	w.s.stats.reruns.Add(1)
	var all store.Signal
	for _, o := range batch {
		w.sig = store.Signal{}
		if o.err = w.begin(); o.err != nil {
			continue
		}
		if !w.s.opts.Private && w.resync() {
			w.sig.All = true
		}
		if o.err = o.run(w); unexpected(o.err) {
			w.rollback()
			o.err = w.s.noteFatal(o.err)
			continue
		}
		if err := w.commit(1); err != nil {
			o.err = fmt.Errorf("commit: %w", err)
			continue
		}
		all.Mail = append(all.Mail, w.sig.Mail...)
		all.Ended = append(all.Ended, w.sig.Ended...)
		all.Responded = append(all.Responded, w.sig.Responded...)
		all.Untold = append(all.Untold, w.sig.Untold...)
		all.Behind = append(all.Behind, w.sig.Behind...)
		all.All = all.All || w.sig.All
	}
	w.sig = all
}

func (w *writer) commit(ops int) error {
	if err := w.on(qCommit).run(); err != nil {
		w.rollback()
		return err
	}
	if err := w.s.checkFiles(); err != nil {
		return err
	}
	w.s.stats.commits.Add(1)
	w.s.commits.Tell(store.Commit{Operations: ops, Took: time.Since(w.began)})
	if n := int64(ops); n > w.s.stats.largest.Load() {
		w.s.stats.largest.Store(n)
	}
	return nil
}

func (w *writer) rollback() {
	w.pausesKnown = false
	// Some errors have ended the transaction by themselves.
	if !w.c.AutocommitEnabled() {
		_ = w.on(qRollback).run()
	}
}

// begin begins a transaction. While another process has one it waits, until the
// store is closed.
func (w *writer) begin() error {
	w.began = time.Now()
	var since time.Time
	warned := false
	for {
		if err := w.s.fatal.err(); err != nil {
			return err
		}
		err := w.on(qBeginImmediate).run()
		if err == nil || !isBusy(err) {
			return err
		}
		if since.IsZero() {
			since = time.Now()
			w.s.stats.busy.Add(1)
		}
		if waited := time.Since(since); waited >= warnAfter && !warned {
			warned = true
			w.s.opts.Logger.Warn("commits wait for a write transaction of another process", "database", w.s.path, "waited", waited)
		}
		// SQLite does not queue processes that wait for its lock. One that commits without a pause
		// leaves short gaps, which only frequent tries hit; random ones don't keep in step with it.
		t := time.NewTimer(time.Duration(rand.Int64N(int64(4 * time.Millisecond))))
		select {
		case <-t.C:
		case <-w.stop:
			t.Stop()
			return store.ErrClosed
		}
	}
}

// fail gives all that is queued an error; nothing was written.
func (w *writer) fail(err error) {
	err = w.s.noteFatal(err)
	for _, o := range w.take() {
		o.err = err
		close(o.done)
	}
}

// unexpected reports whether an error is none of those that an operation
// returns having written nothing.
func unexpected(err error) bool { return err != nil && !refused.Is(err) }

// changedElsewhere reports whether another connection has changed the file since the last call.
// It reads no table.
func (w *writer) changedElsewhere() (bool, error) {
	st := w.on(qDataVersion)
	_, err := st.first()
	var v int64
	if err == nil {
		v = st.int()
	}
	if err := st.end(); err != nil {
		w.pausesKnown = false
		return false, err
	}
	changed := v != w.version
	w.version = v
	w.pausesKnown = w.pausesKnown && !changed
	return changed, nil
}

// pollChanges reports whether other processes have committed since it was last called.
func (w *writer) pollChanges() (changed bool) {
	if w.s.fatal.err() != nil {
		return false
	}
	if w.s.checkFiles() != nil {
		w.s.watch.Tell(store.Signal{All: true}) // callers that wait ask, and get the error
		return false
	}
	changed, err := w.changedElsewhere()
	if err != nil && !isBusy(err) {
		w.s.opts.Logger.Warn("look for changes of other processes", "database", w.s.path, "error", err)
	}
	if changed {
		w.s.watch.Tell(store.Signal{All: true})
	}
	return changed
}

// resync takes in what other processes have done, within a transaction: the next
// acceptance time is not before theirs. It reports whether there was anything.
func (w *writer) resync() bool {
	changed, err := w.changedElsewhere()
	if err != nil || !changed {
		return changed
	}
	st := w.on(qLastAccepted)
	if ok, _ := st.first(); ok {
		if t := st.time(); t.After(w.accepted) {
			w.accepted = t
		}
	}
	_ = st.end()
	return true
}

// acceptTime is the time at which a message is accepted: the clock's, never
// before one given earlier.
func (w *writer) acceptTime() time.Time {
	if t := w.s.opts.Clock().UTC().Truncate(time.Microsecond); t.After(w.accepted) {
		w.accepted = t
	}
	return w.accepted
}
