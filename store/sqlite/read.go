package sqlite

import (
	"context"
	"strings"
	"time"

	"github.com/tenter-dev/tenter/store"
)

// Load returns a run, the events after a position, and its mailbox, as of one
// moment.
func (s *Store) Load(ctx context.Context, runID string, after int64) (store.Loaded, error) {
	var l store.Loaded
	err := s.pool.read(ctx, func(c *conn) (err error) {
		l, err = c.load(runID, after, s.Now())
		return err
	})
	if err != nil {
		return store.Loaded{}, err
	}
	return l, nil
}

func (c *conn) load(runID string, after int64, now time.Time) (l store.Loaded, err error) {
	backlogs := int64(0)
	l.Run, err = readOne(c.on(qRunLoad).bindText(runID), func(st *stmt) (store.Run, error) {
		r, err := readRun(st)
		backlogs = st.int()
		return r, err
	})
	if err != nil {
		return l, err
	}
	l.Mail, l.More, err = c.mailOf(runID, store.MailPage)
	if err != nil {
		return l, err
	}
	if backlogs > 0 {
		if l.Backlog, err = c.firstOf(runID); err != nil {
			return l, err
		}
	}
	due := len(l.Mail) > 0 || !l.Run.WakeAt.IsZero() && !l.Run.WakeAt.After(now.Add(time.Second))
	if after == store.IfFree && (l.Run.Worker != "" || !due) {
		return l, nil
	}
	after = max(after, l.Run.Base)
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
		return l, st.end()
	}
	return l, nil
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

// Endings tells how runs have ended, if they have.
func (s *Store) Endings(ctx context.Context, runIDs []string) ([]store.Ending, error) {
	var all []store.Ending
	err := s.pool.read(ctx, func(c *conn) error {
		all = nil
		for _, id := range runIDs {
			end, err := readOne(c.on(qRunEnding).bindText(id), whole(readEnding))
			if err == nil {
				all = append(all, end)
			} else if !isNotFound(err) {
				return err
			}
		}
		return nil
	})
	return all, err
}

func readEnding(st *stmt) store.Ending {
	return store.Ending{RunID: st.text(), Workflow: st.text(), Status: store.Status(st.text()), Data: st.data()}
}

// look reads the head of a run as it is shown.
func (s *Store) look(c *conn, runID string) (store.Run, error) {
	r, err := readOne(c.on(qRunFull).bindText(runID), readRun)
	if err != nil || (r.Status != store.Running && r.Status != store.Waiting) {
		return r, err
	}
	reason, err := s.available(c, r.Workflow, r.Version)
	if err == nil && reason != "" {
		r.Status, r.BlockedReason = store.Blocked, reason
	}
	return r, err
}

// Journal returns a page of a run's journal.
func (s *Store) Journal(ctx context.Context, runID string, after int64, limit int) ([]store.Event, error) {
	var events []store.Event
	err := s.pool.read(ctx, func(c *conn) error {
		if _, err := readOne(c.on(qRunEvents).bindText(runID), whole((*stmt).int)); err != nil {
			return err
		}
		var err error
		events, err = readPage(c.on(qJournalPage).bindText(runID).bindInt(after).bindInt(int64(limit)), readEvent,
			func(e *store.Event) int { return len(e.Data) })
		return err
	})
	return events, err
}

// Mailbox returns what was sent to a run and not taken in.
func (s *Store) Mailbox(ctx context.Context, runID string, limit int) ([]store.Message, error) {
	var mail []store.Message
	err := s.pool.read(ctx, func(c *conn) error {
		h, err := c.head(runID)
		if err != nil {
			return err
		}
		q := qMailPage
		if h.status.Ended() {
			q = qUnreadList
		}
		size := func(m *store.Message) int { return len(m.Data) }
		mail, err = readPage(c.on(q).bindText(runID).bindInt(int64(limit)), readMessage, size)
		if err != nil || h.backlogs == 0 {
			return err
		}
		backlogs, err := c.backlogsOf(runID)
		for _, b := range backlogs {
			if err != nil || len(mail) >= limit || sum(mail, size) >= store.PageSize {
				break
			}
			var waiting []store.Message
			waiting, _, err = c.waiting(runID, b, first64, limit-len(mail))
			mail = append(mail, waiting...)
		}
		return err
	})
	return mail, err
}

func sum[T any](all []T, size func(*T) int) (n int) {
	for i := range all {
		n += size(&all[i])
	}
	return n
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

// Workers lists the workers that have a lease, or had one lately.
func (s *Store) Workers(ctx context.Context) ([]store.WorkerInfo, error) {
	var workers []store.WorkerInfo
	err := s.pool.read(ctx, func(c *conn) (err error) {
		workers, err = readAll(c.on(qWorkersAll), func(st *stmt) (store.WorkerInfo, error) {
			w := store.WorkerInfo{Name: st.text(), Build: st.text()}
			defs, err := s.defs.Decode(st.text())
			w.Definitions, w.LinkKeys = append(w.Definitions, defs...), append(w.LinkKeys, strings.Fields(st.text())...)
			w.RenewedAt, w.LeaseUntil = st.time(), st.time()
			w.Live = w.LeaseUntil.After(s.Now())
			return w, err
		})
		return err
	})
	return workers, err
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
