package sqlite

import (
	"path/filepath"
	"testing"

	"github.com/tenter-dev/tenter/store"
)

// A file from before there were backlogs goes on, with what is in its mailboxes.
func TestFileWithoutBacklogs(t *testing.T) {
	path := filepath.Join(t.TempDir(), "old.db")
	s, err := OpenWith(path, Options{})
	if err != nil {
		t.Fatal(err)
	}
	r := store.NewRun{ID: "r", Workflow: "flow", Secret: []byte("secret")}
	for range 3 {
		if _, err := s.Accept(t.Context(), store.Payload{Token: "tok", Data: []byte("1"), OrStart: &r}); err != nil {
			t.Fatal(err)
		}
	}
	err = s.w.do(t.Context(), func(w *writer) error {
		return w.exec(`DROP INDEX tenter_hooks_backlog; DROP INDEX tenter_mailbox_backlog; DROP INDEX tenter_mailbox_staying;
			ALTER TABLE tenter_runs DROP COLUMN backlogs; ALTER TABLE tenter_hooks DROP COLUMN backlog; ALTER TABLE tenter_mailbox DROP COLUMN backlog;
			ALTER TABLE tenter_runs DROP COLUMN generation; ALTER TABLE tenter_runs DROP COLUMN base;
			DROP INDEX tenter_runs_forked; ALTER TABLE tenter_runs DROP COLUMN forked_from; ALTER TABLE tenter_runs DROP COLUMN origin;
			DROP INDEX tenter_runs_paused; DROP TABLE tenter_paused_workflows; DROP TABLE tenter_hook_types; ALTER TABLE tenter_runs DROP COLUMN paused_at;
			ALTER TABLE tenter_runs DROP COLUMN paused_by; ALTER TABLE tenter_runs DROP COLUMN paused_why;
			ALTER TABLE tenter_mailbox DROP COLUMN actor; ALTER TABLE tenter_unread DROP COLUMN actor;
			ALTER TABLE tenter_journal DROP COLUMN actor; ALTER TABLE tenter_journal_cuts DROP COLUMN actor;
			ALTER TABLE tenter_hooks DROP COLUMN carried; DROP TABLE tenter_generations;
			DROP TABLE tenter_installation; DROP TABLE tenter_links; DROP TABLE tenter_refused_requests;
			DROP TABLE tenter_topics; DROP TABLE tenter_listeners; DROP TABLE tenter_publications; DROP TABLE tenter_topic_seq;
			ALTER TABLE tenter_hooks DROP COLUMN subject; ALTER TABLE tenter_hooks DROP COLUMN listens_from; ALTER TABLE tenter_hooks DROP COLUMN listens_to;
			DROP INDEX tenter_runs_untold; DROP TABLE tenter_subscriptions; ALTER TABLE tenter_runs DROP COLUMN awaited;
			ALTER TABLE tenter_schema DROP COLUMN oldest; ALTER TABLE tenter_workers DROP COLUMN schema; ALTER TABLE tenter_workers DROP COLUMN link_keys; DELETE FROM tenter_schema WHERE version > 1`)
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if s, err = OpenWith(path, Options{}); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	l, err := s.Load(t.Context(), "r", 0)
	if err != nil || len(l.Mail) != 4 || len(l.Backlog) != 0 {
		t.Fatalf("the run has %d messages and %d backlogs, %v; want 4 and none", len(l.Mail), len(l.Backlog), err)
	}
	_, err = s.Apply(t.Context(), &store.Transition{
		RunID: "r", Worker: "w", Seq: 1, At: s.Now(), Status: store.Waiting, Took: []int64{l.Mail[0].ID, l.Mail[1].ID}, Defer: []string{"r.h0"},
	})
	if err != nil {
		t.Fatal(err)
	}
	if l, err = s.Load(t.Context(), "r", 0); err != nil || len(l.Mail) != 0 || len(l.Backlog) != 1 {
		t.Fatalf("the run has %d messages and %d backlogs, %v; want none and 1", len(l.Mail), len(l.Backlog), err)
	}
	if err := consistent(s); err != nil {
		t.Error(err)
	}
}
