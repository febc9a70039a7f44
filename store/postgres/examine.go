package postgres

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/tenter-dev/tenter/store"
)

var _ store.Examiner = (*Store)(nil)

// inconsistencies lists what the tables say about each other that can't be.
const inconsistencies = `
SELECT 'messages of ' || id FROM tenter.runs r WHERE messages <> (SELECT count(*) FROM tenter.mailbox WHERE run_id = r.id)
UNION ALL SELECT 'events of ' || id FROM tenter.runs r WHERE events - base <> (SELECT count(*) FROM tenter.journal WHERE run_id = r.id AND position > r.base)
UNION ALL SELECT 'events of generation ' || number || ' of ' || run_id FROM tenter.generations g
	WHERE last - base <> (SELECT count(*) FROM tenter.journal WHERE run_id = g.run_id AND position > g.base AND position <= g.last)
UNION ALL SELECT 'due_at of ' || id FROM tenter.runs r WHERE ended_at IS NULL AND CASE
	WHEN paused_at IS NOT NULL THEN due_at IS NOT NULL
	WHEN due_at IS NULL OR messages = 0 AND wake_at IS NULL THEN due_at IS NOT NULL OR messages > 0 OR wake_at IS NOT NULL
	WHEN messages > 0 THEN due_at > (SELECT max(accepted_at) FROM tenter.mailbox WHERE run_id = r.id)
	ELSE due_at > wake_at OR due_at < wake_at AND wake_at > updated_at END -- it may have had work before
UNION ALL SELECT 'end of ' || id FROM tenter.runs WHERE ended_at IS NOT NULL AND (due_at IS NOT NULL OR wake_at IS NOT NULL OR worker <> '' OR paused_at IS NOT NULL)
UNION ALL SELECT 'status of ' || id FROM tenter.runs WHERE (ended_at IS NULL) <> (status IN ('running', 'waiting', 'blocked'))
UNION ALL SELECT 'no run for mail of ' || run_id FROM tenter.mailbox WHERE backlog IS NULL AND run_id NOT IN (SELECT id FROM tenter.runs)
UNION ALL SELECT 'backlogs of ' || id FROM tenter.runs r WHERE backlogs <> (SELECT count(*) FROM tenter.hooks WHERE run_id = r.id AND backlog IS NOT NULL)
UNION ALL SELECT 'no hook for backlog ' || backlog FROM tenter.mailbox WHERE backlog IS NOT NULL AND
	(run_id <> '' OR backlog NOT IN (SELECT backlog FROM tenter.hooks WHERE backlog IS NOT NULL))
UNION ALL SELECT 'backlog of ' || run_id FROM tenter.hooks JOIN tenter.runs r ON r.id = run_id WHERE backlog IS NOT NULL AND ended_at IS NOT NULL
UNION ALL SELECT 'open hook of ' || run_id FROM tenter.hooks JOIN tenter.runs r ON r.id = run_id WHERE closed_at IS NULL AND ended_at IS NOT NULL
UNION ALL SELECT 'subscription of ' || run_id FROM tenter.subscriptions s WHERE run_id NOT IN (SELECT id FROM tenter.runs)
	OR EXISTS (SELECT FROM tenter.runs r WHERE r.id = target AND NOT awaited)
UNION ALL SELECT 'untold end of ' || id FROM tenter.runs r WHERE awaited AND ended_at IS NOT NULL AND id NOT IN (SELECT target FROM tenter.subscriptions)
UNION ALL SELECT 'listener of ' || l.run_id FROM tenter.listeners l LEFT JOIN tenter.hooks h ON h.run_id = l.run_id AND h.id = l.hook_id
	WHERE h.closed_at IS NOT NULL OR h.subject IS DISTINCT FROM l.subject OR h.type <> l.topic
UNION ALL SELECT 'no listener for hook ' || id FROM tenter.hooks h WHERE subject IS NOT NULL AND closed_at IS NULL
	AND NOT EXISTS (SELECT FROM tenter.listeners l WHERE l.run_id = h.run_id AND l.hook_id = h.id)
UNION ALL SELECT 'listeners of topic ' || topic FROM tenter.topics t
	WHERE listeners <> (SELECT count(*) FROM tenter.listeners l WHERE l.topic = t.topic AND l.subject = t.subject)
UNION ALL SELECT 'forgotten publication to ' || topic FROM tenter.publications WHERE key IS NULL AND data IS NULL
UNION ALL SELECT 'no topic of ' || run_id FROM tenter.listeners l
	WHERE NOT EXISTS (SELECT FROM tenter.topics t WHERE l.topic = t.topic AND l.subject = t.subject)
UNION ALL SELECT 'listeners behind of topic ' || topic FROM tenter.topics t WHERE NOT behind
	AND EXISTS (SELECT FROM tenter.listeners l WHERE l.topic = t.topic AND l.subject = t.subject AND l.told < t.published)`

