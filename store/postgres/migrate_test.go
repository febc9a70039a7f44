package postgres

import (
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/tenter-dev/tenter/internal/pgtest"
	"github.com/tenter-dev/tenter/store"
)

// A schema from before there were backlogs goes on, with what is in its mailboxes.
func TestSchemaWithoutBacklogs(t *testing.T) {
	t.Parallel()
	database := pgtest.Database(t)
	ctx := t.Context()
	c, err := pgx.Connect(ctx, database)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close(ctx) }()
	err = pgx.BeginFunc(ctx, c, func(tx pgx.Tx) error {
		return edition{schemaFiles, []string{"migrations/001.sql"}, 1}.install(ctx, tx, database, "tenter")
	})
	if err != nil {
		t.Fatal(err)
	}
	for range 3 {
		execute(t, database, `SELECT tenter.accept('alone', ROW('tok', '1', NULL, NULL, NULL, NULL, NULL,
			'{"id": "r", "workflow": "flow", "secret": "c2VjcmV0"}', NULL)::tenter.payload)`)
	}
	s := open(t, database, Options{})
	l, err := s.Load(ctx, "r", 0)
	if err != nil || len(l.Mail) != 4 || len(l.Backlog) != 0 {
		t.Fatalf("the run has %d messages and %d backlogs, %v; want 4 and none", len(l.Mail), len(l.Backlog), err)
	}
	_, err = s.Apply(ctx, &store.Transition{
		RunID: "r", Worker: "w", Seq: 1, At: s.Now(), Status: store.Waiting, Took: []int64{l.Mail[0].ID, l.Mail[1].ID}, Defer: []string{"r.h0"},
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Accept(ctx, store.Payload{Token: "tok", Data: []byte("2")}); err != nil {
		t.Fatal(err)
	}
	if l, err = s.Load(ctx, "r", 0); err != nil || len(l.Mail) != 0 || len(l.Backlog) != 1 {
		t.Fatalf("the run has %d messages and %d backlogs, %v; want none and 1", len(l.Mail), len(l.Backlog), err)
	}
	waiting, _, err := s.Backlog(ctx, "r", "r.h0", 0, 10)
	if err != nil || len(waiting) != 3 {
		t.Fatalf("%d payloads wait, %v; want 3", len(waiting), err)
	}
}
