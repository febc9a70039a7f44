package postgres

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/tenter-dev/tenter/internal/saturate"
	"github.com/tenter-dev/tenter/store"
	"github.com/tenter-dev/tenter/store/internal/refused"
)

// Tx is for engine.Engine.WithTx: a transaction of the application, begun with pgx on
// the database that the store is in. Its role needs the rights on the store's schema,
// as docs/postgres.md has them.
func Tx(tx pgx.Tx) store.Tx {
	if tx == nil {
		return transaction{}
	}
	return transaction{pgxTx{tx}}
}

// SQLTx is Tx for a transaction that was begun with database/sql, with the driver of pgx
// (github.com/jackc/pgx/v5/stdlib) or any other for PostgreSQL.
func SQLTx(tx *sql.Tx) store.Tx {
	if tx == nil {
		return transaction{}
	}
	return transaction{sqlTx{tx}}
}

// TxPool begins the transactions of transactional steps, with pgx.
type TxPool struct{ pool *pgxpool.Pool }

// Pool is for workflow.TxStep: the application's connections to the database that the
// store is in. Transactions have the default isolation of the role, or of the database.
// In one above READ COMMITTED the step fails, and is attempted again, when the database
// can't serialize it.
func Pool(p *pgxpool.Pool) TxPool { return TxPool{p} }

// Transact calls fn in a transaction, and commits it if fn returns nil.
func (p TxPool) Transact(ctx context.Context, fn func(tx pgx.Tx, joined any) error) error {
	return pgx.BeginFunc(ctx, p.pool, func(tx pgx.Tx) error { return fn(tx, Tx(tx)) })
}

// TxDB begins the transactions of transactional steps, with database/sql.
type TxDB struct{ db *sql.DB }

// DB is Pool for database/sql.
func DB(db *sql.DB) TxDB { return TxDB{db} }

// Transact calls fn in a transaction, and commits it if fn returns nil.
func (d TxDB) Transact(ctx context.Context, fn func(tx *sql.Tx, joined any) error) error {
	tx, err := d.db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback() }() // does nothing after a commit
	if err := fn(tx, SQLTx(tx)); err != nil {
		return err
	}
	return tx.Commit()
}

// transaction is a transaction of the application. Its connection knows nothing of the
// schema's types.
type transaction struct{ q querier }

func (transaction) StoreTx() {}

// querier executes statements, and calls read for each row.
type querier interface {
	query(ctx context.Context, read func(row pgx.Row) error, sql string, args ...any) error
}

type pgxTx struct{ tx pgx.Tx }

func (t pgxTx) query(ctx context.Context, read func(row pgx.Row) error, sql string, args ...any) error {
	rows, err := t.tx.Query(ctx, sql, args...)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		if err := read(rows); err != nil {
			return err
		}
	}
	return rows.Err()
}

type sqlTx struct{ tx *sql.Tx }

func (t sqlTx) query(ctx context.Context, read func(row pgx.Row) error, sql string, args ...any) error {
	rows, err := t.tx.QueryContext(ctx, sql, args...)
	if err != nil {
		return err
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		if err := read(rows); err != nil {
			return err
		}
	}
	return rows.Err()
}

// Within returns the operations as parts of a transaction that Tx or SQLTx wraps.
func (s *Store) Within(tx store.Tx) (store.Joined, error) {
	t, ok := tx.(transaction)
	switch {
	case !ok:
		return nil, fmt.Errorf("%T is not a transaction of a PostgreSQL store: make it with postgres.Tx or postgres.SQLTx", tx)
	case t.q == nil:
		return nil, errors.New("the transaction is nil")
	case s.closed.Load():
		return nil, store.ErrClosed
	}
	return &joined{s: s, q: t.q}, nil
}

// joined carries out operations in a transaction of the application. Their arguments
// are of types that any driver knows, and they say themselves whom to tell.
type joined struct {
	s *Store
	q querier
}

// query executes a statement. The error says what was to be done.
func (j *joined) query(ctx context.Context, what string, read func(row pgx.Row) error, sql string, args ...any) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	err := j.q.query(ctx, read, inSchema(j.s.opts.Schema, sql), args...)
	if err == nil || refused.Is(err) {
		return err
	}
	hint := ""
	if pe, ok := errors.AsType[*pgconn.PgError](err); ok {
		switch pe.Code {
		case "3F000", "42883", "42704", "42P01": // no such schema, function, type, table
			hint = fmt.Sprintf(" (is the transaction on the database of the store, %s?)", j.s.name)
		case "42501":
			hint = fmt.Sprintf(" (grant the role of the application the rights on schema %q that docs/postgres.md has)", j.s.opts.Schema)
		}
	}
	return fmt.Errorf("%s in a transaction of the application%s: %w", what, hint, err)
}

// one executes a statement that returns one row.
func (j *joined) one(ctx context.Context, what string, read func(row pgx.Row) error, sql string, args ...any) error {
	rows := 0
	err := j.query(ctx, what, func(row pgx.Row) error {
		rows++
		return read(row)
	}, sql, args...)
	if err == nil && rows == 0 {
		err = store.ErrNotFound
	}
	return err
}