// examined is how many of what was found are shown.
const examined = 10

// Examine looks through the schema; thoroughly, also at what the tables say about each
// other, and at the indexes, if the extension amcheck is there.
func (s *Store) Examine(ctx context.Context, thorough bool, progress func(what string, done, of int)) (x store.Examination, err error) {
	if x.Workers, err = s.Workers(ctx); err != nil {
		return x, err
	}
	const left = `NOT EXISTS (SELECT FROM tenter.workers w WHERE w.name = worker AND w.lease_until > clock_timestamp())`
	parts := []struct {
		what string
		do   func(ctx context.Context, c *pgx.Conn) error
	}{
		{"schema", func(ctx context.Context, c *pgx.Conn) (err error) {
			x.Known = s.known
			x.Schema, err = schemaVersion(ctx, c, s.opts.Schema)
			return err
		}},
		{"stuck leases", s.findRuns(&x.Stuck, `p.at IS NULL AND worker <> '' AND due_at <= clock_timestamp() AND `+left, "due_at")},
		{"runs that nobody takes", s.findRuns(&x.Unclaimed, `p.at IS NULL AND worker = '' AND blocked_build = '' AND due_at <= clock_timestamp() - interval '1 minute'`, "due_at")},
		{"blocked runs", s.findRuns(&x.Blocked, `status = 'blocked'`, "id DESC")},
		{"runs in quarantine", s.findRuns(&x.Quarantined, `suspicion > 1 AND ended_at IS NULL`, "id DESC")},
		{"waiting runs", s.findRuns(&x.Waiting, `status = 'waiting'`, "updated_at")},
		{"hooks", func(ctx context.Context, c *pgx.Conn) error { return s.findOrphans(ctx, c, &x.Orphans) }},
		{"sizes", func(ctx context.Context, c *pgx.Conn) error { return s.measure(ctx, c, &x) }},
		{"integrity", func(ctx context.Context, c *pgx.Conn) error { return s.checkIndexes(ctx, c, &x, thorough) }},
		{"consistency", func(ctx context.Context, c *pgx.Conn) error {
			if !thorough {
				return nil
			}
			return s.damage(ctx, c, &x, `SELECT 'inconsistent: ' || d FROM (`+inconsistencies+`) AS found (d) LIMIT 10`)
		}},
	}
	for i, p := range parts {
		if progress != nil {
			progress(p.what, i, len(parts))
		}
		if err := s.lend(ctx, p.do); err != nil {
			return x, s.readError("look at "+p.what, err)
		}
	}
	return x, nil
}

// lend lends a connection for something that takes as long as it takes.
func (s *Store) lend(ctx context.Context, f func(ctx context.Context, c *pgx.Conn) error) error {
	if s.closed.Load() {
		return store.ErrClosed
	}
	c, err := s.pool.Acquire(ctx)
	if err != nil {
		return err
	}
	defer c.Release()
	return f(ctx, c.Conn())
}

// findRuns counts runs and reads a few of them.
func (s *Store) findRuns(f *store.FoundRuns, where, order string) func(ctx context.Context, c *pgx.Conn) error {
	return func(ctx context.Context, c *pgx.Conn) error {
		from := "FROM tenter.runs r" + runPauses + " WHERE " + where
		err := c.QueryRow(ctx, inSchema(s.opts.Schema, "SELECT count(*) "+from)).Scan(&f.Count)
		if err != nil || f.Count == 0 {
			return err
		}
		rows, err := c.Query(ctx, inSchema(s.opts.Schema, fmt.Sprintf(`SELECT %s %s ORDER BY %s LIMIT %d`, runColumns, from, order, examined)))
		if err != nil {
			return err
		}
		f.First, err = readAll(rows, func(row pgx.Row) (store.Run, error) { return readRun(row) })
		return err
	}
}

