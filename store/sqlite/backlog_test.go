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
			ALTER TABLE tenter_schema DROP COLUMN oldest; ALTER TABLE tenter_workers DROP COLUMN schema; DELETE FROM tenter_schema WHERE version > 1`)
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
