package scenario_test

import (
	"context"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"
	"zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"

	"github.com/tenter-dev/tenter/engine"
	"github.com/tenter-dev/tenter/internal/pgtest"
	"github.com/tenter-dev/tenter/workflow"
)

// S30: many parked runs of five workflows; a new binary in which two steps of one workflow have
// changed places. The check names exactly the runs that would diverge, with file and line, and
// writes nothing.

// scenarioParked makes S30 as large as it is meant to be: 10000.
var scenarioParked = flag.Int("scenario.parked", 300, "how many runs are parked when S30 rehearses a deploy")

var (
	deployedOrder = workflow.Declare[string, string]("order")
	deployedBot   = workflow.Declare[string, int]("bot")
	deployedTrial = workflow.Declare[string, string]("trial")
	deployedQuote = workflow.Declare[string, string]("quote")
	deployedInbox = workflow.Declare[string, string]("inbox")
)

// deployed are the workflows of a binary; ship is how that ships orders.
func deployed(ship func(workflow.Context) error) []workflow.Definition {
	return []workflow.Definition{
		deployedOrder.Implement(func(ctx workflow.Context, id string) (string, error) {
			if _, err := waitAt(ctx, "paid:"+id); err != nil {
				return "", err
			}
			if err := ship(ctx); err != nil {
				return "", err
			}
			return waitAt(ctx, "delivered:"+id)
		}),
		deployedBot.Implement(func(ctx workflow.Context, id string) (replies int, err error) {
			hook, err := workflow.NewHook[string](ctx, workflow.Token("bot:"+id))
			if err != nil {
				return 0, err
			}
			for _, err := range hook.All(ctx) {
				if err != nil {
					return replies, err
				}
				if err := workflow.Do(ctx, "reply", noEffect); err != nil {
					return replies, err
				}
				replies++
			}
			return replies, nil
		}),
		deployedTrial.Implement(func(ctx workflow.Context, _ string) (string, error) {
			if err := workflow.Do(ctx, "welcome", noEffect); err != nil {
				return "", err
			}
			return "over", workflow.Sleep(ctx, 14*24*time.Hour)
		}),
		deployedQuote.Implement(func(ctx workflow.Context, id string) (string, error) {
			if err := workflow.Do(ctx, "send quote", noEffect); err != nil {
				return "", err
			}
			valid, cancel := workflow.WithTimeout(ctx, 30*24*time.Hour)
			defer cancel()
			return waitAt(valid, "accepted:"+id)
		}),
		deployedInbox.Implement(func(ctx workflow.Context, id string) (string, error) {
			inbox, err := workflow.NewWebhook(ctx, workflow.Token("inbox:"+id))
			if err != nil {
				return "", err
			}
			_, err = inbox.Wait(ctx)
			return "", err
		}),
	}
}

func waitAt(ctx workflow.Context, token string) (string, error) {
	hook, err := workflow.NewHook[string](ctx, workflow.Token(token))
	if err != nil {
		return "", err
	}
	return hook.Wait(ctx)
}

func noEffect(context.Context) error { return nil }

func reserveThenLabel(ctx workflow.Context) error {
	if err := workflow.Do(ctx, "reserve", noEffect); err != nil {
		return err
	}
	return workflow.Do(ctx, "label", noEffect)
}

func labelThenReserve(ctx workflow.Context) error {
	if err := workflow.Do(ctx, "label", noEffect); err != nil { // where it now diverges
		return err
	}
	return workflow.Do(ctx, "reserve", noEffect)
}

func TestS30RehearsedDeploy(t *testing.T) {
	t.Parallel()
	t.Run("sqlite", func(t *testing.T) {
		t.Parallel()
		path := filepath.Join(t.TempDir(), "scenario.db")
		db := newDatabase(t, "sqlite:"+path)
		rehearseDeploy(t, db, db.url, watchSQLite(t, path))
	})
	t.Run("postgres", func(t *testing.T) {
		t.Parallel()
		server := pgtest.Start(t, "fsync=off", "autovacuum=off")
		db := newDatabase(t, server.URL())
		// The server logs all statements of the check.
		logged := server.URL() + "&options=-c%20log_statement%3Dall"
		rehearseDeploy(t, db, logged, &postgresWatch{t: t, server: server})
	})
}

// A writeWatch looks at a database beside the store.
type writeWatch interface {
	dump() string     // all rows of all tables
	begin()           // of what writes looks at
	writes() []string // what a check has written, or tried to
}

