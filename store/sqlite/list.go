package sqlite

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/tenter-dev/tenter/internal/prefix"
	"github.com/tenter-dev/tenter/store"
)

// defaultLimit is how long a list is if nobody says.
const defaultLimit = 100

// never is greater than all texts of times.
const never = "~"

var statuses = []store.Status{store.Running, store.Waiting, store.Blocked, store.Completed, store.Failed, store.Canceled}

// Runs lists runs, newest first.
func (s *Store) Runs(ctx context.Context, f store.Filter) ([]store.Run, error) {
	if s.previous && (f.ForkedFrom != "" || f.Awaits != "" || f.Paused) {
		return nil, nil // its runs are not
	}
	f.Limit = cmp.Or(max(f.Limit, 0), defaultLimit)
	var runs []store.Run
	err := s.pool.read(ctx, func(c *conn) (err error) {
		if f.Prefix != "" || f.ParentID != "" || f.ForkedFrom != "" || f.Awaits != "" {
			runs, err = c.runsBy(runsQuery(f))
		} else {
			runs, err = c.newestRuns(f)
		}
		return err
	})
	return runs, err
}

// runsBy runs a query of its own.
func (c *conn) runsBy(query string, args []string) ([]store.Run, error) {
	p, _, err := c.c.PrepareTransient(c.sql(query))
	if err != nil {
		return nil, err
	}
	defer p.Finalize()
	st := &stmt{s: p}
	for _, a := range args {
		st.bindText(a)
	}
	return readAll(st, readRun)
}

// runsQuery builds the query of a filter that the IDs of runs, of their parents or origins, or of those
// that they await serve best.
func runsQuery(f store.Filter) (query string, args []string) {
	var where []string
	add := func(cond string, arg ...string) {
		where = append(where, cond)
		args = append(args, arg...)
	}
	from, order := "tenter_runs", "id DESC"
	if f.Prefix == "" {
		order = "created_at DESC, id DESC"
	} else {
		add("id >= ?", f.Prefix)
		if end := prefix.End(f.Prefix); end != "" {
			add("id < ?", end)
		}
	}
	if f.ParentID != "" {
		from = "tenter_runs INDEXED BY tenter_runs_parent"
		add("parent_id = ?", f.ParentID)
	}
	if f.ForkedFrom != "" { // a fork has no parent
		from = "tenter_runs INDEXED BY tenter_runs_forked"
		add("forked_from = ?", f.ForkedFrom)
	}
	if f.Awaits != "" {
		from = "(SELECT DISTINCT run_id FROM tenter_subscriptions INDEXED BY tenter_subscriptions_target WHERE target = ?) CROSS JOIN tenter_runs"
		args = append([]string{f.Awaits}, args...)
		add("id = run_id")
	}
	if f.Before.ID != "" && f.Prefix != "" {
		add("id < ?", f.Before.ID)
	} else if f.Before.ID != "" {
		add("(created_at, id) < (?, ?)", formatTime(f.Before.CreatedAt), f.Before.ID)
	}
	if f.Status != "" {
		add("status = ?", string(f.Status))
	}
	if f.Open {
		add("ended_at IS NULL")
	}
	if f.Workflow != "" {
		add("workflow = ?", f.Workflow)
	}
	if f.Paused {
		add("(paused_at IS NOT NULL OR p.at IS NOT NULL) AND ended_at IS NULL")
	}
	if !f.Since.IsZero() {
		add("created_at >= ?", formatTime(f.Since))
	}
	if !f.Until.IsZero() {
		add("created_at < ?", formatTime(f.Until))
	}
	return fmt.Sprintf("SELECT %s FROM %s%s WHERE %s ORDER BY %s LIMIT %d",
		runColumns, from, runPauses, strings.Join(where, " AND "), order, f.Limit), args
}

// listed is a run in the index of lists.
type listed struct{ created, id string }

// newestRuns merges the lists of the workflows and statuses that fit.
func (c *conn) newestRuns(f store.Filter) ([]store.Run, error) {
	workflows, in := []string{f.Workflow}, f.In(statuses)
	if f.Workflow == "" {
		var err error
		if workflows, err = c.workflows(); err != nil {
			return nil, err
		}
	}
	before, since := listed{created: never}, "" // what is listed is before the one and not before the other
	if !f.Until.IsZero() {
		before.created = formatTime(f.Until)
	}
	if created := formatTime(f.Before.CreatedAt); f.Before.ID != "" && created < before.created {
		before = listed{created, f.Before.ID}
	}
	if !f.Since.IsZero() {
		since = formatTime(f.Since)
	}
	var paused []store.PausedWorkflow
	if f.Paused {
		var err error
		if paused, err = c.pausedWorkflows(); err != nil {
			return nil, err
		}
	}
	var found []listed
	for _, workflow := range workflows {
		q := qRunListed
		if f.Paused && !slices.ContainsFunc(paused, func(p store.PausedWorkflow) bool { return p.Workflow == workflow }) {
			q = qRunListedPaused
		}
		for _, status := range in {
			if f.Paused && status.Ended() {
				continue
			}
			more, err := readAll(c.on(q).bindText(workflow).bindText(string(status)).
				bindText(before.created).bindText(before.id).bindText(since).bindInt(int64(f.Limit)),
				whole(func(st *stmt) listed { return listed{st.text(), st.text()} }))
			if err != nil {
				return nil, err
			}
			if len(more) == 0 {
				continue
			}
			found = append(found, more...)
			slices.SortFunc(found, func(a, b listed) int {
				return -cmp.Or(strings.Compare(a.created, b.created), strings.Compare(a.id, b.id))
			})
			if len(found) >= f.Limit {
				found = found[:f.Limit]
				since = found[f.Limit-1].created // older ones don't matter any more
			}
		}
	}
	runs := make([]store.Run, len(found))
	for i, l := range found {
		var err error
		if runs[i], err = readOne(c.on(qRunFull).bindText(l.id), readRun); err != nil {
			return nil, err
		}
	}
	return runs, nil
}

