package sqlite

import (
	"context"
	"errors"
	"fmt"
	"os"

	"zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"

	"github.com/tenter-dev/tenter/internal/planted"
	"github.com/tenter-dev/tenter/store"
)

// Tx is for engine.Engine.WithTx: the write transaction that is open on a connection
// of the application's to the file of the store. It is for connections of
// zombiezen.com/go/sqlite; the package documentation describes other drivers. Begin it with BEGIN IMMEDIATE
// (sqlitex.ImmediateTransaction): one that has only read so far may find that it
// can't write any more. All other commits wait until it ends, so keep it short; after
// a second a warning is logged. How durable it is depends on the connection: have it in
// WAL mode, with synchronous=FULL, which is the default.
func Tx(c *sqlite.Conn) store.Tx { return transaction{c} }

type transaction struct{ c *sqlite.Conn }

func (transaction) StoreTx() {}

// Within returns the operations as parts of a transaction that Tx wraps.
func (s *Store) Within(tx store.Tx) (store.Joined, error) {
	t, ok := tx.(transaction)
	switch {
	case !ok:
		return nil, fmt.Errorf("%T is not a transaction of a SQLite store: make it with sqlite.Tx", tx)
	case t.c == nil:
		return nil, errors.New("the connection is nil")
	case s.opts.Private:
		return nil, errors.New("the store was opened with Options.Private, which promises that nobody else opens the file")
	case s.closed.Load():
		return nil, store.ErrClosed
	}
	j := &joined{s: s, w: &writer{s: s, conn: &conn{c: t.c}, purged: s.Now()}}
	if err := j.open(); err != nil {
		return nil, err
	}
	if err := s.sameFile(j.w.conn); err != nil {
		return nil, err
	}
	j.client = client{j.do}
	return j, nil
}

// sameFile checks that a connection is to the file of the store.
func (s *Store) sameFile(c *conn) error {
	if err := s.checkFiles(); err != nil {
		return err
	}
	path, err := mainFile(c)
	if err != nil {
		return err
	}
	if theirs, err := os.Stat(path); err == nil && os.SameFile(theirs, s.files.files[0].info) {
		return nil
	}
	return fmt.Errorf("the transaction is on another file (%q) than the store (%q)", path, s.path)
}

// joined carries out operations on a connection of the application's.
type joined struct {
	client
	s *Store
	w *writer // that has no goroutine and no queue
}

var errNoTransaction = errors.New("no transaction is open on the connection: begin one with BEGIN IMMEDIATE; after COMMIT use the engine itself")

func (j *joined) open() error {
	if j.w.c.AutocommitEnabled() {
		return errNoTransaction
	}
	return nil
}

// do carries out one operation. If it fails midway, what it has written is undone.
func (j *joined) do(ctx context.Context, run func(w *writer) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := j.open(); err != nil {
		return err
	}
	err := j.w.on(qSavepoint).run()
	if err == nil {
		j.w.resync()
		err = run(j.w)
		if unexpected(err) && j.open() == nil {
			_ = j.w.on(qRollbackSavepoint).run()
		}
		if j.open() == nil {
			if e := j.w.on(qReleaseSavepoint).run(); err == nil {
				err = e
			}
		}
	}
	if !unexpected(err) {
		return err
	}
	hint := ""
	if isBusy(err) {
		hint = ": begin the transaction with BEGIN IMMEDIATE"
	}
	return fmt.Errorf("write to database %q%s: %w", j.s.path, hint, err)
}

// Hook returns the open hook that has the token.
func (j *joined) Hook(_ context.Context, token string) (store.Hook, error) {
	if err := j.open(); err != nil {
		return store.Hook{}, err
	}
	return j.w.hookByToken(token)
}

// Run returns the head of a run.
func (j *joined) Run(_ context.Context, runID string) (store.Run, error) {
	if err := j.open(); err != nil {
		return store.Run{}, err
	}
	return j.s.look(j.w.conn, runID)
}

// ClaimStep makes the transaction the one that executes a step.
func (j *joined) ClaimStep(ctx context.Context, s store.TxStep) error {
	return j.do(ctx, func(w *writer) error {
		if _, err := w.executing(s); err != nil {
			return err
		}
		if err := w.on(qTxStepClaim).bindText(s.RunID).bindText(s.Step).run(); err != nil || w.changed() || planted.TxStepTwice.Here() {
			return err
		}
		message, err := readOne(w.on(qTxStepGet).bindText(s.RunID).bindText(s.Step), whole((*stmt).int))
		switch {
		case err != nil:
			return err
		case message == 0:
			return store.ErrConflict
		default:
			return store.ErrExists
		}
	})
}

// CompleteStep puts the result of the step into the mailbox of its run.
func (j *joined) CompleteStep(ctx context.Context, s store.TxStep, result []byte) (store.Message, error) {
	m := store.Message{RunID: s.RunID, Kind: store.StepCompleted, Ref: s.Step, Data: result}
	err := j.do(ctx, func(w *writer) error {
		h, err := w.executing(s)
		if err != nil {
			return err
		}
		message, err := readOne(w.on(qTxStepGet).bindText(s.RunID).bindText(s.Step), whole((*stmt).int))
		if isNotFound(err) || (err == nil && message != 0 && !planted.TxStepTwice.Here()) {
			return store.ErrConflict
		}
		if err != nil {
			return err
		}
		m.AcceptedAt = w.acceptTime()
		if err := w.putMail(m, h.dueAt, m.AcceptedAt); err != nil {
			return err
		}
		m.ID = w.inserted() // the head of a run has no rowid
		return w.on(qTxStepComplete).bindInt(m.ID).bindText(s.RunID).bindText(s.Step).run()
	})
	return m, err
}

// executing returns the head of a run if it is still in the epoch of an attempt.
func (w *writer) executing(s store.TxStep) (head, error) {
	h, err := w.head(s.RunID)
	if err == nil && (h.epoch != s.Epoch || h.status.Ended()) && !planted.TxStepTwice.Here() {
		err = store.ErrFenced
	}
	return h, err
}

// TxPool begins the transactions of transactional steps.
type TxPool struct{ pool *sqlitex.Pool }

// Pool is for workflow.TxStep: the application's connections to the file of the store.
// See Tx for what they have to be like.
func Pool(p *sqlitex.Pool) TxPool { return TxPool{p} }

// Transact calls fn in a write transaction, and commits it if fn returns nil.
func (p TxPool) Transact(ctx context.Context, fn func(tx *sqlite.Conn, joined any) error) error {
	c, err := p.pool.Take(ctx)
	if err != nil {
		return err
	}
	defer p.pool.Put(c)
	if err := sqlitex.ExecuteTransient(c, "BEGIN IMMEDIATE", nil); err != nil {
		return fmt.Errorf("begin transaction: %w", err)
	}
	defer func() {
		if !c.AutocommitEnabled() { // not committed
			c.SetInterrupt(nil)
			_ = sqlitex.ExecuteTransient(c, "ROLLBACK", nil)
		}
	}()
	if err := fn(c, Tx(c)); err != nil {
		return err
	}
	if q := c.CheckReset(); q != "" {
		return fmt.Errorf("commit transaction: a statement was left open: %s", q)
	}
	if err := sqlitex.ExecuteTransient(c, "COMMIT", nil); err != nil {
		return fmt.Errorf("commit transaction: %w", err)
	}
	return nil
}
