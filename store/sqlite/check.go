package sqlite

import (
	"context"
	"errors"
	"fmt"
	"strings"
)

// disagreements finds what the tables say about each other that can't be.
const disagreements = `
SELECT 'messages of ' || id FROM tenter_runs r WHERE messages <> (SELECT count(*) FROM tenter_mailbox WHERE run_id = r.id)
UNION ALL SELECT 'events of ' || id FROM tenter_runs r WHERE events - base <> (SELECT count(*) FROM tenter_journal WHERE run_id = r.id AND position > r.base)
UNION ALL SELECT 'events of generation ' || number || ' of ' || run_id FROM tenter_generations g
	WHERE last - base <> (SELECT count(*) FROM tenter_journal WHERE run_id = g.run_id AND position > g.base AND position <= g.last)
UNION ALL SELECT 'due_at of ' || id FROM tenter_runs r WHERE ended_at IS NULL AND due_at IS NOT (SELECT min(t) FROM
	(SELECT accepted_at AS t FROM tenter_mailbox WHERE run_id = r.id UNION ALL SELECT r.wake_at AS t) WHERE r.paused_at IS NULL)
UNION ALL SELECT 'end of ' || id FROM tenter_runs WHERE ended_at IS NOT NULL AND coalesce(due_at, wake_at, worker, paused_at) IS NOT NULL
UNION ALL SELECT 'status of ' || id FROM tenter_runs WHERE (ended_at IS NULL) <> (status IN ('running', 'waiting', 'blocked'))
UNION ALL SELECT 'no run for mail of ' || run_id FROM tenter_mailbox WHERE backlog IS NULL AND run_id NOT IN (SELECT id FROM tenter_runs)
UNION ALL SELECT 'backlogs of ' || id FROM tenter_runs r WHERE backlogs <> (SELECT count(*) FROM tenter_hooks WHERE run_id = r.id AND backlog IS NOT NULL)
UNION ALL SELECT 'no hook for backlog ' || backlog FROM tenter_mailbox WHERE backlog IS NOT NULL AND
	(run_id <> '' OR backlog NOT IN (SELECT backlog FROM tenter_hooks WHERE backlog IS NOT NULL))
UNION ALL SELECT 'backlog of ' || run_id FROM tenter_hooks JOIN tenter_runs r ON r.id = run_id WHERE backlog IS NOT NULL AND ended_at IS NOT NULL
UNION ALL SELECT 'open hook of ' || run_id FROM tenter_hooks JOIN tenter_runs r ON r.id = run_id WHERE closed_at IS NULL AND ended_at IS NOT NULL
UNION ALL SELECT 'subscription of ' || run_id FROM tenter_subscriptions s WHERE run_id NOT IN (SELECT id FROM tenter_runs)
	OR EXISTS (SELECT 1 FROM tenter_runs r WHERE r.id = target AND NOT awaited)
UNION ALL SELECT 'untold end of ' || id FROM tenter_runs r WHERE awaited AND ended_at IS NOT NULL AND id NOT IN (SELECT target FROM tenter_subscriptions)
UNION ALL SELECT 'listener of ' || l.run_id FROM tenter_listeners l LEFT JOIN tenter_hooks h ON h.run_id = l.run_id AND h.id = l.hook_id
	WHERE h.closed_at IS NOT NULL OR h.subject IS NOT l.subject OR h.type <> l.topic
UNION ALL SELECT 'no listener for hook ' || id FROM tenter_hooks h WHERE subject IS NOT NULL AND closed_at IS NULL
	AND NOT EXISTS (SELECT 1 FROM tenter_listeners l WHERE l.run_id = h.run_id AND l.hook_id = h.id)
UNION ALL SELECT 'listeners of topic ' || topic FROM tenter_topics t WHERE listeners <> (SELECT count(*) FROM tenter_listeners l WHERE l.topic = t.topic AND l.subject = t.subject)
UNION ALL SELECT 'forgotten publication to ' || topic FROM tenter_publications WHERE key IS NULL AND data IS NULL
UNION ALL SELECT 'no topic of ' || run_id FROM tenter_listeners l WHERE NOT EXISTS (SELECT 1 FROM tenter_topics t WHERE l.topic = t.topic AND l.subject = t.subject)
UNION ALL SELECT 'listeners behind of topic ' || topic FROM tenter_topics t WHERE NOT behind
	AND EXISTS (SELECT 1 FROM tenter_listeners l WHERE l.topic = t.topic AND l.subject = t.subject AND l.told < t.published)
LIMIT 10`

// Check reads the whole file and looks whether it is sound: its pages, its indexes and
// its log, and whether the tables agree with each other. If not it returns ErrCorrupt,
// and from then on the store refuses all else. It reads some hundred MB a second, and
// the store works meanwhile. What it can't find is a value that was changed into another
// that could be: SQLite's pages have no checksums.
func (s *Store) Check(ctx context.Context) error {
	if err := s.checkFiles(); err != nil {
		return err
	}
	h, err := readHeader(s.files.main)
	var found string
	if err == nil {
		found, _, err = inspectLog(s.files.main, h)
	}
	if err != nil {
		return s.readError(err)
	}
	if found == "" {
		if found, err = s.lookThrough(ctx); err != nil {
			return err
		}
	}
	if found == "" {
		return nil
	}
	return s.fail(fmt.Errorf("database %q: %w (%s): nothing more is written to it; %s", s.path, ErrCorrupt, found, adviceCorrupt))
}

// lookThrough looks through all pages and tables. It does so with a connection of its own:
// it takes long, and the writer may have to hold the others' reads back.
func (s *Store) lookThrough(ctx context.Context) (found string, err error) {
	if err := errors.Join(ctx.Err(), s.fatal.err()); err != nil {
		return "", err
	}
	c, err := s.openReader()
	if err != nil {
		return "", s.readError(err)
	}
	defer func() { _ = c.close() }()
	c.c.SetInterrupt(ctx.Done())
	for _, q := range []string{"PRAGMA integrity_check(10)", disagreements} {
		lines, err := c.texts(q)
		if ctx.Err() != nil {
			return "", ctx.Err()
		}
		if err != nil {
			return "", s.readError(err)
		}
		if found := strings.Join(lines, "; "); found != "" && found != "ok" {
			return found, nil
		}
	}
	return "", nil
}