// code executes a statement that returns a refusal, or NULL.
func (j *joined) code(ctx context.Context, what, sql string, args ...any) error {
	return j.one(ctx, what, func(row pgx.Row) error {
		var code *string
		var told *bool
		if err := row.Scan(&code, &told); err != nil {
			return err
		}
		return refusal(code)
	}, sql, args...)
}

// verdicts executes a statement that returns verdicts on one operation, and then announces
// the run.
func (j *joined) verdicts(ctx context.Context, what, kind, runID, sql string, args ...any) (*op, error) {
	o := new(op)
	err := j.query(ctx, what, func(row pgx.Row) error {
		var n *int
		var i int
		var code, run, hook *string
		var told *bool
		if err := row.Scan(&i, &n, &code, &run, &hook, &told); err != nil {
			return err
		}
		if *code == "mail" || *code == "untold" {
			return nil
		}
		if hook != nil {
			o.receipt.Hook.Token = *hook
		}
		o.err = refusal(code)
		return nil
	}, sql, args...)
	if err == nil {
		err = o.err
	}
	if err == nil {
		err = j.query(ctx, what, func(pgx.Row) error { return nil }, "SELECT tenter.tell($1, $2, $3)", j.s.peers.channel, kind, runID)
	}
	return o, err
}

// jsonText is the JSON of a run to start, NULL for none.
func jsonText(r *store.NewRun) any {
	if r == nil {
		return nil
	}
	return string(encodeNewRun(r))
}

// Start inserts a run with a Started message.
func (j *joined) Start(ctx context.Context, r store.NewRun) error {
	if err := checkRun(&r); err != nil {
		return err
	}
	return j.code(ctx, "start run "+r.ID,
		`SELECT code, CASE WHEN code IS NULL THEN tenter.tell($3, 'mail', $2) END FROM tenter.start('within', $1::text::jsonb) code`,
		jsonText(&r), r.ID, j.s.peers.channel)
}

// Accept puts a payload in the mailbox of the run whose open hook has the token.
func (j *joined) Accept(ctx context.Context, p store.Payload) (store.Receipt, error) {
	if err := checkRun(p.OrStart); err != nil {
		return store.Receipt{}, err
	}
	var r store.Receipt
	err := j.one(ctx, "accept a payload", func(row pgx.Row) (err error) {
		r, err = readAcceptance(toldRow{row}, &p)
		return err
	}, `SELECT a.*, CASE WHEN a.code IS NULL AND NOT a.duplicate THEN tenter.tell($9, 'mail', a.run_id) END FROM tenter.accept_within_2(
			ROW ($1::text, $2::bytea, $3::text, $4::text, make_interval(secs => $5::double precision), $6::text, $7::text, $8::text::jsonb, $10::text, $11::text)::tenter.payload_2) a`,
		p.Token, p.Data, p.Type, optText(p.Key), p.KeepFor.Seconds(), optText(p.Hook), optText(p.Request), jsonText(p.OrStart), j.s.peers.channel, optText(p.Trace), optText(p.Actor))
	return r, err
}

// toldRow is a row with one column more than is asked for: whether it was told.
type toldRow struct{ pgx.Row }

func (r toldRow) Scan(dest ...any) error {
	var told *bool
	return r.Row.Scan(append(dest, &told)...)
}

// Send puts a message in a run's mailbox.
func (j *joined) Send(ctx context.Context, m store.Message) error {
	return j.code(ctx, "send to run "+m.RunID,
		`SELECT code, CASE WHEN code IS NULL THEN tenter.tell($6, 'mail', $1) END FROM tenter.send_2('within',
			ROW (NULL, NULL, $1::text, $2::text, $3::text, $4::bytea, NULL, $5::text::jsonb, false, $7::text)::tenter.message_2) code`,
		m.RunID, string(m.Kind), m.Ref, m.Data, jsonText(m.OrStart), j.s.peers.channel, optText(m.Actor))
}

// Respond answers an HTTP request.
func (j *joined) Respond(ctx context.Context, r store.Response) error {
	return j.code(ctx, "respond to request "+r.Request,
		`SELECT code, CASE WHEN code IS NULL THEN tenter.tell($9, 'responded', $2) END FROM tenter.respond('within',
			ROW (NULL, NULL, 'respond', $1::text, $2::text, NULL, NULL, $4::bytea, NULL, $6::timestamptz, NULL, NULL, $3::text, $5::bytea, NULL,
				$7::integer, $8::timestamptz)::tenter.effect) code`,
		r.RunID, r.Request, r.Responder, r.Header, r.Body, saturate.Time(r.At), r.Status, saturate.Time(r.KeepUntil), j.s.peers.channel)
}

// verdictColumns are those of a verdict v, which are told to the channel $1.
const verdictColumns = `v.t, v.n, v.code, v.run_id, v.hook_id, CASE WHEN v.code IN ('mail', 'untold') THEN tenter.tell($1, v.code, v.run_id) END`

