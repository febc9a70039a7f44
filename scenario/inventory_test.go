package scenario_test

import (
	"fmt"
	"time"

	"github.com/tenter-dev/tenter/store"
)

// An inventory is all that is in a database, as of one moment.
type inventory struct {
	now       time.Time
	runs      []store.Run                // by ID
	events    map[string][]store.Event   // journals by run
	mail      map[string][]store.Message // mailboxes by run
	messages  map[string]int             // by run: how many its head says are in its mailbox
	due       map[string]bool            // by run: whether its head says that it needs a worker at some time
	hooks     []store.Hook
	unread    map[string][]store.Message
	executing []store.Attempt
	leases    map[string]time.Time // by worker: until when
	keys      map[string]bool      // of receipts: token and key
	stale     []string             // what the audit has caught
}

// An auditor looks at each event when it is committed, from within the database: which worker
// writes it must have claimed the run last. Nothing of that can be seen afterwards.
const auditor = `
CREATE SCHEMA audit;
CREATE TABLE audit.stale (run_id text, position bigint, epoch bigint, run_epoch bigint, at timestamptz DEFAULT clock_timestamp());
CREATE FUNCTION audit.look() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
	current bigint;
BEGIN
	SELECT q.epoch INTO current FROM tenter.runs q WHERE q.id = NEW.run_id;
	IF current IS DISTINCT FROM NEW.epoch THEN
		INSERT INTO audit.stale VALUES (NEW.run_id, NEW.position, NEW.epoch, current);
	END IF;
	RETURN NULL;
END $$;
CREATE CONSTRAINT TRIGGER look AFTER INSERT ON tenter.journal
DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION audit.look();
`

// sqliteAuditor looks when an event is inserted: triggers of SQLite can't wait for the
// commit, but there a worker's claim is not in the same transaction.
const sqliteAuditor = `
CREATE TABLE audit_stale (run_id TEXT, position INTEGER, epoch INTEGER, run_epoch INTEGER);
CREATE TRIGGER audit_look AFTER INSERT ON tenter_journal
WHEN NEW.epoch IS NOT (SELECT q.epoch FROM tenter_runs q WHERE q.id = NEW.run_id) BEGIN
	INSERT INTO audit_stale SELECT NEW.run_id, NEW.position, NEW.epoch, (SELECT q.epoch FROM tenter_runs q WHERE q.id = NEW.run_id);
END;
`

// takeInventory reads a database, not as the store does but by queries of its own.
func takeInventory(snap snapshot) (*inventory, error) {
	inv := &inventory{
		events: map[string][]store.Event{}, mail: map[string][]store.Message{}, unread: map[string][]store.Message{},
		messages: map[string]int{}, due: map[string]bool{}, leases: map[string]time.Time{}, keys: map[string]bool{},
	}
	var err error
	if inv.now, err = snap.now(); err != nil {
		return nil, err
	}
	for _, table := range []struct {
		name, sql string
		row       func(scan scan) error
	}{
		{
			"runs", `SELECT id, workflow, status, parent_id, created_at, ended_at, worker, epoch, events, messages, due_at IS NOT NULL OR wake_at IS NOT NULL, blocked_reason
			FROM tenter.runs ORDER BY id`,
			func(scan scan) error {
				var r store.Run
				var ended *time.Time
				var messages int
				var due bool
				err := scan(&r.ID, &r.Workflow, &r.Status, &r.ParentID, &r.CreatedAt, &ended, &r.Worker, &r.Epoch, &r.Events, &messages, &due, &r.BlockedReason)
				if ended != nil {
					r.EndedAt = *ended
				}
				inv.runs = append(inv.runs, r)
				inv.messages[r.ID], inv.due[r.ID] = messages, due
				return err
			},
		},
		{
			"journals", `SELECT run_id, position, at, kind, ref, data, epoch, seq FROM tenter.journal ORDER BY run_id, position`,
			func(scan scan) error {
				var id string
				var e store.Event
				err := scan(&id, &e.Position, &e.At, &e.Kind, &e.Ref, &e.Data, &e.Epoch, &e.Seq)
				inv.events[id] = append(inv.events[id], e)
				return err
			},
		},
		{
			"mailboxes", `SELECT id, run_id, kind, ref, data, accepted_at FROM tenter.mailbox ORDER BY id`,
			func(scan scan) error {
				var m store.Message
				err := scan(&m.ID, &m.RunID, &m.Kind, &m.Ref, &m.Data, &m.AcceptedAt)
				inv.mail[m.RunID] = append(inv.mail[m.RunID], m)
				return err
			},
		},
		{
			"hooks", `SELECT id, run_id, token, closed_at FROM tenter.hooks ORDER BY number`,
			func(scan scan) error {
				var h store.Hook
				var closed *time.Time
				err := scan(&h.ID, &h.RunID, &h.Token, &closed)
				if closed != nil {
					h.ClosedAt = *closed
				}
				inv.hooks = append(inv.hooks, h)
				return err
			},
		},
		{
			"unread payloads", `SELECT run_id, kind, ref, data FROM tenter.unread ORDER BY run_id, number`,
			func(scan scan) error {
				var m store.Message
				err := scan(&m.RunID, &m.Kind, &m.Ref, &m.Data)
				inv.unread[m.RunID] = append(inv.unread[m.RunID], m)
				return err
			},
		},
		{
			"attempts", `SELECT run_id, step, worker FROM tenter.executing`,
			func(scan scan) error {
				var a store.Attempt
				err := scan(&a.RunID, &a.Step, &a.Worker)
				inv.executing = append(inv.executing, a)
				return err
			},
		},
		{
			"workers", `SELECT name, lease_until FROM tenter.workers`,
			func(scan scan) error {
				var name string
				var until time.Time
				err := scan(&name, &until)
				inv.leases[name] = until
				return err
			},
		},
		{
			"receipts", `SELECT token, key FROM tenter.receipts`,
			func(scan scan) error {
				var token, key string
				err := scan(&token, &key)
				inv.keys[token+" "+key] = true
				return err
			},
		},
		{
			"the audit", `SELECT format('event %s of run %s was written by the owner of epoch %s when it was %s', position, run_id, epoch, run_epoch) FROM audit.stale`,
			func(scan scan) error {
				var s string
				err := scan(&s)
				inv.stale = append(inv.stale, s)
				return err
			},
		},
	} {
		if err := snap.each(table.sql, table.row); err != nil {
			return nil, fmt.Errorf("take inventory of %s: %w", table.name, err)
		}
	}
	return inv, nil
}
