package postgres

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/tenter-dev/tenter/internal/prefix"
	"github.com/tenter-dev/tenter/internal/saturate"
	"github.com/tenter-dev/tenter/store"
)

// defaultLimit is how long a list is if nobody says.
const defaultLimit = 100

var statuses = []store.Status{store.Running, store.Waiting, store.Blocked, store.Completed, store.Failed, store.Canceled}

const (
	// workflows are the names of the workflows that have runs: it steps from one to the
	// next in the index.
	workflows = `WITH RECURSIVE n AS (
		(SELECT workflow FROM tenter.runs ORDER BY workflow LIMIT 1) UNION ALL
		SELECT (SELECT r.workflow FROM tenter.runs r WHERE r.workflow > n.workflow ORDER BY r.workflow LIMIT 1) FROM n WHERE n.workflow IS NOT NULL
	), w AS (SELECT workflow FROM n WHERE workflow IS NOT NULL) `
	// hookTypes are the types that open hooks have.
	hookTypes = `WITH RECURSIVE n AS (
		(SELECT type FROM tenter.hooks WHERE closed_pos = 0 ORDER BY type LIMIT 1) UNION ALL
		SELECT (SELECT h.type FROM tenter.hooks h WHERE h.closed_pos = 0 AND h.type > n.type ORDER BY h.type LIMIT 1) FROM n WHERE n.type IS NOT NULL
	), t AS (SELECT type FROM n WHERE type IS NOT NULL) `
)

// conditions are those of a statement, with their arguments.
type conditions struct {
	where []string
	args  []any
}

// arg adds an argument and returns its place.
func (c *conditions) arg(v any) string {
	c.args = append(c.args, v)
	return fmt.Sprintf("$%d", len(c.args))
}

// add adds a condition. Each ? stands for an argument.
func (c *conditions) add(cond string, args ...any) {
	for _, v := range args {
		cond = strings.Replace(cond, "?", c.arg(v), 1)
	}
	c.where = append(c.where, cond)
}

func (c *conditions) String() string { return strings.Join(c.where, " AND ") }

// Runs lists runs, newest first.
func (s *Store) Runs(ctx context.Context, f store.Filter) ([]store.Run, error) {
	if s.sql.previous && (f.Awaits != "" || f.Paused) {
		return nil, nil // its runs are not
	}
	f.Limit = cmp.Or(max(f.Limit, 0), defaultLimit)
	var runs []store.Run
	err := s.with(ctx, func(ctx context.Context, c *pgxpool.Conn) error {
		sql, args := s.sql.runs(f)
		rows, err := c.Query(ctx, sql, args...)
		if err == nil {
			runs, err = readAll(rows, func(row pgx.Row) (store.Run, error) { return readRun(row) })
		}
		return err
	})
	return runs, s.readError("list runs", err)
}

// runs builds the query of a filter.
func (q *queries) runs(f store.Filter) (sql string, args []any) {
	var c conditions
	if !f.Since.IsZero() {
		c.add("created_at >= ?", saturate.Time(f.Since))
	}
	if !f.Until.IsZero() {
		c.add("created_at < ?", saturate.Time(f.Until))
	}
	if f.Before.ID != "" && f.Prefix == "" {
		c.add("(created_at, id) < (?, ?)", f.Before.CreatedAt, f.Before.ID)
	} else if f.Before.ID != "" {
		c.add("id < ?", f.Before.ID)
	}
	order := "created_at DESC, id DESC"
	if f.Prefix == "" && f.ParentID == "" && f.ForkedFrom == "" && f.Awaits == "" {
		return q.newestRuns(f, &c, order)
	}
	if f.ParentID != "" {
		c.add("parent_id = ? AND parent_id <> ''", f.ParentID)
	}
	if f.ForkedFrom != "" {
		c.add("forked_from = ?", f.ForkedFrom)
	}
	if f.Prefix != "" {
		order = "id DESC"
		c.add("id >= ?", f.Prefix)
		if end := prefix.End(f.Prefix); end != "" {
			c.add("id < ?", end)
		}
	}
	if f.Status != "" {
		c.add("status = ?", string(f.Status))
	}
	if f.Open {
		c.add("ended_at IS NULL")
	}
	if f.Workflow != "" {
		c.add("workflow = ?", f.Workflow)
	}
	if f.Paused {
		c.add("(paused_at IS NOT NULL OR p.at IS NOT NULL) AND ended_at IS NULL")
	}
	from := "tenter.runs r"
	if f.Awaits != "" {
		from = fmt.Sprintf(`(SELECT DISTINCT s.run_id AS one FROM tenter.subscriptions s WHERE s.target = %s) n
			CROSS JOIN LATERAL (SELECT * FROM tenter.runs q WHERE q.id = n.one OFFSET 0) r`, c.arg(f.Awaits))
		c.add("true")
	}
	sql = fmt.Sprintf("SELECT %s FROM %s%s WHERE %s ORDER BY %s LIMIT %s", runColumns, from, runPauses, &c, order, c.arg(f.Limit))
	return q.in(sql), c.args
}