// workflows are the names of the workflows that have runs.
func (c *conn) workflows() ([]string, error) {
	return c.distinct(qRunWorkflow, func(last string) string { return last })
}

// hookTypes are the types that open hooks have.
func (c *conn) hookTypes() ([]string, error) {
	return c.distinct(qHookType, func(last string) string { return last + "\x00" })
}

// distinct steps through the texts of an index, with a query that returns the first
// one after another one.
func (c *conn) distinct(q query, after func(last string) string) ([]string, error) {
	var all []string
	for next := ""; ; {
		v, err := readOne(c.on(q).bindText(next), whole((*stmt).text))
		if isNotFound(err) {
			return all, nil
		}
		if err != nil {
			return nil, err
		}
		all = append(all, v)
		next = after(v)
	}
}

// Count counts the runs of each status, up to limit.
func (s *Store) Count(ctx context.Context, limit int) (map[store.Status]int, error) {
	counts := map[store.Status]int{}
	err := s.pool.read(ctx, func(c *conn) error {
		workflows, err := c.workflows()
		for _, status := range statuses {
			for _, workflow := range workflows {
				left := limit - counts[status]
				if left <= 0 {
					break
				}
				n, err := readOne(c.on(qRunCount).bindText(workflow).bindText(string(status)).bindInt(int64(left)), whole((*stmt).int))
				if err != nil {
					return err
				}
				counts[status] += int(n)
			}
		}
		return err
	})
	return counts, err
}

// Hooks lists open hooks, in the order in which they were opened.
func (s *Store) Hooks(ctx context.Context, f store.HookFilter) ([]store.Hook, error) {
	f.Limit = cmp.Or(max(f.Limit, 0), defaultLimit)
	var hooks []store.Hook
	err := s.pool.read(ctx, func(c *conn) (err error) {
		switch {
		case f.RunID != "":
			hooks, err = c.hooksOf(f)
		case f.Prefix != "":
			from, end := max(f.Prefix, f.From), cmp.Or(prefix.End(f.Prefix), "\xff")
			hooks, err = readAll(c.on(qHooksByToken).bindText(from).bindText(end).bindOptText(f.Type).bindInt(int64(f.Limit)), whole(readNumbered))
		default:
			hooks, err = c.hooksInOrder(f)
		}
		return err
	})
	return hooks, err
}

// hooksOf lists the hooks of a run, which are few.
func (c *conn) hooksOf(f store.HookFilter) ([]store.Hook, error) {
	all, err := readAll(c.on(qHooksOf).bindText(f.RunID), whole(readNumbered))
	if f.Prefix != "" {
		slices.SortFunc(all, func(a, b store.Hook) int { return strings.Compare(a.Token, b.Token) })
	}
	var hooks []store.Hook
	for _, h := range all {
		past := h.Number > f.After
		if f.Prefix != "" {
			past = h.Token >= f.From
		}
		if past && (f.Type == "" || h.Type == f.Type) && strings.HasPrefix(h.Token, f.Prefix) && len(hooks) < f.Limit {
			hooks = append(hooks, h)
		}
	}
	return hooks, err
}

// hooksInOrder merges the lists of the types that fit.
func (c *conn) hooksInOrder(f store.HookFilter) ([]store.Hook, error) {
	types := []string{f.Type}
	if f.Type == "" {
		var err error
		if types, err = c.hookTypes(); err != nil {
			return nil, err
		}
	}
	var found []store.Hook
	for _, t := range types {
		more, err := readAll(c.on(qHooksOfType).bindText(t).bindInt(f.After).bindInt(int64(f.Limit)), whole(readNumbered))
		if err != nil {
			return nil, err
		}
		found = append(found, more...)
		slices.SortFunc(found, func(a, b store.Hook) int { return cmp.Compare(a.Number, b.Number) })
		found = found[:min(len(found), f.Limit)]
	}
	return found, nil
}

// readNumbered reads number and hookColumns.
func readNumbered(st *stmt) store.Hook {
	number := st.int()
	h := readHook(st)
	h.Number = number
	return h
}