func (s *Store) findOrphans(ctx context.Context, c *pgx.Conn, f *store.FoundHooks) error {
	const orphans = `FROM tenter.hooks h WHERE closed_at IS NULL AND NOT EXISTS (SELECT FROM tenter.runs r WHERE r.id = h.run_id AND r.ended_at IS NULL)`
	err := c.QueryRow(ctx, inSchema(s.opts.Schema, `SELECT count(*) `+orphans)).Scan(&f.Count)
	if err != nil || f.Count == 0 {
		return err
	}
	rows, err := c.Query(ctx, inSchema(s.opts.Schema, fmt.Sprintf(`SELECT %s %s ORDER BY number LIMIT %d`, hookColumns, orphans, examined)))
	if err != nil {
		return err
	}
	f.First, err = readAll(rows, readHook)
	return err
}

// measure asks for sizes and the numbers of rows that the statistics have.
func (s *Store) measure(ctx context.Context, c *pgx.Conn, x *store.Examination) error {
	rows, err := c.Query(ctx, `SELECT c.relname, greatest(c.reltuples, 0)::bigint, coalesce(pg_stat_get_dead_tuples(c.oid), 0), pg_total_relation_size(c.oid)
		FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = $1 AND c.relkind = 'r' ORDER BY 4 DESC`, s.opts.Schema)
	if err != nil {
		return err
	}
	x.Tables, err = readAll(rows, func(row pgx.Row) (t store.TableSize, err error) {
		err = row.Scan(&t.Name, &t.Rows, &t.Dead, &t.Bytes)
		return t, err
	})
	for _, t := range x.Tables {
		x.Size += t.Bytes
	}
	return err
}

// damage adds what a query finds to what must not be.
func (s *Store) damage(ctx context.Context, c *pgx.Conn, x *store.Examination, sql string, args ...any) error {
	rows, err := c.Query(ctx, inSchema(s.opts.Schema, sql), args...)
	if err != nil {
		return err
	}
	found, err := pgx.CollectRows(rows, pgx.RowTo[string])
	x.Damage = append(x.Damage, found...)
	return err
}

// checkIndexes looks for indexes that are invalid, for pages whose checksum was wrong,
// and has amcheck look at all indexes, if it is there and may be used.
func (s *Store) checkIndexes(ctx context.Context, c *pgx.Conn, x *store.Examination, thorough bool) error {
	const indexes = `FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = $1`
	if err := s.damage(ctx, c, x, `SELECT 'index ' || c.relname || ' is invalid: REINDEX it' `+indexes+` AND NOT i.indisvalid`, s.opts.Schema); err != nil {
		return err
	}
	err := s.damage(ctx, c, x, `SELECT checksum_failures || ' pages of the database had a wrong checksum' FROM pg_stat_database
		WHERE datname = current_database() AND checksum_failures > 0`)
	if err != nil || !thorough {
		return err
	}
	var check *string
	if err := c.QueryRow(ctx, `SELECT p.oid::regproc::text FROM pg_proc p WHERE p.proname = 'bt_index_check' AND p.pronargs = 1
		AND has_function_privilege(p.oid, 'EXECUTE') LIMIT 1`).Scan(&check); err != nil {
		if errors.Is(err, pgx.ErrNoRows) {
			return nil
		}
		return err
	}
	rows, err := c.Query(ctx, `SELECT c.oid::regclass::text `+indexes, s.opts.Schema)
	if err != nil {
		return err
	}
	names, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return err
	}
	for _, name := range names {
		_, err := c.Exec(ctx, `SELECT `+*check+`($1::text::regclass)`, name)
		if pe, ok := errors.AsType[*pgconn.PgError](err); ok && pe.Code == "XX002" { // index_corrupted
			x.Damage = append(x.Damage, "index "+name+": "+pe.Message+": REINDEX it")
		} else if err != nil {
			return err
		}
	}
	return nil
}