// newestRuns merges the lists of the workflows and statuses that fit.
func (q *queries) newestRuns(f store.Filter, c *conditions, order string) (sql string, args []any) {
	with, in := workflows, f.In(statuses)
	if f.Workflow != "" {
		with = "WITH w AS (SELECT " + c.arg(f.Workflow) + "::text workflow) "
	}
	// Compared as they are stored: a text of another collation would find no index.
	c.add(`workflow = w.workflow COLLATE "C"`)
	c.add("status = s.status")
	if f.Paused {
		in = slices.DeleteFunc(slices.Clone(in), store.Status.Ended)
	}
	limit := c.arg(f.Limit)
	newest := func(where string) string {
		return fmt.Sprintf(`SELECT r.id, r.created_at FROM w CROSS JOIN unnest(%s::text[]) s (status)
			CROSS JOIN LATERAL (SELECT id, created_at FROM tenter.runs WHERE %s%s ORDER BY %s LIMIT %s) r`, c.arg(in), c, where, order, limit)
	}
	all := newest("")
	if f.Paused { // all of the workflows that are, and of others those that are themselves
		const paused = ` WHERE w.workflow %s (SELECT workflow FROM tenter.paused_workflows)`
		all += fmt.Sprintf(paused, "IN") + " UNION ALL " + newest(" AND paused_at IS NOT NULL") + fmt.Sprintf(paused, "NOT IN")
	}
	sql = fmt.Sprintf(`%s, newest AS (SELECT id FROM (%s) x ORDER BY %s LIMIT %s)
		SELECT %s FROM newest n (one) CROSS JOIN LATERAL (SELECT * FROM tenter.runs q WHERE q.id = n.one OFFSET 0) r%s ORDER BY %[3]s`,
		with, all, order, limit, runColumns, runPauses)
	return q.in(sql), c.args
}

// Count counts the runs of each status, up to limit.
func (s *Store) Count(ctx context.Context, limit int) (map[store.Status]int, error) {
	type count struct {
		status store.Status
		n      int
	}
	all, err := list(ctx, s, "count runs", func(row pgx.Row) (c count, err error) {
		return c, row.Scan(&c.status, &c.n)
	}, s.sql.count, statuses, limit)
	counts := map[store.Status]int{}
	for _, c := range all {
		counts[c.status] = c.n
	}
	return counts, err
}

// Hooks lists open hooks, in the order in which they were opened.
func (s *Store) Hooks(ctx context.Context, f store.HookFilter) ([]store.Hook, error) {
	f.Limit = cmp.Or(max(f.Limit, 0), defaultLimit)
	var hooks []store.Hook
	err := s.with(ctx, func(ctx context.Context, c *pgxpool.Conn) error {
		sql, args := s.sql.hooks(f)
		rows, err := c.Query(ctx, sql, args...)
		if err == nil {
			hooks, err = readAll(rows, readNumbered)
		}
		return err
	})
	return hooks, s.readError("list hooks", err)
}

// hooks builds the query of a filter.
func (q *queries) hooks(f store.HookFilter) (sql string, args []any) {
	var c conditions
	order := "number"
	if f.Prefix != "" {
		order = "token"
		c.add("token >= ?", max(f.Prefix, f.From))
		if end := prefix.End(f.Prefix); end != "" {
			c.add("token < ?", end)
		}
	} else {
		c.add("number > ?", f.After)
	}
	switch {
	case f.RunID != "":
		c.add("run_id = ? AND coalesce(closed_at, 'infinity') = 'infinity'", f.RunID)
	case f.Prefix != "":
		c.add("closed_at IS NULL")
	default:
		return q.hooksInOrder(f, &c)
	}
	if f.Type != "" {
		c.add("type = ?", f.Type)
	}
	sql = fmt.Sprintf("SELECT number, %s FROM tenter.hooks WHERE %s ORDER BY %s LIMIT %s", hookColumns, &c, order, c.arg(f.Limit))
	return q.in(sql), c.args
}

// hooksInOrder merges the lists of the types that fit.
func (q *queries) hooksInOrder(f store.HookFilter, c *conditions) (sql string, args []any) {
	with := hookTypes
	if f.Type != "" {
		with = "WITH t AS (SELECT " + c.arg(f.Type) + "::text type) "
	}
	// Not type = t.type: then the order of all hooks, open or not, would seem to do. Nor a plain
	// closed_at IS NULL: then the index of tokens would, where statistics say that none is open.
	c.add("type >= t.type AND type <= t.type AND closed_pos = 0 AND CASE WHEN closed_at IS NULL THEN true END")
	sql = fmt.Sprintf(`%s SELECT h.* FROM t CROSS JOIN LATERAL
		(SELECT number, %s FROM tenter.hooks WHERE %s ORDER BY type, number LIMIT %s) h ORDER BY h.number LIMIT %[4]s`, with, hookColumns, c, c.arg(f.Limit))
	return q.in(sql), c.args
}
