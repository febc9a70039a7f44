package engine_test

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"

	"github.com/tenter-dev/tenter/engine"
	"github.com/tenter-dev/tenter/internal/memdir"
	"github.com/tenter-dev/tenter/internal/pgtest"
	"github.com/tenter-dev/tenter/store"
	"github.com/tenter-dev/tenter/store/postgres"
	sqlitestore "github.com/tenter-dev/tenter/store/sqlite"
	"github.com/tenter-dev/tenter/workflow"
)

// Fixture databases are scripts that make a database as a released version has left it,
// with a run of each golden construct in its middle. Today's version has to open each,
// and bring all runs to the end that the golden journals have. A database of a new schema
// gets a script beside the others: remove nothing, name the next one, and -update writes it.
const (
	fixtureDir      = "testdata/fixture"
	sqliteFixture   = "sqlite-schema-2.sql"
	postgresFixture = "postgres-schema-2.sql"
)

const fixtureLost = "Databases of the version that has left this one could not be opened, or their runs would not go on as they have begun."

func TestFixturesOfSQLite(t *testing.T) {
	t.Parallel()
	fixture(t, sqliteFixture, recordSQLite)
	for _, path := range fixtures(t, "sqlite-*.sql") {
		script := readGolden(t, path)
		for _, c := range constructsOf(t, path) {
			t.Run(filepath.Base(path)+"/"+c.name, func(t *testing.T) {
				t.Parallel()
				inFixture(t, script, func(t *testing.T, b *bank) {
					w := b.stage(t)
					b.finish(w, &c, allDefinitions(w))
					if t.Failed() {
						t.Log(advice(fixtureLost, "Migrate what is there, and let old journals replay."))
					}
				})
			})
		}
	}
}

func TestFixturesOfPostgres(t *testing.T) {
	t.Parallel()
	fixture(t, postgresFixture, recordPostgres)
	for _, path := range fixtures(t, "postgres-*.sql") {
		t.Run(filepath.Base(path), func(t *testing.T) {
			t.Parallel()
			inPostgresFixture(t, readGolden(t, path), allDefinitions, func(w *stage) {
				for _, c := range constructsOf(t, path) {
					w.pass = func(time.Duration) { w.settled(c.name) } // the time of the fixture is long ago
					c.finish(w)
					for _, id := range c.all() {
						w.wantEnd(id)
					}
				}
			})
		})
	}
}

// inPostgresFixture calls f with an engine on the schema that a script makes. Time is real.
func inPostgresFixture(t *testing.T, script string, define func(w *stage) []workflow.Definition, f func(w *stage)) {
	t.Helper()
	database := pgtest.Database(t)
	pgtest.Script(t, database, script)
	st, err := postgres.Open(t.Context(), database)
	if err != nil {
		t.Fatalf("%v\n%s", err, advice(fixtureLost, "Migrate what is there."))
	}
	defer func() { _ = st.Close() }()
	logs := &logbook{}
	w := &stage{T: t, st: st, db: noTx{}, rest: func() {}, again: time.Millisecond, real: true, mended: true}
	opts := goldenOptions(define(w))
	opts.Logger = slog.New(slog.NewTextHandler(logs, nil))
	if w.eng, err = engine.New(st, opts); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.WithoutCancel(t.Context()))
	ran := make(chan error, 1)
	go func() { ran <- w.eng.Run(ctx) }()
	defer func() {
		stop()
		if err := errors.Join(<-ran, w.eng.Close()); err != nil {
			t.Error(err)
		}
	}()
	f(w)
	if t.Failed() {
		t.Log(advice(fixtureLost, "Migrate what is there, and let old journals replay.") + "\n" + logs.String())
	}
}

// constructsOf are those that a fixture database has.
func constructsOf(t *testing.T, path string) (all []construct) {
	t.Helper()
	number := strings.TrimSuffix(path[strings.LastIndex(path, "-")+1:], ".sql")
	schema, err := strconv.Atoi(number)
	if err != nil {
		t.Fatalf("the name of fixture %s does not end with the number of its schema", path)
	}
	for _, c := range constructs {
		if c.schema <= schema {
			all = append(all, c)
		}
	}
	return all
}

// noTx is for steps that have been executed.
type noTx struct{}

func (noTx) Transact(context.Context, func(*sqlite.Conn, any) error) error {
	return errors.New("a step that the journal has is executed again")
}

// settled waits until a run waits for something to come from outside, or has ended.
func (w *stage) settled(runID string) {
	w.Helper()
	w.until("run "+runID+" waits", func() (bool, error) {
		r, err := w.eng.RunInfo(w.Context(), runID)
		if r.Status == workflow.StatusBlocked {
			err = errors.New("it is blocked: " + r.Reason)
		}
		return r.Status.Ended() || r.Status == workflow.StatusWaiting && (r.WakeAt.IsZero() || r.WakeAt.After(time.Now())), err
	})
}

