package postgres

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/tenter-dev/tenter/store"
	"github.com/tenter-dev/tenter/store/internal/refused"
)

var _ store.Archiver = (*Store)(nil)

// after is a row whose first columns go elsewhere.
type after struct {
	pgx.Row
	first []any
}

func (r after) Scan(dest ...any) error { return r.Row.Scan(append(r.first, dest...)...) }

// archiveColumns are those of which a run has many rows, in the order in which Export
// reads and Import writes them.
const (
	cutColumns      = `cut, cut_at, position, at, kind, ref, data, coalesce(asked, ''), or_start, epoch, seq, coalesce(actor, '')`
	unreadColumns   = `number, journaled, message_id, run_id, kind, ref, data, accepted_at, or_start, '', coalesce(actor, '')`
	receiptColumns  = `token, key, hook_id, run_id, type, metadata, webhook, coalesce(request, ''), hook_created_at, expires_at`
	responseColumns = `request, run_id, responder, status, header, body, at, expires_at`
)

// Export returns all that the store has of a run, as of one moment.
func (s *Store) Export(ctx context.Context, runID string) (store.Archive, error) {
	var a store.Archive
	var coming []store.Message // what was published to its hooks
	err := s.with(ctx, func(ctx context.Context, c *pgxpool.Conn) error {
		var b pgx.Batch
		b.Queue("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
		l := s.queueLoads(&b, loading{runID: runID})
		for _, sql := range []string{s.sql.mailPage, s.sql.backlogs} {
			b.Queue(sql, runID, int64(math.MaxInt64)).Query(func(rows pgx.Rows) error {
				mail, err := readAll(rows, readMessage)
				a.Mail = append(a.Mail, mail...)
				return err
			})
		}
		b.Queue(s.sql.toCome, runID).Query(toCome(&coming))
		query := func(columns, table, order string, read func(pgx.Rows) error) {
			b.Queue(inSchema(s.opts.Schema, "SELECT "+columns+" FROM tenter."+table+" WHERE run_id = $1 ORDER BY "+order), runID).Query(read)
		}
		query(cutColumns, "journal_cuts", "cut, position", func(rows pgx.Rows) (err error) {
			a.Cuts, err = readAll(rows, func(row pgx.Row) (e store.CutEvent, err error) {
				e.Event, err = readEvent(after{row, []any{&e.Cut, &e.CutAt}})
				e.CutAt = e.CutAt.UTC()
				return e, err
			})
			return err
		})
		query(unreadColumns, "unread", "number", func(rows pgx.Rows) (err error) {
			a.Unread, err = readAll(rows, func(row pgx.Row) (m store.UnreadMessage, err error) {
				m.Message, err = readMessage(after{row, []any{&m.Number, &m.Journaled}})
				return m, err
			})
			return err
		})
		query(`coalesce(adopted_as, ''), `+hookColumns, "hooks", "number", func(rows pgx.Rows) (err error) {
			a.Hooks, err = readAll(rows, func(row pgx.Row) (h store.ArchivedHook, err error) {
				h.Hook, err = readHook(after{row, []any{&h.AdoptedAs}})
				return h, err
			})
			return err
		})
		query(receiptColumns, "receipts", "token, key", func(rows pgx.Rows) (err error) {
			a.Receipts, err = readAll(rows, func(row pgx.Row) (r store.StoredReceipt, err error) {
				err = row.Scan(&r.Token, &r.Key, &r.HookID, &r.RunID, &r.Type, &r.Metadata, &r.Webhook, &r.Request, &r.HookCreatedAt, &r.ExpiresAt)
				r.HookCreatedAt, r.ExpiresAt = r.HookCreatedAt.UTC(), r.ExpiresAt.UTC()
				return r, err
			})
			return err
		})
		query(responseColumns, "responses", "request", func(rows pgx.Rows) (err error) {
			a.Responses, err = readAll(rows, func(row pgx.Row) (r store.Response, err error) {
				err = row.Scan(&r.Request, &r.RunID, &r.Responder, &r.Status, &r.Header, &r.Body, &r.At, &r.KeepUntil)
				r.At, r.KeepUntil = r.At.UTC(), r.KeepUntil.UTC()
				return r, err
			})
			return err
		})
		query("step, message_id IS NOT NULL, coalesce(message_id, 0)", "tx_steps", "step", func(rows pgx.Rows) (err error) {
			a.TxSteps, err = readAll(rows, func(row pgx.Row) (t store.DoneTxStep, err error) {
				err = row.Scan(&t.Step, &t.Completed, &t.Message)
				return t, err
			})
			return err
		})
		query("position, at, kind, ref, data, coalesce(asked, ''), or_start, epoch, seq, coalesce(actor, '')", "journal", "position", func(rows pgx.Rows) (err error) {
			a.Events, err = readAll(rows, readEvent)
			return err
		})
		query("run_id, ref, target", "subscriptions", "ref", func(rows pgx.Rows) (err error) {
			a.Subscriptions, err = readAll(rows, func(row pgx.Row) (s store.Subscription, err error) {
				err = row.Scan(&s.RunID, &s.Ref, &s.Target)
				return s, err
			})
			return err
		})
		query("number, ended_at, base, last, unread", "generations", "number", func(rows pgx.Rows) (err error) {
			a.Generations, err = readAll(rows, func(row pgx.Row) (g store.ArchivedGeneration, err error) {
				err = row.Scan(&g.Number, &g.EndedAt, &g.Base, &g.Last, &g.Unread)
				g.EndedAt = g.EndedAt.UTC()
				return g, err
			})
			return err
		})
		b.Queue("COMMIT")
		err := c.SendBatch(ctx, &b).Close()
		if err == nil && l[0].Run.ID == "" {
			err = store.ErrNotFound
		}
		a.Run = l[0].Run
		last := int64(0)
		for _, m := range a.Mail {
			last = max(last, m.ID)
		}
		for i, m := range coming {
			m.ID = last + 1 + int64(i)
			a.Mail = append(a.Mail, m)
		}
		return err
	})
	if err != nil {
		return store.Archive{}, s.readError("export run "+runID, err)
	}
	return a, nil
}

// Import inserts runs, all of them or none.
func (s *Store) Import(ctx context.Context, runs []store.Archive) (taken string, err error) {
	for i := range runs {
		if err := checkArchive(&runs[i]); err != nil {
			return "", err
		}
	}
	for range 3 {
		err = s.with(ctx, func(ctx context.Context, c *pgxpool.Conn) error {
			return pgx.BeginFunc(ctx, c, func(tx pgx.Tx) error {
				if taken, err = s.importable(ctx, tx, runs); err != nil {
					return err
				}
				for i := range runs {
					if err := s.importRun(ctx, tx, &runs[i]); err != nil {
						return err
					}
				}
				return s.importSubscriptions(ctx, tx, runs)
			})
		})
		// Another process has come first meanwhile: the next look shows which.
		if pe, ok := errors.AsType[*pgconn.PgError](err); !ok || pe.Code != "23505" {
			break
		}
	}
	if err == nil {
		s.tell(store.Signal{All: true})
		return "", nil
	}
	if !refused.Is(err) {
		err = fmt.Errorf("import runs: database %s: %w", s.name, err)
	}
	return taken, err
}

// checkArchive refuses text that would not be kept as it is.
func checkArchive(a *store.Archive) error {
	return checkRun(&store.NewRun{ID: a.Run.ID, Workflow: a.Run.Workflow, ParentID: a.Run.ParentID, ParentRef: a.Run.ParentRef})
}

// importable looks whether IDs and tokens are free.
func (s *Store) importable(ctx context.Context, tx pgx.Tx, runs []store.Archive) (taken string, err error) {
	var ids, tokens []string
	seenID, seenToken := map[string]bool{}, map[string]bool{}
	for i := range runs {
		id := runs[i].Run.ID
		if runs[i].Run.Generation > 0 || runs[i].Run.Origin != nil || runs[i].Run.Paused != nil {
			if err := s.serveGenerations(ctx, tx); err != nil {
				return "", err
			}
		}
		if seenID[id] {
			return id, store.ErrExists
		}
		seenID[id] = true
		ids = append(ids, id)
		for _, h := range runs[i].Hooks {
			if !h.Hook.ClosedAt.IsZero() {
				continue
			}
			if seenToken[h.Hook.Token] {
				return h.Hook.Token, store.ErrConflict
			}
			seenToken[h.Hook.Token] = true
			tokens = append(tokens, h.Hook.Token)
		}
	}
	// In one statement: the first one gets both.
	var isID bool
	err = tx.QueryRow(ctx, inSchema(s.opts.Schema, `SELECT true, id FROM tenter.runs WHERE id = ANY ($1)
		UNION ALL SELECT false, token FROM tenter.hooks WHERE token = ANY ($2) AND closed_at IS NULL ORDER BY 1 DESC LIMIT 1`), ids, tokens).Scan(&isID, &taken)
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return "", nil
	case err != nil:
		return "", err
	case isID:
		return taken, store.ErrExists
	}
	return taken, store.ErrConflict
}

