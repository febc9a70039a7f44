package postgres

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"

	"github.com/tenter-dev/tenter/internal/pgtest"
	"github.com/tenter-dev/tenter/store"
)

var update = flag.Bool("update", false, "write testdata/entry-points-*.txt of the schema of today")

// entryPoints are the functions and types that a binary uses, as the schema has them.
const entryPoints = `
SELECT 'function ' || p.proname || '(' || pg_get_function_arguments(p.oid) || ') returns ' || pg_get_function_result(p.oid)
FROM pg_proc p WHERE p.pronamespace = 'tenter'::regnamespace
UNION ALL
SELECT 'type ' || t.typname || '(' || string_agg(a.attname || ' ' || format_type(a.atttypid, a.atttypmod), ', ' ORDER BY a.attnum) || ')'
FROM pg_type t JOIN pg_class c ON c.oid = t.typrelid AND c.relkind = 'c' JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0
WHERE t.typnamespace = 'tenter'::regnamespace GROUP BY t.typname`

// Binaries encode the arguments of functions with all fields in order, and know the types by
// what they were when they connected.
func TestEntryPointsStay(t *testing.T) {
	t.Parallel()
	database := pgtest.Database(t)
	s := open(t, database, Options{})
	onlyThisSet(t, database)
	present := entryPointsOf(t, database)
	for n := oldestServed; n <= s.known; n++ {
		path := fmt.Sprintf("testdata/entry-points-%d.txt", n)
		if n == s.known {
			used := used(t, present)
			if *update {
				if err := os.WriteFile(path, []byte(strings.Join(used, "\n")+"\n"), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			if diff := cmp.Diff(lines(t, path), used); diff != "" {
				t.Errorf("this binary uses other functions and types than %s has, which is what binaries of schema %d use (-file +now). "+
					"If the schema is not released yet, -update writes the file; else give what is new a number of its own:\n%s", path, n, diff)
			}
		}
		for _, line := range lines(t, path) {
			if !slices.Contains(present, line) {
				t.Errorf("binaries of schema %d fail, as they use what the schema of today no longer has: %s", n, line)
			}
		}
	}
}

// onlyThisSet takes away what is left of earlier sets, which new functions do not know.
func onlyThisSet(t *testing.T, database string) {
	t.Helper()
	ctx := t.Context()
	c, err := pgx.Connect(ctx, database)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close(ctx) }()
	err = pgx.BeginFunc(ctx, c, func(tx pgx.Tx) error {
		_, err := tx.Conn().PgConn().Exec(ctx, `SET LOCAL search_path = tenter, pg_temp;
			DO $$ DECLARE f regprocedure; BEGIN
				FOR f IN SELECT oid FROM pg_proc WHERE pronamespace = 'tenter'::regnamespace LOOP EXECUTE 'DROP FUNCTION ' || f; END LOOP;
			END $$`).ReadAll()
		if err != nil {
			return err
		}
		return installFunctions(ctx, tx, schemaFiles, "tenter")
	})
	if err != nil {
		t.Fatal(err)
	}
}

func entryPointsOf(t *testing.T, database string) []string {
	t.Helper()
	ctx := t.Context()
	c, err := pgx.Connect(ctx, database)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close(ctx) }()
	if _, err := c.Exec(ctx, "SET search_path = tenter"); err != nil {
		t.Fatal(err)
	}
	rows, err := c.Query(ctx, entryPoints)
	if err != nil {
		t.Fatal(err)
	}
	all, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(all)
	return all
}

// used are those entry points that the package names in its statements.
func used(t *testing.T, present []string) []string {
	t.Helper()
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	called := map[string]bool{"function readable": true} // people do, as doc.go tells them
	for _, f := range files {
		if strings.HasSuffix(f, "_test.go") {
			continue
		}
		code, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range regexp.MustCompile(`tenter\.([a-z0-9_]+)\(`).FindAllSubmatch(code, -1) {
			called["function "+string(m[1])] = true
		}
	}
	for _, name := range compositeTypes {
		called["type "+name] = true
	}
	var used []string
	found := map[string]bool{}
	for _, line := range present {
		name, arguments, _ := strings.Cut(line, "(")
		other := name == "function apply" && !strings.Contains(arguments, "backlog_change") // that of schema 1
		if strings.HasPrefix(name, "type ") || called[name] && !other {
			used, found[name] = append(used, line), true
		}
	}
	for name := range called {
		if !found[name] {
			t.Errorf("the package uses the %s, which the schema does not have", name)
		}
	}
	return used
}