// Terminate ends a run now, whatever state it is in.
func (j *joined) Terminate(ctx context.Context, runID string, e store.Event) error {
	_, err := j.verdicts(ctx, "terminate run "+runID, "ended", runID,
		`SELECT `+verdictColumns+` FROM tenter.terminate_2('within', $2, $3::timestamptz, $4, $5, $6::bytea, $7, $8::bigint, $9) v`,
		j.s.peers.channel, runID, e.At, string(e.Kind), e.Ref, e.Data, optText(e.Asked), e.Seq, optText(e.Actor))
	return err
}

// Retry reopens a failed run from its journal.
func (j *joined) Retry(ctx context.Context, c store.Cut) (store.Hook, error) {
	back, err := json.Marshal(c.Back)
	if err != nil {
		return store.Hook{}, err
	}
	o, err := j.verdicts(ctx, "retry run "+c.RunID, "mail", c.RunID,
		`SELECT `+verdictColumns+` FROM tenter.retry_2('within', $2, $3::bigint, $4::bigint,
			ARRAY(SELECT b::bigint FROM json_array_elements_text(coalesce(nullif($5::text, 'null'), '[]')::json) b), $6) v`,
		j.s.peers.channel, c.RunID, c.Events, c.From, string(back), optText(c.Actor))
	if errors.Is(err, store.ErrExists) {
		owner, e := j.Hook(ctx, o.receipt.Hook.Token)
		if e != nil {
			return store.Hook{}, e
		}
		return owner, err
	}
	return store.Hook{}, err
}

// Unblock makes a blocked run claimable by every build again, at once.
func (j *joined) Unblock(ctx context.Context, runID string) error {
	return j.code(ctx, "unblock run "+runID,
		`SELECT code, CASE WHEN code IS NULL THEN tenter.tell($2, 'mail', $1) END FROM tenter.unblock('within', $1) code`,
		runID, j.s.peers.channel)
}

// Pause pauses a run.
func (j *joined) Pause(ctx context.Context, runID string, p store.Pause) error {
	return j.one(ctx, "pause run "+runID, func(row pgx.Row) error { return readPausing(toldRow{row}) },
		`SELECT p.code, p.old, CASE WHEN p.code IS NULL THEN tenter.tell($4, 'mail', $1) END FROM tenter.pause('within', $1, $2, $3) p`,
		runID, p.Actor, p.Why, j.s.peers.channel)
}

// Resume lets a run that is paused go on.
func (j *joined) Resume(ctx context.Context, runID, actor string) error {
	return j.code(ctx, "resume run "+runID,
		`SELECT code, CASE WHEN code IS NULL THEN tenter.tell($2, 'mail', $1) END FROM tenter.resume('within', $1, $3) code`,
		runID, j.s.peers.channel, optText(actor))
}

// Hook returns the open hook that has the token.
func (j *joined) Hook(ctx context.Context, token string) (store.Hook, error) {
	var h store.Hook
	err := j.one(ctx, "look up a hook", func(row pgx.Row) (err error) {
		h, err = readHook(row)
		return err
	}, j.s.sql.hook, token)
	return h, err
}

// Run returns the head of a run.
func (j *joined) Run(ctx context.Context, runID string) (store.Run, error) {
	var r store.Run
	err := j.one(ctx, "look up run "+runID, func(row pgx.Row) (err error) {
		r, err = readRun(row)
		return err
	}, j.s.sql.run, runID)
	if err != nil || (r.Status != store.Running && r.Status != store.Waiting) {
		return r, err
	}
	var lists []string
	err = j.query(ctx, "look up workers", func(row pgx.Row) error {
		var list string
		err := row.Scan(&list)
		lists = append(lists, list)
		return err
	}, j.s.sql.workers)
	if err != nil {
		return store.Run{}, err
	}
	reason, err := j.s.defs.Available(lists, r.Workflow, r.Version)
	if err == nil && reason != "" {
		r.Status, r.BlockedReason = store.Blocked, reason
	}
	return r, err
}

// ClaimStep makes the transaction the one that executes a step.
func (j *joined) ClaimStep(ctx context.Context, s store.TxStep) error {
	return j.code(ctx, "claim step "+s.Step+" of run "+s.RunID,
		`SELECT code, NULL::boolean FROM tenter.claim_step($1, $2, $3::bigint) code`, s.RunID, s.Step, s.Epoch)
}

// CompleteStep puts the result of the step into the mailbox of its run. Nobody is told:
// the owner of the run, and only that, can have completed it.
func (j *joined) CompleteStep(ctx context.Context, s store.TxStep, result []byte) (store.Message, error) {
	m := store.Message{RunID: s.RunID, Kind: store.StepCompleted, Ref: s.Step, Data: result}
	err := j.one(ctx, "complete step "+s.Step+" of run "+s.RunID, func(row pgx.Row) error {
		var code *string
		var id *int64
		var at *time.Time
		if err := row.Scan(&code, &id, &at); err != nil || code != nil {
			return errors.Join(err, refusal(code))
		}
		m.ID, m.AcceptedAt = *id, at.UTC()
		return nil
	}, `SELECT code, message, at FROM tenter.complete_step($1, $2, $3::bigint, $4::bytea)`, s.RunID, s.Step, s.Epoch, result)
	return m, err
}
