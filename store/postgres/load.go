package postgres

import (
	"context"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/tenter-dev/tenter/internal/batched"
	"github.com/tenter-dev/tenter/store"
)

// maxLoads is how many runs are loaded at once.
const maxLoads = 64

// loading is a run to be loaded, with the events after a position.
type loading struct {
	runID string
	after int64
}

func newLoads(s *Store) *batched.Loader[loading, store.Loaded] {
	return &batched.Loader[loading, store.Loaded]{Load: s.loadAll, Most: maxLoads}
}

// Load returns a run, the events after a position, and its mailbox, as of one
// moment.
func (s *Store) Load(ctx context.Context, runID string, after int64) (store.Loaded, error) {
	if !isText(runID) {
		return store.Loaded{}, store.ErrNotFound
	}
	l, err := s.loads.Get(ctx, loading{runID, after})
	if err == nil && l.Run.ID == "" {
		err = store.ErrNotFound
	}
	return l, s.readError("load run "+runID, err)
}

// genericPlans has a transaction plan each statement once for all: planning costs as much as loading a
// run.
const genericPlans = "SELECT set_config('plan_cache_mode', 'force_generic_plan', true)"

// loadAll loads runs. Those that do not exist have no ID.
func (s *Store) loadAll(ctx context.Context, all []loading) ([]store.Loaded, error) {
	var found []store.Loaded
	err := s.with(ctx, func(ctx context.Context, c *pgxpool.Conn) (err error) {
		found, err = s.loadOn(ctx, c, all...)
		return err
	})
	return found, err
}

func (s *Store) loadOn(ctx context.Context, c *pgxpool.Conn, all ...loading) ([]store.Loaded, error) {
	var b pgx.Batch
	b.Queue("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
	b.Queue(genericPlans)
	found := s.queueLoads(&b, all...)
	b.Queue("COMMIT")
	return found, c.SendBatch(ctx, &b).Close()
}

// queueLoads adds to a batch what loads runs into what it returns. They are of one moment if
// nobody can write meanwhile, or the transaction has one snapshot.
func (s *Store) queueLoads(b *pgx.Batch, all ...loading) []store.Loaded {
	found := make([]store.Loaded, len(all))
	ids, afters := make([]string, len(all)), make([]int64, len(all))
	for i, l := range all {
		ids[i], afters[i] = l.runID, l.after
	}
	b.Queue(s.sql.heads, ids).Query(func(rows pgx.Rows) error {
		defer rows.Close()
		for rows.Next() {
			var i int
			r, err := readRun(rows, &i)
			if err != nil {
				return err
			}
			found[i-1].Run = r
		}
		return rows.Err()
	})
	b.Queue(s.sql.journals, ids, afters).Query(func(rows pgx.Rows) error {
		defer rows.Close()
		for rows.Next() {
			var i int
			e, err := readEvent(after{rows, []any{&i}})
			if err != nil {
				return err
			}
			l := &found[i-1]
			if known := max(afters[i-1], l.Run.Base); l.Events == nil && l.Run.Events > known {
				l.Events = make([]store.Event, 0, l.Run.Events-known)
			}
			l.Events = append(l.Events, e)
		}
		return rows.Err()
	})
	b.Queue(s.sql.mails, ids, store.MailPage+1).Query(func(rows pgx.Rows) error {
		defer rows.Close()
		sizes := make([]int, len(all))
		for rows.Next() {
			var i int
			var backlog bool
			m, err := readMessage(row{after{rows, []any{&i}}, &backlog})
			if err != nil {
				return err
			}
			l, size := &found[i-1], &sizes[i-1]
			switch {
			case backlog:
				m.Deferred = true
				l.Backlog = append(l.Backlog, m)
			case len(l.Mail) == store.MailPage || *size >= store.PageSize:
				l.More = true
			default:
				l.Mail, *size = append(l.Mail, m), *size+len(m.Data)
			}
		}
		return rows.Err()
	})
	return found
}