func lines(t *testing.T, path string) []string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return strings.Split(strings.TrimSuffix(string(text), "\n"), "\n")
}

// A set has functions only: tables and types are made once, by migrations.
func TestFunctionsAreReplaced(t *testing.T) {
	t.Parallel()
	paths, err := fs.Glob(schemaFiles, "functions/*.sql")
	if err != nil {
		t.Fatal(err)
	}
	statement := regexp.MustCompile(`(?s)\A(--[^\n]*\n)+CREATE OR REPLACE FUNCTION .*?\nEND \$\$;\n\n?`)
	for _, path := range paths {
		sql, err := schemaFiles.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for len(sql) > 0 {
			end := statement.FindIndex(sql)
			if end == nil {
				t.Errorf("%s: not a function with a comment: %.100q", path, sql)
				break
			}
			sql = sql[end[1]:]
		}
	}
}

// later is an edition of so many migrations more, which serves binaries from oldest on. Its
// functions note in the journal that they wrote it.
func later(t *testing.T, more, oldest int) edition {
	t.Helper()
	files := fstest.MapFS{}
	for _, pattern := range []string{"migrations/*.sql", "functions/*.sql"} {
		paths, err := fs.Glob(schemaFiles, pattern)
		if err != nil {
			t.Fatal(err)
		}
		for _, path := range paths {
			sql, err := schemaFiles.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			files[path] = &fstest.MapFile{Data: sql}
		}
	}
	known := len(thisSteps(t))
	for i := range more {
		sql := "-- Other functions only.\n"
		if i == 0 {
			sql = "ALTER TABLE journal ADD COLUMN note text;\n"
		}
		files[fmt.Sprintf("migrations/%03d.sql", known+i+1)] = &fstest.MapFile{Data: []byte(sql)}
	}
	apply := string(files["functions/apply.sql"].Data)
	noted := strings.NewReplacer("INSERT INTO journal (run_id,", "INSERT INTO journal (note, run_id,", "SELECT x.run_id, x.position,", "SELECT 'later', x.run_id, x.position,").Replace(apply)
	if noted == apply {
		t.Fatal("apply writes the journal in another way")
	}
	files["functions/apply.sql"] = &fstest.MapFile{Data: []byte(noted)}
	files["functions/more.sql"] = &fstest.MapFile{Data: []byte("CREATE OR REPLACE FUNCTION more_2() RETURNS integer LANGUAGE plpgsql AS $$ BEGIN RETURN 2; END $$;\n")}
	e, err := newEdition(files, oldest)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func thisSteps(t *testing.T) []string {
	t.Helper()
	e, err := thisEdition()
	if err != nil {
		t.Fatal(err)
	}
	return e.steps
}

// bring opens a database as a binary with an edition does.
func bring(t *testing.T, database string, e edition, o Options) error {
	t.Helper()
	ctx := context.WithoutCancel(t.Context())
	c, err := pgx.Connect(ctx, database)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close(ctx) }()
	return migrate(ctx, c, "the database", o.withDefaults(), e)
}

func numberOf(t *testing.T, database string) (n int) {
	t.Helper()
	ask(t, database, "SELECT max(version) FROM tenter.migrations", &n)
	return n
}

func ask(t *testing.T, database, sql string, into ...any) {
	t.Helper()
	ctx := context.WithoutCancel(t.Context())
	c, err := pgx.Connect(ctx, database)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close(ctx) }()
	if err := c.QueryRow(ctx, sql).Scan(into...); err != nil {
		t.Fatal(err)
	}
}