// goldenTime is what differs between two databases.
var goldenTime = regexp.MustCompile(`\d{4}-\d\d-\d\dT[0-9:.]+Z`)

// wantEnd waits for the end of a run, which is to be that of its golden journal.
func (w *stage) wantEnd(runID string) {
	w.Helper()
	files := goldenFiles(w.T, runID)
	golden, err := parseGolden(readGolden(w.T, files[len(files)-1]))
	if err != nil {
		w.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(w.Context(), 5*time.Minute)
	defer cancel()
	if _, err := w.eng.AwaitRun(ctx, runID); err != nil {
		w.Fatalf("run %s: %v", runID, err)
	}
	l, err := w.st.Load(w.Context(), runID, 0)
	if err != nil {
		w.Fatal(err)
	}
	end := func(l store.Loaded) string {
		last := l.Events[len(l.Events)-1]
		return goldenTime.ReplaceAllString(anonymous(fmt.Sprintf("%s %s", last.Kind, last.Data)), "TIME")
	}
	if diff := cmp.Diff(end(golden), end(l)); diff != "" {
		w.Errorf("run %s has come to another end than its golden journal has (-golden +now):\n%s", runID, diff)
	}
}

// allDefinitions are the workflows of all constructs.
func allDefinitions(w *stage) (all []workflow.Definition) {
	for _, c := range constructs {
		all = append(all, c.define(w)...)
	}
	return all
}

func fixtures(t *testing.T, pattern string) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(fixtureDir, pattern))
	if err != nil || len(files) == 0 {
		t.Fatalf("no fixtures %s, %v: go test ./engine -run Fixtures -update writes them", pattern, err)
	}
	return files
}

// fixture writes a fixture that is not there.
func fixture(t *testing.T, name string, record func(t *testing.T) string) {
	t.Helper()
	path := filepath.Join(fixtureDir, name)
	if _, err := os.Stat(path); err == nil || !*updateGolden {
		return
	}
	script := record(t)
	if t.Failed() {
		return
	}
	if err := os.WriteFile(path, []byte(withoutCheckout(t, script)), 0o644); err != nil {
		t.Fatal(err)
	}
	t.Logf("%s is new", path)
}

// withoutCheckout replaces the directory of this checkout, which stacks of panics have. A dump
// of PostgreSQL has it in hexadecimal.
func withoutCheckout(t *testing.T, script string) string {
	t.Helper()
	dir, err := filepath.Abs("..")
	if err != nil {
		t.Fatal(err)
	}
	const anywhere = "/src/tenter"
	encode := func(s string) string { return hex.EncodeToString([]byte(s)) }
	return strings.NewReplacer(dir, anywhere, encode(dir), encode(anywhere)).Replace(script)
}

// inFixture calls f in a bubble with the database that a script makes.
func inFixture(t *testing.T, script string, f func(t *testing.T, b *bank)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		path := fixtureFile(t, script)
		st, err := sqlitestore.Open(path)
		if err != nil {
			t.Fatalf("%v\n%s", err, advice(fixtureLost, "Migrate what is there."))
		}
		defer func() { _ = st.Close() }()
		pool, err := sqlitex.NewPool(path, sqlitex.PoolOptions{PoolSize: 2})
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = pool.Close() }()
		l := &lab{T: t, store: st, logs: &logbook{}, stop: func() error { return nil }}
		defer func() { _ = l.stop() }()
		f(t, &bank{lab: l, pool: pool})
	})
}