// rehearseDeploy checks a new binary, which opens the database at a URL of its own, against the
// parked runs of an old one.
func rehearseDeploy(t *testing.T, db *database, url string, watch writeWatch) {
	t.Helper()
	want := park(t, db, *scenarioParked)
	dump := watch.dump()

	watch.begin()
	began := time.Now()
	got := checkDeploy(t, url)
	took := time.Since(began)

	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("runs that the new binary could not continue (-want +got):\n%s", diff)
	}
	if writes := watch.writes(); len(writes) > 0 {
		t.Errorf("the check writes %d times, the first time: %s", len(writes), writes[0])
	}
	if diff := cmp.Diff(strings.Split(dump, "\n"), strings.Split(watch.dump(), "\n")); diff != "" {
		t.Errorf("the check has changed tables (-before +after):\n%s", diff)
	}
	t.Logf("%d parked runs checked in %v, of which %d diverge", *scenarioParked, took.Round(time.Millisecond), len(want))
}

// park has an old binary begin runs, until all are parked and it has gone, and messages lie in the
// mailboxes of some. It returns what a check with the new binary has to say of runs that diverge.
func park(t *testing.T, db *database, n int) map[string]engine.ReplayCheck {
	t.Helper()
	old, err := engine.New(db.st, engine.Options{Workflows: deployed(reserveThenLabel), PublicURL: publicURL, Logger: testLog(t)})
	if err != nil {
		t.Fatal(err)
	}
	ran := make(chan error, 1)
	go func() { ran <- old.Run(t.Context()) }()

	names := []string{"order", "bot", "trial", "quote", "inbox"}
	id := func(i int) string { return fmt.Sprintf("%s-%05d", names[i%5], i) }
	paid := func(i int) bool { return i%10 == 0 }
	each := func(do func(i int) error) {
		var workers sync.WaitGroup
		for w := range 32 {
			workers.Go(func() {
				for i := w; i < n; i += 32 {
					if err := do(i); err != nil {
						t.Errorf("run %s: %v", id(i), err)
						return
					}
				}
			})
		}
		if workers.Wait(); t.Failed() {
			t.FailNow()
		}
	}
	ctx := within(t)
	each(func(i int) error {
		_, err := db.api.StartRun(ctx, workflow.StartRequest{Workflow: names[i%5], RunID: id(i), Input: encode(t, id(i))})
		if err == nil && paid(i) {
			err = resumeOnceOpen(ctx, db.api, "paid:"+id(i))
		}
		return err
	})
	for i := range n {
		waitFor(t, func() bool {
			if paid(i) {
				if _, err := db.api.HookByToken(ctx, "delivered:"+id(i)); err != nil {
					return false
				}
			}
			info, err := db.api.RunInfo(ctx, id(i))
			return err == nil && info.Status == workflow.StatusWaiting
		})
	}
	if err := old.Close(); err != nil {
		t.Fatal(err)
	}
	if err := <-ran; err != nil {
		t.Fatal(err)
	}
	each(func(i int) error {
		if i%5 != 1 {
			return nil
		}
		_, err := workflow.Resume(ctx, db.api, "bot:"+id(i), "hello")
		return err
	})

	line := lineOf(t, "// where it now diverges")
	diverge := map[string]engine.ReplayCheck{}
	for i := 0; i < n; i += 10 {
		diverge[id(i)] = engine.ReplayCheck{
			RunID: id(i), Workflow: "order", Version: 1, Status: workflow.StatusWaiting, Verdict: engine.ReplayDiverges,
			Recorded: "step reserve#1", Attempted: "step label#1", Caller: line,
		}
	}
	return diverge
}

// resumeOnceOpen sends a payload to a hook that is opened about now.
func resumeOnceOpen(ctx context.Context, c workflow.Client, token string) error {
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for {
		_, err := workflow.Resume(ctx, c, token, "")
		if err == nil || ctx.Err() != nil {
			return err
		}
		<-tick.C
	}
}

// checkDeploy does what a program does with a flag to rehearse its deploy. It returns what it has
// learned of each run that the new binary could not continue.
func checkDeploy(t *testing.T, url string) map[string]engine.ReplayCheck {
	t.Helper()
	reader, err := openReader(t.Context(), url, testLog(t))
	if err != nil {
		t.Fatal(err)
	}
	next := engine.Options{Workflows: deployed(labelThenReserve), PublicURL: publicURL}
	found, of := map[string]engine.ReplayCheck{}, 0
	for c, err := range engine.CheckReplay(t.Context(), reader, next, engine.CheckReplayOptions{}) {
		if err != nil {
			t.Fatal(err)
		}
		of++
		if c.Verdict == engine.ReplaySame {
			continue
		}
		for _, part := range []string{c.Recorded, c.Attempted, filepath.Base(c.Caller)} {
			if part == "" || !strings.Contains(c.Detail, part) {
				t.Errorf("run %s: %q does not have %q", c.RunID, c.Detail, part)
			}
		}
		c.Detail, c.Position, c.Event = "", 0, "" // a payload may have come just before the answer that its hook is open
		found[c.RunID] = c
	}
	if of != *scenarioParked {
		t.Errorf("%d runs were checked, want %d", of, *scenarioParked)
	}
	if err := reader.Close(); err != nil {
		t.Error(err)
	}
	return found
}