func TestOlderBinaryGoesOn(t *testing.T) {
	t.Parallel()
	database := pgtest.Database(t)
	s := open(t, database, Options{})
	if err := bring(t, database, later(t, 1, s.known), Options{}); err != nil {
		t.Fatal(err)
	}
	write := func(s *Store, id string) {
		t.Helper()
		_, err := s.Apply(t.Context(), &store.Transition{
			RunID: id, Worker: "w", Epoch: 1, Seq: 1, At: s.Now(), Status: store.Waiting,
			Create: &store.NewRun{ID: id, Workflow: "flow", Secret: []byte("s")},
			Events: []store.Event{{At: s.Now(), Kind: store.Started}},
		})
		if err != nil {
			t.Fatal(err)
		}
		var note *string
		ask(t, database, "SELECT note FROM tenter.journal WHERE run_id = '"+id+"'", &note)
		if note == nil || *note != "later" {
			t.Errorf("run %s was not written by the functions that were installed last", id)
		}
	}
	write(s, "connected-all-along")
	write(open(t, database, Options{}), "started-again")
	write(open(t, database, Options{Existing: true}), "tool")
	if n := numberOf(t, database); n != s.known+1 {
		t.Errorf("the schema is at %d, want %d, since it only rises", n, s.known+1)
	}
	e, err := thisEdition()
	if err != nil {
		t.Fatal(err)
	}
	if err := bring(t, database, e, Options{}); err != nil {
		t.Error(err)
	}
	write(s, "after-an-older-one-was-opened")
}

func TestOlderBinaryIsRefused(t *testing.T) {
	t.Parallel()
	database := pgtest.Database(t)
	s := open(t, database, Options{})
	if err := s.Renew(t.Context(), store.Lease{Worker: "w", For: time.Hour}); err != nil {
		t.Fatal(err)
	}
	e := later(t, 2, s.known+1)
	if err := bring(t, database, e, Options{}); !errors.Is(err, ErrInUse) || !strings.Contains(err.Error(), "live: w") {
		t.Fatalf("with a worker that is live the error is %v, want ErrInUse", err)
	}
	if n := numberOf(t, database); n != s.known {
		t.Errorf("the schema is at %d; nothing was to change", n)
	}
	if err := s.Release(t.Context(), "w"); err != nil {
		t.Fatal(err)
	}
	if err := bring(t, database, e, Options{Existing: true}); !errors.Is(err, ErrOlder) {
		t.Errorf("a tool of the newer binary: %v, want ErrOlder", err)
	}
	if err := bring(t, database, e, Options{}); err != nil {
		t.Fatal(err)
	}
	want := fmt.Sprintf("is at %d and serves binaries that know %d or higher, this one knows %d", s.known+2, s.known+1, s.known)
	for _, o := range []Options{{}, {Existing: true}} {
		s, err := OpenWith(t.Context(), database, o)
		if err == nil {
			_ = s.Close()
		}
		if !errors.Is(err, ErrNewer) || !strings.Contains(err.Error(), want) {
			t.Errorf("the error is %v, want ErrNewer, and %q", err, want)
		}
	}
}

func TestNewFunctionsHaveTheRightsOfTheOthers(t *testing.T) { //nolint:tparallel // the subtests share what the test cleans up
	t.Parallel()
	for _, c := range []struct {
		name     string
		do       []string
		app, all bool // may execute what is new
	}{
		{"by default", nil, true, true},
		{"revoked", []string{"REVOKE ALL ON ALL FUNCTIONS IN SCHEMA tenter FROM PUBLIC"}, false, false},
		{"granted", []string{"REVOKE ALL ON ALL FUNCTIONS IN SCHEMA tenter FROM PUBLIC", "GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA tenter TO %s"}, true, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			database := pgtest.Database(t)
			open(t, database, Options{})
			app := fmt.Sprintf("app_%x", time.Now().UnixNano())
			other := "other_" + app
			execute(t, database, "CREATE ROLE "+app, "CREATE ROLE "+other, "GRANT "+app+", "+other+" TO CURRENT_USER")
			t.Cleanup(func() { execute(t, database, "DROP OWNED BY "+app+", "+other, "DROP ROLE "+app+", "+other) })
			for _, sql := range c.do {
				execute(t, database, strings.ReplaceAll(sql, "%s", app))
			}
			if err := bring(t, database, later(t, 1, 1), Options{}); err != nil {
				t.Fatal(err)
			}
			var may, others, before bool
			ask(t, database, fmt.Sprintf(`SELECT has_function_privilege('%s', 'tenter.more_2()', 'EXECUTE'), has_function_privilege('%s', 'tenter.more_2()', 'EXECUTE'),
				has_function_privilege('%[1]s', 'tenter.readable(bytea)', 'EXECUTE')`, app, other), &may, &others, &before)
			if may != c.app || others != c.all {
				t.Errorf("the role that has rights on the other functions may execute a new one: %t, another role: %t; want %t, %t", may, others, c.app, c.all)
			}
			if before != c.app {
				t.Errorf("the role may execute a function of before: %t, want %t", before, c.app)
			}
		})
	}
}
