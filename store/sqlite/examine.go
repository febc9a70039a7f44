package sqlite

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"time"

	"github.com/tenter-dev/tenter/store"
)

var _ store.Examiner = (*Store)(nil)

// unclaimedAfter is how long a run may be due before it counts as left alone.
const unclaimedAfter = time.Minute

// examined is how many of what was found are shown.
const examined = 10

var tables = []string{
	"runs", "journal", "journal_cuts", "mailbox", "hooks", "receipts", "responses", "unread", "executing", "tx_steps", "subscriptions", "links", "refused_requests", "workers", "paused_workflows", "hook_types",
}

// Examine looks through the database, and checks its pages; thoroughly, its indexes and
// what the tables say about each other as well.
func (s *Store) Examine(ctx context.Context, thorough bool, progress func(what string, done, of int)) (x store.Examination, err error) {
	if x.Workers, err = s.Workers(ctx); err != nil {
		return x, err
	}
	err = s.pool.read(ctx, func(c *conn) error {
		defer c.c.SetInterrupt(c.c.SetInterrupt(ctx.Done()))
		return c.examine(&x, s, thorough, progress)
	})
	if e := ctx.Err(); e != nil && err != nil {
		err = e
	}
	if err != nil || !thorough {
		return x, err
	}
	if err = s.Check(ctx); errors.Is(err, ErrCorrupt) {
		x.Damage, err = append(x.Damage, err.Error()), nil
	}
	return x, err
}

func (c *conn) examine(x *store.Examination, s *Store, thorough bool, progress func(what string, done, of int)) error {
	now := s.Now()
	lapsed := `(SELECT name FROM tenter_workers WHERE lease_until > '` + formatTime(now) + `')`
	due := func(t time.Time) string { return `due_at <= '` + formatTime(t) + `'` }
	parts := []struct {
		what string
		do   func() error
	}{
		{"schema", func() (err error) {
			x.Known = thisEdition.known()
			x.Schema, err = schemaVersion(c)
			return err
		}},
		{"stuck leases", func() error {
			return c.findRuns(&x.Stuck, `INDEXED BY tenter_runs_due`, `p.at IS NULL AND worker > '' AND worker NOT IN `+lapsed+` AND `+due(now), "due_at")
		}},
		{"runs that nobody takes", func() error {
			return c.findRuns(&x.Unclaimed, ``, `p.at IS NULL AND worker IS NULL AND blocked_build = '' AND `+due(now.Add(-unclaimedAfter)), "due_at")
		}},
		{"blocked runs", func() error { return c.findRuns(&x.Blocked, ``, `status = 'blocked'`, "id DESC") }},
		{"runs in quarantine", func() error { return c.findRuns(&x.Quarantined, ``, `suspicion > 1 AND ended_at IS NULL`, "id DESC") }},
		{"waiting runs", func() error { return c.findRuns(&x.Waiting, ``, `status = 'waiting'`, "updated_at") }},
		{"hooks", func() error {
			const orphans = `FROM tenter_hooks h WHERE closed_at IS NULL AND
				NOT EXISTS (SELECT 1 FROM tenter_runs r WHERE r.id = h.run_id AND r.ended_at IS NULL)`
			n, err := c.number(`SELECT count(*) ` + orphans)
			if err != nil {
				return err
			}
			x.Orphans.Count = int(n)
			return c.prepared(fmt.Sprintf(`SELECT `+hookColumns+` `+orphans+` ORDER BY number LIMIT %d`, examined), func(st *stmt) (err error) {
				x.Orphans.First, err = readAll(st, whole(readHook))
				return err
			})
		}},
		{"sizes", func() error { return c.measure(x, s.files.main) }},
		{"integrity", func() error {
			if thorough {
				return nil // see check
			}
			return c.prepared("PRAGMA quick_check(10)", func(st *stmt) error {
				found, err := readAll(st, whole((*stmt).text))
				if err == nil && (len(found) != 1 || found[0] != "ok") {
					x.Damage = append(x.Damage, found...)
				}
				return err
			})
		}},
	}
	for i, p := range parts {
		if progress != nil {
			progress(p.what, i, len(parts))
		}
		if err := p.do(); err != nil {
			return fmt.Errorf("look at %s: %w", p.what, err)
		}
	}
	return nil
}

// findRuns counts runs and reads a few of them.
func (c *conn) findRuns(f *store.FoundRuns, index, where, order string) error {
	from := "FROM tenter_runs " + index + runPauses + " WHERE " + where
	n, err := c.number(`SELECT count(*) ` + from)
	if err != nil || n == 0 {
		return err
	}
	f.Count = int(n)
	return c.prepared(fmt.Sprintf(`SELECT %s %s ORDER BY %s LIMIT %d`, runColumns, from, order, examined), func(st *stmt) (err error) {
		f.First, err = readAll(st, readRun)
		return err
	})
}

func (c *conn) number(query string) (int64, error) {
	text, err := c.text(query)
	if err != nil {
		return 0, err
	}
	return strconv.ParseInt(text, 10, 64)
}

// measure determines the size of the file, and the numbers of rows of its tables.
func (c *conn) measure(x *store.Examination, path string) error {
	for _, name := range []string{path, path + "-wal"} {
		if info, err := os.Stat(name); err == nil {
			x.Size += info.Size()
		}
	}
	for _, name := range tables {
		n, err := c.number(`SELECT count(*) FROM tenter_` + name)
		if err != nil {
			return err
		}
		x.Tables = append(x.Tables, store.TableSize{Name: "tenter_" + name, Rows: n})
	}
	return nil
}