// lineOf returns the place of the line of this file that ends in a text.
func lineOf(t *testing.T, end string) string {
	t.Helper()
	path, err := filepath.Abs("s30_rehearsed_deploy_test.go")
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	i := slices.IndexFunc(strings.Split(string(text), "\n"), func(line string) bool { return strings.HasSuffix(line, end) })
	return fmt.Sprintf("%s:%d", path, i+1)
}

type sqliteWatch struct {
	t       *testing.T
	c       *sqlite.Conn
	version string
}

func watchSQLite(t *testing.T, path string) *sqliteWatch {
	t.Helper()
	c, err := sqlite.OpenConn(path, sqlite.OpenReadWrite)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return &sqliteWatch{t: t, c: c}
}

func (w *sqliteWatch) list(sql string) (all []string) {
	w.t.Helper()
	err := sqlitex.ExecuteTransient(w.c, sql, &sqlitex.ExecOptions{ResultFunc: func(stmt *sqlite.Stmt) error {
		all = append(all, stmt.ColumnText(0))
		return nil
	}})
	if err != nil {
		w.t.Fatalf("%s: %v", sql, err)
	}
	return all
}

func (w *sqliteWatch) dump() string {
	w.t.Helper()
	var b strings.Builder
	for _, table := range w.list("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name") {
		columns := w.list("SELECT 'quote(\"' || name || '\")' FROM pragma_table_info('" + table + "') ORDER BY cid")
		fmt.Fprintln(&b, table)
		for _, row := range w.list("SELECT " + strings.Join(columns, " || ', ' || ") + " FROM " + table + " ORDER BY 1") {
			fmt.Fprintln(&b, row)
		}
	}
	return b.String()
}

func (w *sqliteWatch) begin() { w.version = w.dataVersion() }

func (w *sqliteWatch) writes() []string {
	w.t.Helper()
	if now := w.dataVersion(); now != w.version {
		return []string{"PRAGMA data_version was " + w.version + ", is " + now}
	}
	return nil
}

// dataVersion is another number after each commit of another connection.
func (w *sqliteWatch) dataVersion() string {
	w.t.Helper()
	return w.list("PRAGMA data_version")[0]
}

type postgresWatch struct {
	t      *testing.T
	server *pgtest.Server
	logged int // bytes of the server's log
}

func (w *postgresWatch) dump() string {
	w.t.Helper()
	ctx := w.t.Context()
	conn, err := pgx.Connect(ctx, w.server.URL())
	if err != nil {
		w.t.Fatal(err)
	}
	defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }()
	// Not every installation has pg_dump.
	list := func(query string) []string {
		w.t.Helper()
		rows, err := conn.Query(ctx, query)
		if err != nil {
			w.t.Fatal(err)
		}
		all, err := pgx.CollectRows(rows, pgx.RowTo[string])
		if err != nil {
			w.t.Fatalf("%s: %v", query, err)
		}
		return all
	}
	dump := list("SELECT sequencename || ' ' || coalesce(last_value, 0) FROM pg_sequences WHERE schemaname = 'tenter' ORDER BY 1")
	tables := list("SELECT format('%I.%I', schemaname, tablename) FROM pg_tables WHERE schemaname = 'tenter' ORDER BY 1")
	if len(tables) == 0 {
		w.t.Fatal("there are no tables")
	}
	for _, table := range tables {
		dump = append(dump, table)
		dump = append(dump, list("SELECT t::text FROM "+table+" t ORDER BY 1")...)
	}
	return strings.Join(dump, "\n")
}

func (w *postgresWatch) begin() { w.logged = len(w.log()) }

func (w *postgresWatch) log() []byte {
	w.t.Helper()
	log, err := os.ReadFile(w.server.Log())
	if err != nil {
		w.t.Fatal(err)
	}
	return log
}

// statements are those in the log of a server, by their first word, and what it has refused.
var statements = regexp.MustCompile(`(?m)(?:LOG:  (?:statement|execute [^:]*):|(ERROR): ) *(\w+)(.*)$`)

// writes are the statements that are none of those that read, and those that the server has refused
// because they would write.
func (w *postgresWatch) writes() (writes []string) {
	w.t.Helper()
	reads := 0
	for _, m := range statements.FindAllStringSubmatch(string(w.log()[w.logged:]), -1) {
		switch m[2] {
		case "BEGIN", "COMMIT", "WITH", "LISTEN":
		case "SELECT":
			reads++
		default:
			writes = append(writes, m[0])
		}
	}
	if reads == 0 {
		w.t.Error("the log of the server has no statement of the check")
	}
	return writes
}