func fixtureFile(t *testing.T, script string) string {
	t.Helper()
	path := filepath.Join(memdir.TempDir(t), "fixture.db")
	c, err := sqlite.OpenConn(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(sqlitex.ExecuteScript(c, script, nil), c.Close()); err != nil {
		t.Fatal(err)
	}
	return path
}

// recordSQLite begins a run of each construct, kills the worker, and dumps the database.
func recordSQLite(t *testing.T) (script string) {
	t.Helper()
	inBank(t, func(t *testing.T, b *bank) {
		w := b.stage(t)
		var defs []workflow.Definition
		for _, c := range constructs {
			defs = append(defs, c.before(w)...)
		}
		b.run(goldenOptions(defs))
		w.eng = b.eng
		for _, c := range constructs {
			c.begin(w)
		}
		b.kill()
		if err := b.tx(func(c *sqlite.Conn) (err error) { script, err = dumpSQLite(c); return err }); err != nil {
			t.Fatal(err)
		}
	})
	return script
}

// dumpSQLite is a script that makes the database again.
func dumpSQLite(c *sqlite.Conn) (string, error) {
	var b strings.Builder
	var tables, names []string
	b.WriteString("-- A database of Tenter with schema 2. It is never edited: see fixture_test.go.\n\n")
	err := sqlitex.ExecuteTransient(c, "SELECT name, type, sql FROM sqlite_schema WHERE sql IS NOT NULL AND name NOT LIKE 'sqlite_%' ORDER BY rowid", &sqlitex.ExecOptions{
		ResultFunc: func(s *sqlite.Stmt) error {
			if s.ColumnText(1) == "table" {
				names = append(names, s.ColumnText(0))
			}
			tables = append(tables, s.ColumnText(2)+";\n")
			return nil
		},
	})
	if err != nil {
		return "", err
	}
	b.WriteString(strings.Join(tables, "\n"))
	for _, name := range append(names, "sqlite_sequence") {
		var columns []string
		err := sqlitex.ExecuteTransient(c, "SELECT name FROM pragma_table_info(?) ORDER BY cid", &sqlitex.ExecOptions{
			Args: []any{name}, ResultFunc: func(s *sqlite.Stmt) error { columns = append(columns, "quote("+s.ColumnText(0)+")"); return nil },
		})
		if err != nil {
			return "", err
		}
		fmt.Fprintf(&b, "\n-- %s\n", name)
		err = sqlitex.ExecuteTransient(c, "SELECT "+strings.Join(columns, " || ', ' || ")+" FROM "+name, &sqlitex.ExecOptions{
			ResultFunc: func(s *sqlite.Stmt) error {
				fmt.Fprintf(&b, "INSERT INTO %s VALUES (%s);\n", name, s.ColumnText(0))
				return nil
			},
		})
		if err != nil {
			return "", err
		}
	}
	return b.String(), nil
}

// recordPostgres moves the runs of the fixture of SQLite to PostgreSQL, and dumps that.
func recordPostgres(t *testing.T) string {
	t.Helper()
	from, err := sqlitestore.Open(fixtureFile(t, readGolden(t, filepath.Join(fixtureDir, sqliteFixture))))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = from.Close() }()
	database := pgtest.Database(t)
	to, err := postgres.Open(t.Context(), database)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = to.Close() }()
	runs, err := from.Runs(t.Context(), store.Filter{Limit: 1000})
	if err != nil {
		t.Fatal(err)
	}
	var archives []store.Archive
	for _, r := range runs {
		a, err := from.Export(t.Context(), r.ID)
		if err != nil {
			t.Fatal(err)
		}
		archives = append(archives, a)
	}
	if taken, err := to.Import(t.Context(), archives); err != nil {
		t.Fatalf("%s: %v", taken, err)
	}
	script := pgtest.Dump(t, database, "tenter")
	// What only pg_dump's own version and psql know.
	script = regexp.MustCompile(`(?m)^(SET (?:[^c]|c[^h]).*|\\(?:un)?restrict .*|SELECT pg_catalog\.set_config.*|-- Dumped .*|--)\n`).ReplaceAllString(script, "")
	script = regexp.MustCompile(`\n{3,}`).ReplaceAllString(script, "\n\n")
	return "-- A schema of Tenter at step 2. It is never edited: see fixture_test.go.\n" + script
}

// A run of a released version restarts onto today's code, and takes its hook along.
func TestFixtureRestarts(t *testing.T) {
	t.Parallel()
	for _, path := range fixtures(t, "sqlite-*.sql") {
		t.Run(filepath.Base(path), func(t *testing.T) {
			t.Parallel()
			inFixture(t, readGolden(t, path), func(t *testing.T, b *bank) {
				w := b.stage(t)
				b.run(goldenOptions(restartingVersions(w)))
				w.eng = b.eng
				w.wantRestart()
			})
		})
	}
	for _, path := range fixtures(t, "postgres-*.sql") {
		t.Run(filepath.Base(path), func(t *testing.T) {
			t.Parallel()
			inPostgresFixture(t, readGolden(t, path), restartingVersions, (*stage).wantRestart)
		})
	}
}

var versionsHandle = workflow.Declare[string, string]("versions")

// restartingVersions are the version of the golden workflow with which its run has begun, which now
// restarts, and the next one.
func restartingVersions(*stage) []workflow.Definition {
	return defs(
		versionsHandle.Implement(func(ctx workflow.Context, _ string) (string, error) {
			hook, err := workflow.NewHook[string](ctx, workflow.Token("versions: 2"))
			if err != nil {
				return "", err
			}
			got, err := hook.Wait(ctx)
			if err != nil {
				return "", err
			}
			return versionsHandle.Restart(ctx, "after "+got)
		}, workflow.Version(2)),
		versionsHandle.Implement(func(ctx workflow.Context, in string) (string, error) {
			got, err := waitFor(ctx, "versions: 2")
			return fmt.Sprintf("%s, %s in generation %d", in, got, workflow.InfoOf(ctx).Generation), err
		}, workflow.Version(3)),
	)
}

// wantRestart brings the run to its end, in its second generation.
func (w *stage) wantRestart() {
	w.Helper()
	w.resume("versions: 2", "one")
	w.resume("versions: 2", "two")
	ctx, cancel := context.WithTimeout(w.Context(), 5*time.Minute)
	defer cancel()
	got, err := versionsHandle.Get(w.eng, "versions").Result(ctx)
	if err != nil || got != "after one, two in generation 1" {
		w.Errorf("the run came to %q, %v", got, err)
	}
}
