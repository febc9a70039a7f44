package pgtest

import (
	"context"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/jackc/pgx/v5"
)

// Script executes a script of SQL in a database.
func Script(t testing.TB, database, sql string) {
	t.Helper()
	ctx := context.WithoutCancel(t.Context())
	conn, err := pgx.Connect(ctx, database)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(ctx) }()
	if _, err := conn.PgConn().Exec(ctx, sql).ReadAll(); err != nil {
		t.Fatalf("execute a script: %v", err)
	}
}

// Dump returns what pg_dump says of a schema, with its rows, as a script.
func Dump(t testing.TB, database, schema string) string {
	t.Helper()
	bin, err := Programs()
	if err != nil {
		skip(t, err.Error())
	}
	dump := exec.CommandContext(t.Context(), filepath.Join(bin, "pg_dump"), "--schema="+schema, "--inserts", "--no-owner", "--no-privileges", database)
	script, err := dump.Output()
	if failed, ok := err.(*exec.ExitError); ok { //nolint:errorlint // it is as it was returned
		t.Fatalf("pg_dump: %v: %s", err, failed.Stderr)
	}
	if err != nil {
		t.Fatal(err)
	}
	return string(script)
}
