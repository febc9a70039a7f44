package postgres

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/tenter-dev/tenter/store"
	"github.com/tenter-dev/tenter/store/internal/refused"
)

// Backlog returns payloads that wait in the backlog of a hook.
func (s *Store) Backlog(ctx context.Context, runID, hookID string, after int64, limit int) (payloads []store.Message, more bool, err error) {
	err = s.with(ctx, func(ctx context.Context, c *pgxpool.Conn) error {
		rows, err := c.Query(ctx, s.sql.backlog, runID, hookID, after, int64(limit)+1)
		if err != nil {
			return err
		}
		defer rows.Close()
		for size := 0; rows.Next(); {
			if len(payloads) == limit || size >= store.PageSize {
				more = true
				break
			}
			m, err := readMessage(rows)
			if err != nil {
				return err
			}
			m.Deferred = true
			payloads, size = append(payloads, m), size+len(m.Data)
		}
		rows.Close()
		return rows.Err()
	})
	return payloads, more, s.readError("read a backlog of run "+runID, err)
}

// row is a row with a last column that goes elsewhere.
type row struct {
	pgx.Row
	last any
}

func (r row) Scan(dest ...any) error { return r.Row.Scan(append(dest, r.last)...) }

// Run returns the head of a run. One that no live worker has the workflow or
// version for is shown as blocked.
func (s *Store) Run(ctx context.Context, runID string) (store.Run, error) {
	var r store.Run
	err := s.with(ctx, func(ctx context.Context, c *pgxpool.Conn) error {
		var b pgx.Batch
		b.Queue(s.sql.run, runID).QueryRow(func(row pgx.Row) (err error) {
			r, err = readRun(row)
			return found(err)
		})
		b.Queue(s.sql.workers).Query(func(rows pgx.Rows) error {
			if r.Status != store.Running && r.Status != store.Waiting {
				return nil
			}
			lists, err := pgx.CollectRows(rows, pgx.RowTo[string])
			if err != nil {
				return err
			}
			reason, err := s.defs.Available(lists, r.Workflow, r.Version)
			if err == nil && reason != "" {
				r.Status, r.BlockedReason = store.Blocked, reason
			}
			return err
		})
		return c.SendBatch(ctx, &b).Close()
	})
	if err != nil {
		return store.Run{}, s.readError("look up run "+runID, err)
	}
	return r, nil
}

// Endings tells how runs have ended, if they have.
func (s *Store) Endings(ctx context.Context, runIDs []string) ([]store.Ending, error) {
	var all []store.Ending
	err := s.with(ctx, func(ctx context.Context, c *pgxpool.Conn) error {
		survives := true
		rows, err := c.Query(ctx, s.sql.endings, slices.DeleteFunc(slices.Clone(runIDs), func(id string) bool { return !isText(id) }))
		if err != nil {
			return err
		}
		all, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (e store.Ending, err error) {
			sure := false
			err = row.Scan(&sure, &e.RunID, &e.Workflow, &e.Status, &e.Data)
			survives = survives && (sure || !e.Status.Ended())
			return e, err
		})
		if err == nil && !survives {
			err = s.confirm(ctx, c)
		}
		return err
	})
	return all, s.readError("look how runs have ended", err)
}

// Journal returns a page of a run's journal.
func (s *Store) Journal(ctx context.Context, runID string, after int64, limit int) ([]store.Event, error) {
	var events []store.Event
	err := s.with(ctx, func(ctx context.Context, c *pgxpool.Conn) error {
		var b pgx.Batch
		b.Queue(s.sql.created, runID).QueryRow(exists)
		b.Queue(s.sql.journalPage, runID, after, limit).Query(func(rows pgx.Rows) (err error) {
			events, err = readPage(rows, readEvent, func(e *store.Event) int { return len(e.Data) })
			return err
		})
		return c.SendBatch(ctx, &b).Close()
	})
	return events, s.readError("read journal of run "+runID, err)
}