// importSubscriptions inserts what runs that are imported await, when all of them are there.
func (s *Store) importSubscriptions(ctx context.Context, tx pgx.Tx, runs []store.Archive) error {
	var targets []string
	for i := range runs {
		targets = append(targets, runs[i].Run.ID)
		for _, sub := range runs[i].Subscriptions {
			targets = append(targets, sub.Target)
			_, err := tx.Exec(ctx, inSchema(s.opts.Schema, `INSERT INTO tenter.subscriptions (run_id, ref, target) VALUES ($1, $2, $3)`),
				runs[i].Run.ID, sub.Ref, sub.Target)
			if err != nil {
				return err
			}
		}
	}
	_, err := tx.Exec(ctx, inSchema(s.opts.Schema, `SELECT tenter.await_imported($1)`), targets)
	return err
}

func (s *Store) importRun(ctx context.Context, tx pgx.Tx, a *store.Archive) error {
	var b pgx.Batch
	queue := func(sql string, args ...any) *pgx.QueuedQuery { return b.Queue(inSchema(s.opts.Schema, sql), args...) }
	r := a.Run
	if r.Worker != "" { // as a claim takes a run over
		r.Suspicion++
		if r.Mark {
			r.Crashes++
		}
		r.Mark = false
	}
	var forkedFrom any
	var origin json.RawMessage
	if r.Origin != nil {
		var err error
		if origin, err = json.Marshal(r.Origin); err != nil {
			return fmt.Errorf("encode where run %s was forked from: %w", r.ID, err)
		}
		forkedFrom = r.Origin.RunID
	}
	due := time.Time{}
	var paused store.Pause // itself, or with its workflow
	if r.Paused != nil {
		paused = *r.Paused
	}
	if !r.Status.Ended() && r.Paused == nil {
		due = r.WakeAt
		for _, m := range a.Mail {
			if due.IsZero() || m.AcceptedAt.Before(due) {
				due = m.AcceptedAt
			}
		}
	}
	queue(`INSERT INTO tenter.runs (id, workflow, version, status, parent_id, parent_ref, trace, secret, created_at, updated_at, ended_at, wake_at, due_at,
		messages, epoch, events, suspicion, mark, crashes, blocked_build, blocked_reason, generation, base,
		forked_from, origin, paused_at, paused_by, paused_why)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22, $23, $24, $25, $26, $27, $28)`,
		r.ID, r.Workflow, r.Version, string(r.Status), r.ParentID, r.ParentRef, optText(r.Trace), r.Secret, r.CreatedAt, r.UpdatedAt, optTime(r.EndedAt), optTime(r.WakeAt),
		optTime(due), len(a.Mail), r.Epoch, r.Events, r.Suspicion, r.Mark, r.Crashes, r.BlockedBuild, r.BlockedReason, r.Generation, r.Base,
		forkedFrom, origin, optTime(paused.At), paused.Actor, paused.Why)
	for _, g := range a.Generations {
		queue(`INSERT INTO tenter.generations (run_id, number, ended_at, base, last, unread) VALUES ($1, $2, $3, $4, $5, $6)`, r.ID, g.Number, g.EndedAt, g.Base, g.Last, g.Unread)
	}
	for i := range a.Events {
		e := &a.Events[i]
		queue(`INSERT INTO tenter.journal (run_id, position, at, kind, ref, data, asked, or_start, epoch, seq, actor) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)`,
			r.ID, e.Position, e.At, string(e.Kind), e.Ref, e.Data, optText(e.Asked), encodeNewRun(e.OrStart), e.Epoch, e.Seq, optText(e.Actor))
	}
	for _, cut := range a.Cuts {
		e := &cut.Event
		queue(`INSERT INTO tenter.journal_cuts (run_id, cut, cut_at, position, at, kind, ref, data, asked, or_start, epoch, seq, actor)
			VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)`,
			r.ID, cut.Cut, cut.CutAt, e.Position, e.At, string(e.Kind), e.Ref, e.Data, optText(e.Asked), encodeNewRun(e.OrStart), e.Epoch, e.Seq, optText(e.Actor))
	}
	ids := map[int64]int64{} // of messages
	for _, m := range a.Mail {
		queue(`INSERT INTO tenter.mailbox (run_id, kind, ref, data, accepted_at, or_start, trace, actor) VALUES ($1, $2, $3, $4, $5, $6, $7, $8) RETURNING id`,
			r.ID, string(m.Kind), m.Ref, m.Data, m.AcceptedAt, encodeNewRun(m.OrStart), optText(m.Trace), optText(m.Actor)).QueryRow(func(row pgx.Row) error {
			var id int64
			err := row.Scan(&id)
			ids[m.ID] = id
			return err
		})
	}
	for _, u := range a.Unread {
		m := u.Message
		queue(`INSERT INTO tenter.unread (run_id, number, message_id, kind, ref, data, accepted_at, or_start, journaled, actor) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)`,
			r.ID, u.Number, m.ID, string(m.Kind), m.Ref, m.Data, m.AcceptedAt, encodeNewRun(m.OrStart), u.Journaled, optText(m.Actor))
	}
	for _, archived := range a.Hooks {
		h := archived.Hook
		queue(`INSERT INTO tenter.hooks (run_id, id, token, type, metadata, webhook, reserved, adopted_as, created_at, closed_at, opened_pos, closed_pos, carried,
			subject, listens_from, listens_to)
			VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16)`,
			r.ID, h.ID, h.Token, h.Type, h.Metadata, h.Webhook, h.Reserved, optText(archived.AdoptedAs), h.CreatedAt, optTime(h.ClosedAt), h.OpenedPos, h.ClosedPos, h.Carried,
			optText(h.Subject), h.ListensFrom, h.ListensTo)
	}
	queue(`SELECT tenter.listen_all($1)`, r.ID)
	for _, q := range a.Receipts {
		queue(`INSERT INTO tenter.receipts (token, key, hook_id, run_id, type, metadata, webhook, request, hook_created_at, expires_at)
			VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) ON CONFLICT DO NOTHING`,
			q.Token, q.Key, q.HookID, r.ID, q.Type, q.Metadata, q.Webhook, optText(q.Request), q.HookCreatedAt, q.ExpiresAt)
	}
	for _, q := range a.Responses {
		queue(`INSERT INTO tenter.responses (request, run_id, responder, status, header, body, at, expires_at)
			VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT DO NOTHING`,
			q.Request, r.ID, q.Responder, q.Status, q.Header, q.Body, q.At, q.KeepUntil)
	}
	if err := tx.SendBatch(ctx, &b).Close(); err != nil {
		return err
	}
	for _, t := range a.TxSteps {
		var message any
		if t.Completed {
			message = ids[t.Message]
		}
		if _, err := tx.Exec(ctx, inSchema(s.opts.Schema, `INSERT INTO tenter.tx_steps (run_id, step, message_id) VALUES ($1, $2, $3)`), r.ID, t.Step, message); err != nil {
			return err
		}
	}
	return nil
}
