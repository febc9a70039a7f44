package sqlite

import (
	"context"
	"fmt"
	"strings"

	"github.com/tenter-dev/tenter/store"
)

// Load returns a run, the events after a position, and its mailbox, as of one
// moment.
func (s *Store) Load(ctx context.Context, runID string, after int64) (store.Loaded, error) {
	var l store.Loaded
	err := s.pool.read(ctx, func(c *conn) (err error) {
		l, err = c.load(runID, after)
		return err
	})
	if err != nil {
		return store.Loaded{}, err
	}
	return l, nil
}

func (c *conn) load(runID string, after int64) (l store.Loaded, err error) {
	if l.Run, err = readOne(c.on(qRunFull).bindText(runID), whole(readRun)); err != nil {
		return l, err
	}
	if n := l.Run.Events - after; n > 0 {
		l.Events = make([]store.Event, 0, n)
		st := c.on(qJournalAfter).bindText(runID).bindInt(after)
		for st.next() {
			e, err := readEvent(st)
			if err != nil {
				_ = st.end()
				return l, err
			}
			l.Events = append(l.Events, e)
		}
		if err := st.end(); err != nil {
			return l, err
		}
	}
	l.Mail, err = c.mailOf(runID)
	return l, err
}

// Run returns the head of a run. One that no live worker has the workflow or
// version for is shown as blocked.
func (s *Store) Run(ctx context.Context, runID string) (store.Run, error) {
	var r store.Run
	err := s.pool.read(ctx, func(c *conn) (err error) {
		r, err = s.look(c, runID)
		return err
	})
	return r, err
}

// look reads the head of a run as it is shown.
func (s *Store) look(c *conn, runID string) (store.Run, error) {
	r, err := readOne(c.on(qRunFull).bindText(runID), whole(readRun))
	if err != nil || (r.Status != store.Running && r.Status != store.Waiting) {
		return r, err
	}
	reason, err := s.available(c, r.Workflow, r.Version)
	if err == nil && reason != "" {
		r.Status, r.BlockedReason = store.Blocked, reason
	}
	return r, err
}

// Runs lists runs, newest first.
func (s *Store) Runs(ctx context.Context, f store.Filter) ([]store.Run, error) {
	query, args := runsQuery(f)
	var runs []store.Run
	err := s.pool.read(ctx, func(c *conn) error {
		p, _, err := c.c.PrepareTransient(query)
		if err != nil {
			return err
		}
		defer p.Finalize()
		st := &stmt{s: p}
		for _, a := range args {
			st.bindText(a)
		}
		runs, err = readAll(st, whole(readRun))
		return err
	})
	return runs, err
}

// runsQuery builds the query of a filter. It names the index that fits best.
func runsQuery(f store.Filter) (query string, args []string) {
	var where []string
	add := func(cond, arg string) {
		where = append(where, cond)
		args = append(args, arg)
	}
	index := ""
	switch f.Status {
	case "":
	case store.Waiting, store.Blocked, store.Failed, store.Canceled:
		// As a constant, so that the index of these can be used.
		where = append(where, "status = '"+string(f.Status)+"'")
		index = " INDEXED BY tenter_runs_status"
	case store.Running:
		// Those are few, and in the claim index.
		where = append(where, "status = 'running' AND (worker IS NOT NULL OR due_at IS NOT NULL)")
		index = " INDEXED BY tenter_runs_due"
	default:
		add("status = ?", string(f.Status))
	}
	if f.ParentID != "" {
		add("parent_id = ?", f.ParentID)
		index = " INDEXED BY tenter_runs_parent"
	}
	if f.Workflow != "" {
		add("workflow = ?", f.Workflow)
	}
	if f.Before != "" {
		add("id < ?", f.Before)
	}
	query = "SELECT " + runColumns + " FROM tenter_runs" + index
	if len(where) > 0 {
		query += " WHERE " + strings.Join(where, " AND ")
	}
	limit := f.Limit
	if limit <= 0 {
		limit = 100
	}
	return query + fmt.Sprintf(" ORDER BY id DESC LIMIT %d", limit), args
}

// Hook returns the open hook that has the token.
func (s *Store) Hook(ctx context.Context, token string) (store.Hook, error) {
	var h store.Hook
	err := s.pool.read(ctx, func(c *conn) (err error) {
		h, err = c.hookByToken(token)
		return err
	})
	return h, err
}

// Hooks returns the open hooks of a run, or of all runs, in the order in which
// they were opened.
func (s *Store) Hooks(ctx context.Context, runID string, limit int) ([]store.Hook, error) {
	if limit <= 0 {
		limit = -1
	}
	var hooks []store.Hook
	err := s.pool.read(ctx, func(c *conn) (err error) {
		st := c.on(qHooksAll)
		if runID != "" {
			st = c.on(qHooksOf).bindText(runID)
		}
		hooks, err = readAll(st.bindInt(int64(limit)), whole(readHook))
		return err
	})
	return hooks, err
}

// Unread returns the payloads that an ended run never took, in order.
func (s *Store) Unread(ctx context.Context, runID string) ([]store.Message, error) {
	var unread []store.Message
	err := s.pool.read(ctx, func(c *conn) (err error) {
		unread, err = readAll(c.on(qUnreadList).bindText(runID), readMessage)
		return err
	})
	return unread, err
}

// Executing returns the attempts shown for a run.
func (s *Store) Executing(ctx context.Context, runID string) ([]store.Attempt, error) {
	var attempts []store.Attempt
	err := s.pool.read(ctx, func(c *conn) (err error) {
		attempts, err = readAll(c.on(qExecutingList).bindText(runID), whole(func(st *stmt) store.Attempt {
			return store.Attempt{RunID: st.text(), Step: st.text(), Attempt: int(st.int()), StartedAt: st.time(), Worker: st.text()}
		}))
		return err
	})
	return attempts, err
}
