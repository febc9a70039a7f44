package scenario_test

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

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

// An auditor looks at each event when it is committed, from within the database: who
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

// takeInventory reads a PostgreSQL database, not as the store does but by queries of
// its own.
func takeInventory(ctx context.Context, tx pgx.Tx) (*inventory, error) {
	inv := &inventory{
		events: map[string][]store.Event{}, mail: map[string][]store.Message{}, unread: map[string][]store.Message{},
		messages: map[string]int{}, due: map[string]bool{}, leases: map[string]time.Time{}, keys: map[string]bool{},
	}
	read := func(what, sql string, row func(pgx.CollectableRow) error) error {
		rows, err := tx.Query(ctx, sql)
		if err == nil {
			_, err = pgx.CollectRows(rows, func(r pgx.CollectableRow) (struct{}, error) { return struct{}{}, row(r) })
		}
		if err != nil {
			return fmt.Errorf("take inventory of %s: %w", what, err)
		}
		return nil
	}
	if err := tx.QueryRow(ctx, "SELECT clock_timestamp()").Scan(&inv.now); err != nil {
		return nil, err
	}
	for _, table := range []struct {
		name, sql string
		row       func(pgx.CollectableRow) error
	}{
		{
			"runs", `SELECT id, workflow, status, parent_id, created_at, ended_at, worker, epoch, events, messages, due_at IS NOT NULL OR wake_at IS NOT NULL, blocked_reason
			FROM tenter.runs ORDER BY id`,
			func(row pgx.CollectableRow) error {
				var r store.Run
				var ended *time.Time
				var messages int
				var due bool
				err := row.Scan(&r.ID, &r.Workflow, &r.Status, &r.ParentID, &r.CreatedAt, &ended, &r.Worker, &r.Epoch, &r.Events, &messages, &due, &r.BlockedReason)
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
			func(row pgx.CollectableRow) error {
				var id string
				var e store.Event
				err := row.Scan(&id, &e.Position, &e.At, &e.Kind, &e.Ref, &e.Data, &e.Epoch, &e.Seq)
				inv.events[id] = append(inv.events[id], e)
				return err
			},
		},
		{
			"mailboxes", `SELECT id, run_id, kind, ref, data, accepted_at FROM tenter.mailbox ORDER BY id`,
			func(row pgx.CollectableRow) error {
				var m store.Message
				err := row.Scan(&m.ID, &m.RunID, &m.Kind, &m.Ref, &m.Data, &m.AcceptedAt)
				inv.mail[m.RunID] = append(inv.mail[m.RunID], m)
				return err
			},
		},
		{
			"hooks", `SELECT id, run_id, token, closed_at FROM tenter.hooks ORDER BY number`,
			func(row pgx.CollectableRow) error {
				var h store.Hook
				var closed *time.Time
				err := row.Scan(&h.ID, &h.RunID, &h.Token, &closed)
				if closed != nil {
					h.ClosedAt = *closed
				}
				inv.hooks = append(inv.hooks, h)
				return err
			},
		},
		{
			"unread payloads", `SELECT run_id, kind, ref, data FROM tenter.unread ORDER BY run_id, number`,
			func(row pgx.CollectableRow) error {
				var m store.Message
				err := row.Scan(&m.RunID, &m.Kind, &m.Ref, &m.Data)
				inv.unread[m.RunID] = append(inv.unread[m.RunID], m)
				return err
			},
		},
		{
			"attempts", `SELECT run_id, step, worker FROM tenter.executing`,
			func(row pgx.CollectableRow) error {
				var a store.Attempt
				err := row.Scan(&a.RunID, &a.Step, &a.Worker)
				inv.executing = append(inv.executing, a)
				return err
			},
		},
		{
			"workers", `SELECT name, lease_until FROM tenter.workers`,
			func(row pgx.CollectableRow) error {
				var name string
				var until time.Time
				err := row.Scan(&name, &until)
				inv.leases[name] = until
				return err
			},
		},
		{
			"receipts", `SELECT token, key FROM tenter.receipts`,
			func(row pgx.CollectableRow) error {
				var token, key string
				err := row.Scan(&token, &key)
				inv.keys[token+" "+key] = true
				return err
			},
		},
		{
			"the audit", `SELECT format('event %s of run %s was written by the owner of epoch %s when it was %s', position, run_id, epoch, run_epoch) FROM audit.stale`,
			func(row pgx.CollectableRow) error {
				var s string
				err := row.Scan(&s)
				inv.stale = append(inv.stale, s)
				return err
			},
		},
	} {
		if err := read(table.name, table.sql, table.row); err != nil {
			return nil, err
		}
	}
	return inv, nil
}