// Mailbox returns what was sent to a run and not taken in.
func (s *Store) Mailbox(ctx context.Context, runID string, limit int) ([]store.Message, error) {
	var mail []store.Message
	total := 0
	read := func(rows pgx.Rows, deferred bool) error {
		size := func(m *store.Message) int { return len(m.Data) }
		found, err := readPage(rows, readMessage, size)
		for i := range found {
			found[i].Deferred = deferred
			if len(mail) < limit && total < store.PageSize {
				mail, total = append(mail, found[i]), total+size(&found[i])
			}
		}
		return err
	}
	err := s.with(ctx, func(ctx context.Context, c *pgxpool.Conn) error {
		var b pgx.Batch
		b.Queue("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
		b.Queue(s.sql.created, runID).QueryRow(exists)
		b.Queue(s.sql.mailPage, runID, limit).Query(func(rows pgx.Rows) error { return read(rows, false) })
		b.Queue(s.sql.backlogs, runID, limit).Query(func(rows pgx.Rows) error { return read(rows, true) })
		b.Queue(s.sql.unread, runID, limit).Query(func(rows pgx.Rows) error { return read(rows, false) })
		b.Queue("COMMIT")
		return c.SendBatch(ctx, &b).Close()
	})
	return mail, s.readError("read mailbox of run "+runID, err)
}

// exists reads nothing, and fails if there is no row.
func exists(row pgx.Row) error {
	var any any
	return found(row.Scan(&any))
}

// Workers lists the workers that have a lease, or had one lately.
func (s *Store) Workers(ctx context.Context) ([]store.WorkerInfo, error) {
	return list(ctx, s, "list workers", func(row pgx.Row) (w store.WorkerInfo, err error) {
		var js, keys string
		if err := row.Scan(&w.Name, &w.Build, &js, &keys, &w.RenewedAt, &w.LeaseUntil, &w.Live); err != nil {
			return w, err
		}
		w.RenewedAt, w.LeaseUntil = w.RenewedAt.UTC(), w.LeaseUntil.UTC()
		defs, err := s.defs.Decode(js)
		w.Definitions, w.LinkKeys = append(w.Definitions, defs...), append(w.LinkKeys, strings.Fields(keys)...)
		return w, err
	}, s.sql.allWorkers)
}

// Hook returns the open hook that has the token.
func (s *Store) Hook(ctx context.Context, token string) (store.Hook, error) {
	var h store.Hook
	err := s.with(ctx, func(ctx context.Context, c *pgxpool.Conn) (err error) {
		h, err = readHook(c.QueryRow(ctx, s.sql.hook, token))
		return found(err)
	})
	return h, s.readError("look up a hook", err)
}

// Executing returns the attempts shown for a run.
func (s *Store) Executing(ctx context.Context, runID string) ([]store.Attempt, error) {
	return list(ctx, s, "list attempts of run "+runID, func(row pgx.Row) (a store.Attempt, err error) {
		err = row.Scan(&a.RunID, &a.Step, &a.Attempt, &a.StartedAt, &a.Worker)
		a.StartedAt = a.StartedAt.UTC()
		return a, err
	}, s.sql.executing, runID)
}

// list runs a query and reads all its rows.
func list[T any](ctx context.Context, s *Store, what string, read func(pgx.Row) (T, error), sql string, args ...any) (all []T, err error) {
	err = s.with(ctx, func(ctx context.Context, c *pgxpool.Conn) error {
		rows, err := c.Query(ctx, sql, args...)
		if err == nil {
			all, err = readAll(rows, read)
		}
		return err
	})
	return all, s.readError(what, err)
}

// readError says what was being read.
func (s *Store) readError(what string, err error) error {
	if err == nil || refused.Is(err) {
		return err
	}
	return fmt.Errorf("%s: database %s: %w", what, s.name, err)
}

func readAll[T any](rows pgx.Rows, read func(pgx.Row) (T, error)) ([]T, error) {
	defer rows.Close()
	var all []T
	for rows.Next() {
		v, err := read(rows)
		if err != nil {
			return nil, err
		}
		all = append(all, v)
	}
	return all, rows.Err()
}

// readPage reads rows until they have a page of data, or a row is the last.
func readPage[T any](rows pgx.Rows, read func(pgx.Row) (T, error), size func(*T) int) ([]T, error) {
	defer rows.Close()
	var page []T
	for n := 0; n < store.PageSize && rows.Next(); {
		v, err := read(rows)
		if err != nil {
			return nil, err
		}
		page = append(page, v)
		n += size(&v)
	}
	rows.Close()
	return page, rows.Err()
}

// readRun reads runColumns, after others.
func readRun(row pgx.Row, before ...any) (store.Run, error) {
	var r store.Run
	var ended, wake, paused *time.Time
	var by, why *string
	var whole bool
	var origin *string
	err := row.Scan(append(before, &r.ID, &r.Workflow, &r.Version, &r.Status, &r.ParentID, &r.ParentRef, &r.Trace, &r.Secret, &r.CreatedAt, &r.UpdatedAt,
		&ended, &wake, &r.Worker, &r.Epoch, &r.Events, &r.Suspicion, &r.Mark, &r.Crashes, &r.BlockedBuild, &r.BlockedReason, &r.Generation, &r.Base, &origin,
		&paused, &by, &why, &whole)...)
	if err == nil && paused != nil && !r.Status.Ended() {
		r.Paused = &store.Pause{At: paused.UTC(), Actor: *by, Why: *why, Workflow: whole}
	}
	r.CreatedAt, r.UpdatedAt = r.CreatedAt.UTC(), r.UpdatedAt.UTC()
	r.EndedAt, r.WakeAt = timeOf(ended), timeOf(wake)
	if err == nil && origin != nil {
		r.Origin = new(store.Origin)
		if err = json.Unmarshal([]byte(*origin), r.Origin); err != nil {
			err = fmt.Errorf("read where run %s was forked from: %w", r.ID, err)
		}
	}
	return r, err
}

// readHook reads hookColumns.
func readHook(row pgx.Row) (store.Hook, error) { return scanHook(row) }

// readNumbered reads number and hookColumns.
func readNumbered(row pgx.Row) (store.Hook, error) {
	var number int64
	h, err := scanHook(row, &number)
	h.Number = number
	return h, err
}

func scanHook(row pgx.Row, before ...any) (store.Hook, error) {
	var h store.Hook
	var closed *time.Time
	err := row.Scan(append(before, &h.ID, &h.RunID, &h.Token, &h.Type, &h.Metadata, &h.Webhook, &h.Reserved, &h.CreatedAt, &closed, &h.OpenedPos, &h.ClosedPos, &h.Carried,
		&h.Subject, &h.ListensFrom, &h.ListensTo)...)
	h.CreatedAt, h.ClosedAt = h.CreatedAt.UTC(), timeOf(closed)
	return h, err
}

// readMessage reads an ID, mailColumns, a trace and an actor.
func readMessage(row pgx.Row) (store.Message, error) {
	var m store.Message
	var orStart []byte
	err := row.Scan(&m.ID, &m.RunID, &m.Kind, &m.Ref, &m.Data, &m.AcceptedAt, &orStart, &m.Trace, &m.Actor)
	if err != nil {
		return m, err
	}
	m.AcceptedAt = m.AcceptedAt.UTC()
	m.OrStart, err = readNewRun(orStart)
	return m, err
}

func readEvent(row pgx.Row) (store.Event, error) {
	var e store.Event
	var orStart []byte
	err := row.Scan(&e.Position, &e.At, &e.Kind, &e.Ref, &e.Data, &e.Asked, &orStart, &e.Epoch, &e.Seq, &e.Actor)
	if err != nil {
		return e, err
	}
	e.At = e.At.UTC()
	e.OrStart, err = readNewRun(orStart)
	return e, err
}

// readNewRun reads what encodeNewRun made.
func readNewRun(b []byte) (*store.NewRun, error) {
	if b == nil {
		return nil, nil
	}
	r := new(store.NewRun)
	if err := json.Unmarshal(b, r); err != nil {
		return nil, fmt.Errorf("read run to start: %w", err)
	}
	return r, nil
}

// timeOf is a time that may be NULL.
func timeOf(t *time.Time) time.Time {
	if t == nil {
		return time.Time{}
	}
	return t.UTC()
}
