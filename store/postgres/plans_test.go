package postgres

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/tenter-dev/tenter/internal/pgtest"
	"github.com/tenter-dev/tenter/internal/saturate"
	"github.com/tenter-dev/tenter/store"
)

var planRuns = flag.Int("plan-runs", 20_000, "size of the database in which plans are looked at; with -v they are shown")

// ended fills a schema with runs that have ended, as they are after a while: one in ten
// runs is left out, and nothing waits. :runs is how many there are.
const ended = `
INSERT INTO runs (id, workflow, version, status, parent_id, parent_ref, secret, created_at, updated_at, ended_at, epoch, events)
SELECT run_id(i), 'flow-' || i % 8, 1 + i % 2, CASE i % 200 WHEN 5 THEN 'failed' WHEN 6 THEN 'canceled' ELSE 'completed' END,
	CASE WHEN i % 50 = 7 THEN run_id(i - i % 1000 + 9) ELSE '' END, CASE WHEN i % 50 = 7 THEN 'Child#' || i % 1000 ELSE '' END,
	decode(repeat('ab', 32), 'hex'), at(i), at(i), at(i), 1, 4
FROM generate_series(1, :runs) i WHERE i % 10 > 2;

INSERT INTO journal (run_id, position, at, kind, ref, data, asked, epoch, seq)
SELECT run_id(i), p, at(i), (ARRAY['started', 'hook_claimed', 'step_completed', 'completed'])[p], '', '{"amount": 4200, "currency": "EUR"}', '', 1, p
FROM generate_series(1, :runs) i, generate_series(1, 4) p WHERE i % 10 > 2 ORDER BY i, p;

INSERT INTO hooks (run_id, id, token, type, reserved, created_at, closed_at, opened_pos, closed_pos)
SELECT run_id(i), run_id(i) || '.h1', 'order:' || i, 'approval', false, at(i), at(i), 1, 4
FROM generate_series(1, :runs) i WHERE i % 10 = 8;

INSERT INTO receipts (token, key, hook_id, run_id, type, request, hook_created_at, expires_at)
SELECT 'order:' || i, 'key-' || i, run_id(i) || '.h1', run_id(i), 'approval', 'request-' || i, at(i), now() + (i % 7 + 1) * interval '1 day'
FROM generate_series(1, :runs) i WHERE i % 10 = 8;

INSERT INTO responses (request, run_id, responder, status, at, expires_at)
SELECT 'request-' || i, run_id(i), 'answer#1', 200, at(i), now() + (i % 7 + 1) * interval '1 day'
FROM generate_series(1, :runs) i WHERE i % 10 = 8;

INSERT INTO unread (run_id, number, message_id, kind, ref, data, accepted_at, journaled)
SELECT run_id(i), 1, i, 'payload_received', run_id(i) || '.h1', '{}', at(i), false
FROM generate_series(1, :runs) i WHERE i % 100 = 8;`

// live adds those that wait, most of them for a payload, and some of them for a worker,
// belong to one, or are blocked.
const live = `
INSERT INTO workers (name, build, definitions, renewed_at, lease_until, schema)
SELECT 'worker-' || w, 'build-1', '[{"workflow": "flow-1", "version": 1}]', now(), now() + CASE WHEN w < 4 THEN interval '1 day' ELSE interval '-1 minute' END, 3
FROM generate_series(0, 4) w ON CONFLICT DO NOTHING;

INSERT INTO runs (id, workflow, version, status, secret, created_at, updated_at, wake_at, due_at, messages, worker, epoch, events, blocked_build, blocked_reason)
SELECT run_id(i), 'flow-' || i / 10 % 8, CASE WHEN i % 40 = 1 THEN 0 ELSE 1 + i / 10 % 2 END,
	CASE WHEN i % 40 IN (1, 11) THEN 'running' WHEN i % 40 = 21 THEN 'blocked' ELSE 'waiting' END, decode(repeat('ab', 32), 'hex'), at(i), at(i),
	CASE WHEN i % 40 = 2 THEN now() + i * interval '1 minute' END,
	CASE WHEN i % 10 = 1 THEN at(i) WHEN i % 40 = 2 THEN now() + i * interval '1 minute' END,
	(i % 10 = 1)::integer, CASE WHEN i % 40 = 11 THEN 'worker-' || i / 40 % 5 ELSE '' END, 1, 2,
	CASE WHEN i % 40 = 21 THEN 'build-' || i / 80 % 2 ELSE '' END, CASE WHEN i % 40 = 21 THEN 'the journal has another step' ELSE '' END
FROM generate_series(1, :runs) i WHERE i % 10 <= 2;

INSERT INTO journal (run_id, position, at, kind, ref, data, asked, epoch, seq)
SELECT run_id(i), p, at(i), (ARRAY['started', 'hook_claimed'])[p], '', '{"amount": 4200, "currency": "EUR"}', '', 1, p
FROM generate_series(1, :runs) i, generate_series(1, 2) p WHERE i % 10 <= 2 ORDER BY i, p;

INSERT INTO mailbox (run_id, kind, ref, data, accepted_at)
SELECT run_id(i), 'started', '', '{"amount": 4200, "currency": "EUR"}', at(i) FROM generate_series(1, :runs) i WHERE i % 10 = 1;

INSERT INTO hooks (run_id, id, token, type, reserved, created_at, opened_pos)
SELECT run_id(i), run_id(i) || '.h1', 'order:' || i, 'approval', false, at(i), 1 FROM generate_series(1, :runs) i WHERE i % 10 = 0;

INSERT INTO executing (run_id, step, attempt, started_at, worker)
SELECT run_id(i), 'charge#1', 2, at(i), 'worker-' || i / 40 % 5 FROM generate_series(1, :runs) i WHERE i % 40 = 11;

-- Those that are paused have been due for longest: half of them by themselves, half by their workflow.
INSERT INTO runs (id, workflow, version, status, secret, created_at, updated_at, due_at, messages, epoch, events, paused_at, paused_by, paused_why)
SELECT 'paused-' || i, CASE i % 2 WHEN 1 THEN 'flow-0' ELSE 'held' END, 1, 'running', decode(repeat('ab', 32), 'hex'), at(0), at(0),
	CASE i % 2 WHEN 0 THEN at(0) END, 1, 0, 0, CASE i % 2 WHEN 1 THEN now() END, 'ada', '' FROM generate_series(1, :runs) i;

INSERT INTO mailbox (run_id, kind, ref, accepted_at) SELECT 'paused-' || i, 'started', '', at(0) FROM generate_series(1, :runs) i;

INSERT INTO paused_workflows (workflow, at, by, why) VALUES ('held', now(), 'ada', '');`

// forget makes the planner know nothing, as it does of tables that nobody has analyzed.
const forget = `
DELETE FROM pg_statistic WHERE starelid IN (SELECT oid FROM pg_class WHERE relnamespace = 'tenter'::regnamespace);
UPDATE pg_class SET reltuples = -1, relpages = 0 WHERE relnamespace = 'tenter'::regnamespace AND relkind IN ('r', 'i');`

// grows are the operations that may read more, and why.
var grows = map[string]string{
	"Release": "it frees all runs of the worker",
}

// planner is a database whose server writes down how it carries out each statement.
type planner struct {
	*testing.T
	srv      *pgtest.Server
	conn     *pgx.Conn
	s        *Store
	settings string // of the store's connections
	nested   bool   // only statements of functions have to hold
	runs     int    // 0: the database is new, and what fails for that is no matter
	n        int    // IDs given out
}

// No operation may cost more because there are more runs: whatever the planner thinks
// that the tables look like, no statement reads more than a few rows.
func TestPlans(t *testing.T) { //nolint:tparallel // its subtests come one after the other
	t.Parallel()
	p := newPlanner(t)
	p.open(t)
	p.runs = *planRuns
	p.fill(ended)
	p.exec("ANALYZE")
	p.fill(live)
	for _, known := range []struct{ what, sql string }{
		{"statistics from when nothing was waiting", ""},
		{"no statistics", forget},
		{"statistics", "ANALYZE"},
	} {
		p.exec(known.sql)
		t.Run(strings.ReplaceAll(known.what, " ", "-"), func(t *testing.T) {
			p.open(t)
			p.operations(t)
		})
	}
}

// A connection keeps the plans that it has made when the database was new, and there was
// as good as nothing in any table.
func TestPlansOfANewDatabase(t *testing.T) { //nolint:tparallel // its subtests come one after the other
	t.Parallel()
	p := newPlanner(t)
	p.open(t)
	p.ages(t)
}

// Where a function's statement leaves a choice, a planner that shuns lookups takes it, and
// reads a whole index instead: which is what others do with other sizes, costs and versions.
func TestPlansWithoutAChoice(t *testing.T) { //nolint:tparallel // its subtests come one after the other
	t.Parallel()
	for _, known := range []struct{ what, sql string }{
		{"nothing is known", ""},
		{"known to be empty", "VACUUM ANALYZE"},
	} {
		t.Run(strings.ReplaceAll(known.what, " ", "-"), func(t *testing.T) {
			p := newPlanner(t)
			p.settings, p.nested = "&random_page_cost=100", true
			p.open(t)
			p.exec(known.sql)
			p.ages(t)
		})
	}
}

// ages makes all plans when the database is new, and checks them when it is filled.
func (p *planner) ages(t *testing.T) {
	t.Helper()
	for range 6 { // a statement has a plan for all parameters from its sixth execution on
		t.Run("new", p.operations)
	}
	p.runs = *planRuns
	p.fill(ended)
	p.fill(live)
	t.Run("filled", p.operations)
}

func newPlanner(t *testing.T) *planner {
	t.Helper()
	p := &planner{T: t, srv: pgtest.Start(t, "session_preload_libraries=auto_explain", "auto_explain.log_min_duration=0",
		"auto_explain.log_nested_statements=on", "auto_explain.log_analyze=on", "auto_explain.log_buffers=on", "auto_explain.log_format=json",
		"log_error_verbosity=terse", "autovacuum=off", "fsync=off", "max_wal_size=8GB", "shared_buffers=1GB", "checkpoint_timeout=1h")}
	var err error
	if p.conn, err = pgx.Connect(t.Context(), p.srv.URL()); err != nil {
		t.Fatal(err)
	}
	p.exec("SET auto_explain.log_min_duration = -1; CREATE SCHEMA fill; SET search_path = tenter, fill")
	p.exec(`CREATE FUNCTION fill.run_id(i bigint) RETURNS text IMMUTABLE LANGUAGE sql AS $$SELECT '01JD' || lpad(i::text, 22, '0')$$;
		CREATE FUNCTION fill.at(i bigint) RETURNS timestamptz STABLE LANGUAGE sql AS $$SELECT now() - interval '30 days' + i * interval '1 second'$$`)
	return p
}

// fill adds runs to the schema, which is there.
func (p *planner) fill(sql string) {
	p.Helper()
	p.exec(strings.ReplaceAll(sql, ":runs", strconv.Itoa(p.runs)))
}

// open reopens the store, with connections that have no plans.
func (p *planner) open(t *testing.T) {
	t.Helper()
	s, err := OpenWith(t.Context(), p.srv.URL()+"&pool_max_conns=4"+p.settings, Options{Poll: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	p.s = s
}

func (p *planner) exec(sql string) {
	p.Helper()
	if _, err := p.conn.Exec(p.Context(), sql); err != nil {
		p.Fatalf("%v\n%s", err, sql)
	}
}

// id is the ID of a run that is there, of those whose number modulo 1000 is class.
func (p *planner) id(class int) string {
	p.n++
	return fmt.Sprintf("01JD%022d", 1000*(p.n%max(1, p.runs/1000))+class)
}

// ids are some of several classes, so many that the next operations are on other runs.
func (p *planner) ids(classes ...int) (ids []string) {
	for i := range 21 {
		ids = append(ids, p.id(classes[i%len(classes)]))
	}
	return ids
}

// token is that of an open hook that had no payload yet.
func (p *planner) token() string {
	p.n++
	return fmt.Sprintf("order:%d", 1000*(p.n%max(1, p.runs/1000))+10*(1+p.n%99))
}

// operations looks at the plans of all operations.
func (p *planner) operations(t *testing.T) {
	ctx := t.Context()
	defs := make([]store.Definition, 0, 4)
	for i := range cap(defs) {
		defs = append(defs, store.Definition{Workflow: fmt.Sprintf("flow-%d", i), Version: 1 + i%2})
	}
	defs = append(defs, store.Definition{Workflow: "held", Version: 1})
	claim := func(limit int) []store.Run {
		c, err := p.s.Claim(ctx, store.Claim{Worker: "worker-0", Build: "build-1", Definitions: defs, Limit: limit, Now: p.s.Now()})
		if err != nil {
			t.Fatal(err)
		}
		return c.Runs
	}
	fresh := func() string { p.n++; return fmt.Sprintf("01JE%022d", p.n) }
	typ := "approval"
	ok := func(err error) {
		t.Helper()
		if err != nil && p.runs > 0 {
			t.Error(err)
		}
	}
	refused := func(err, want error) {
		t.Helper()
		if !errors.Is(err, want) {
			t.Errorf("got %v, want %v", err, want)
		}
	}

	p.look(t, "Renew", func() {
		ok(p.s.Renew(ctx, store.Lease{Worker: "worker-0", For: time.Hour, Build: "build-1", Definitions: defs}))
	})
	p.look(t, "Claim", func() { claim(5) })
	p.look(t, "Claim of runs that are named", func() {
		_, err := p.s.Claim(ctx, store.Claim{Worker: "worker-0", Build: "build-1", Definitions: defs, Now: p.s.Now(), Runs: append(p.ids(11, 20, 30), fresh())})
		ok(err)
	})
	p.look(t, "Start", func() { ok(p.s.Start(ctx, store.NewRun{ID: fresh(), Workflow: "flow-1", Secret: []byte("s")})) })
	p.look(t, "Accept", func() {
		_, err := p.s.Accept(ctx, store.Payload{Token: p.token(), Data: []byte(`{}`), Type: &typ, Key: fresh(), KeepFor: time.Hour, Request: fresh()})
		ok(err)
	})
	p.look(t, "Accept that starts", func() {
		id := fresh()
		_, err := p.s.Accept(ctx, store.Payload{Token: "new:" + id, Data: []byte(`{}`), OrStart: &store.NewRun{ID: id, Workflow: "other", Secret: []byte("s")}})
		ok(err)
	})
	p.look(t, "Accept of what is unknown", func() {
		_, err := p.s.Accept(ctx, store.Payload{Token: "none:" + fresh(), Data: []byte(`{}`), Key: "k", KeepFor: time.Hour})
		refused(err, store.ErrNotFound)
	})
	p.look(t, "Send", func() { ok(p.s.Send(ctx, store.Message{RunID: p.id(20), Kind: store.Woken})) })
	p.look(t, "Respond", func() {
		ok(p.s.Respond(ctx, store.Response{Request: fresh(), RunID: p.id(20), Responder: "a#1", Status: 200, KeepUntil: p.s.Now()}))
	})

	// Each kind of transition is of a run that was claimed, with its message.
	var l store.Loaded
	next := func() *store.Transition {
		if p.runs == 0 {
			if err := p.s.Start(ctx, store.NewRun{ID: fresh(), Workflow: "flow-1", Secret: []byte("s")}); err != nil {
				t.Fatal(err)
			}
		}
		r := claim(1)[0]
		var err error
		l, err = p.s.Load(ctx, r.ID, 0)
		ok(err)
		tr := &store.Transition{
			RunID: r.ID, Worker: "worker-0", Epoch: r.Epoch, After: r.Events, At: p.s.Now(), Status: store.Waiting, NoMailBefore: saturate.Beyond,
			Events: []store.Event{{At: p.s.Now(), Kind: store.Started, Data: []byte(`{}`)}},
		}
		for _, m := range l.Mail {
			tr.Took = append(tr.Took, m.ID)
		}
		return tr
	}
	var tr *store.Transition
	apply := func() {
		_, err := p.s.Apply(ctx, tr)
		ok(err)
	}
	lookAt := func(name string, more func()) {
		for range 2 {
			tr = next()
			more()
			p.look(t, name, apply)
		}
	}
	hook := func() store.Effect {
		id := fresh()
		return store.Effect{Kind: store.OpenHook, Hook: store.Hook{ID: tr.RunID + "." + id, Token: id, CreatedAt: tr.At, OpenedPos: 1}}
	}
	lookAt("Apply: a step's result", func() { tr.Keep = true })
	lookAt("Apply: begins to wait on a hook", func() { tr.Effects = []store.Effect{hook()} })
	lookAt("Apply: every effect", func() {
		h := hook()
		h2 := h
		h2.Kind, h2.Hook.ClosedPos = store.CloseHook, 1
		tr.Effects = []store.Effect{
			h, h2,
			{Kind: store.StartRun, Run: store.NewRun{ID: fresh(), Workflow: "other", Secret: []byte("s"), ParentID: tr.RunID, ParentRef: "C#1"}},
			{Kind: store.Respond, Response: store.Response{Request: fresh(), Responder: "r#1", Status: 200, KeepUntil: tr.At}},
			{Kind: store.Send, Message: store.Message{RunID: p.id(30), Kind: store.CancelRequested}},
		}
		tr.Executing = []store.Attempt{{RunID: tr.RunID, Step: "s#1", Attempt: 2, StartedAt: tr.At, Worker: "worker-0"}}
		tr.Executed = []string{"s#0"}
	})
	lookAt("Apply: completes", func() { tr.Status = store.Completed })
	lookAt("Apply: fails, with unread payloads", func() {
		tr.Status, tr.TookAny, tr.NoMailBefore, tr.Took = store.Failed, true, time.Time{}, nil
		tr.Effects, tr.Unread = []store.Effect{hook()}, []store.Message{{Kind: store.PayloadReceived, Ref: "h"}}
	})
	failed := tr
	tr = next()
	if p.runs > 0 {
		p.exec(fmt.Sprintf(`INSERT INTO mailbox (run_id, kind, ref, accepted_at) SELECT '%[1]s', 'woken', '', now() FROM generate_series(1, 2000);
			UPDATE runs SET messages = messages + 2000 WHERE id = '%[1]s'`, tr.RunID))
	}
	tr.NoMailBefore = time.Time{}
	p.look(t, "Apply: takes one of many messages", apply)
	p.look(t, "Send to a run with many", func() { ok(p.s.Send(ctx, store.Message{RunID: tr.RunID, Kind: store.Woken})) })
	p.look(t, "Retry", func() {
		_, err := p.s.Retry(ctx, store.Cut{RunID: failed.RunID, Events: failed.After + 1, From: failed.After + 1})
		ok(err)
	})
	p.exec(`UPDATE workers SET schema = 3`)
	p.exec(fmt.Sprintf(`INSERT INTO journal (run_id, position, at, kind, ref, epoch, seq) VALUES ('%[1]s', 1, now(), 'started', '', 1, 1)
		ON CONFLICT (run_id, position) DO UPDATE SET epoch = 1, seq = 1`, failed.RunID))
	origin, err := p.s.Export(ctx, failed.RunID)
	ok(err)
	p.look(t, "Fork", func() {
		f := store.Fork{
			Run:    store.NewRun{ID: "fork of " + failed.RunID, Workflow: "w", Secret: []byte("secret")},
			Origin: store.Origin{RunID: failed.RunID, Position: 1, Prefix: []store.Ancestor{{RunID: failed.RunID, Last: 1}}},
			Epoch:  1, Seq: 1,
		}
		for _, h := range origin.Hooks {
			f.Hooks = append(f.Hooks, store.ForkedHook{ID: h.Hook.ID, Token: "fork of " + h.Hook.ID})
		}
		_, err := p.s.Fork(ctx, f)
		ok(err)
	})
	p.look(t, "Runs: forks", func() {
		_, err := p.s.Runs(ctx, store.Filter{ForkedFrom: failed.RunID})
		ok(err)
	})
	p.look(t, "Runs: those that await one", func() {
		_, err := p.s.Runs(ctx, store.Filter{Awaits: "awaited"})
		ok(err)
	})
	p.look(t, "Fence", func() {
		_, err := p.s.Fence(ctx, p.id(20), "worker-0", 1)
		ok(err)
	})
	tr = next()
	p.look(t, "Terminate", func() { ok(p.s.Terminate(ctx, tr.RunID, store.Event{At: p.s.Now(), Kind: store.RunCanceled})) })
	p.look(t, "Unblock", func() { ok(p.s.Unblock(ctx, p.id(21))) })
	p.look(t, "Pause", func() { ok(p.s.Pause(ctx, p.id(20), store.Pause{Actor: "ada"})) })
	p.look(t, "Resume", func() { ok(p.s.Resume(ctx, p.id(20), "ada")) })
	p.look(t, "Claim of runs that are paused", func() {
		c, err := p.s.Claim(ctx, store.Claim{Worker: "worker-0", Build: "build-1", Definitions: defs, Now: p.s.Now(), Runs: []string{"paused-1", "paused-2"}})
		ok(err)
		if len(c.Runs) > 0 {
			t.Errorf("claimed %d runs that are paused", len(c.Runs))
		}
	})
	p.look(t, "PauseWorkflow", func() { ok(p.s.PauseWorkflow(ctx, "other", store.Pause{Actor: "ada"})) })
	p.look(t, "PausedWorkflows", func() {
		_, err := p.s.PausedWorkflows(ctx)
		ok(err)
	})
	p.look(t, "PutHookTypes", func() {
		ok(p.s.PutHookTypes(ctx, []store.HookType{{Name: "decision", Payload: []byte("{}")}, {Name: "note", Payload: []byte("{}")}}))
	})
	p.look(t, "HookTypes", func() {
		_, err := p.s.HookTypes(ctx)
		ok(err)
	})
	p.look(t, "ResumeWorkflow", func() { ok(p.s.ResumeWorkflow(ctx, "other")) })
	tr = next()
	p.look(t, "Deposit", func() {
		d := store.Deposit{RunID: tr.RunID, Worker: "worker-0", Epoch: tr.Epoch, Release: true}
		d.Outcomes = []store.Message{{Kind: store.StepCompleted, Ref: "a#1"}, {Kind: store.StepRetried, Ref: "b#1"}}
		ok(p.s.Deposit(ctx, d))
	})

	// What the application does in transactions of its own.
	conn, err := pgx.Connect(ctx, p.srv.URL())
	if err != nil {
		t.Fatal(err)
	}
	within := func(f func(j store.Joined)) {
		ok(pgx.BeginFunc(ctx, conn, func(tx pgx.Tx) error {
			j, err := p.s.Within(Tx(tx))
			if err == nil {
				f(j)
			}
			return err
		}))
	}
	p.look(t, "Start in a transaction", func() {
		within(func(j store.Joined) {
			ok(j.Start(ctx, store.NewRun{ID: fresh(), Workflow: "flow-1", Secret: []byte("s")}))
		})
	})
	p.look(t, "Accept in a transaction", func() {
		within(func(j store.Joined) {
			_, err := j.Accept(ctx, store.Payload{Token: p.token(), Data: []byte(`{}`), Key: fresh(), KeepFor: time.Hour})
			ok(err)
		})
	})
	tr = next()
	p.look(t, "transactional step", func() {
		within(func(j store.Joined) {
			step := store.TxStep{RunID: tr.RunID, Step: "pay#1", Epoch: tr.Epoch}
			ok(j.ClaimStep(ctx, step))
			_, err := j.CompleteStep(ctx, step, []byte(`{}`))
			ok(err)
		})
	})
	if err := conn.Close(ctx); err != nil {
		t.Error(err)
	}

	p.look(t, "Load", func() {
		_, err := p.s.Load(ctx, p.id(11), 0)
		ok(err)
	})
	p.look(t, "Run", func() {
		_, err := p.s.Run(ctx, p.id(10))
		ok(err)
	})
	for _, f := range []store.Filter{
		{},
		{Before: store.RunCursor{CreatedAt: p.s.Now().Add(-24 * time.Hour), ID: p.id(500)}},
		{Status: store.Running},
		{Status: store.Waiting},
		{Status: store.Blocked},
		{Status: store.Completed},
		{Status: store.Failed},
		{Status: store.Canceled},
		{Workflow: "flow-3"},
		{Workflow: "flow-3", Status: store.Waiting},
		{ParentID: p.id(9)},
		{ParentID: p.id(9), Status: store.Completed},
		{Workflow: "none"},
		{Paused: true},
		{Paused: true, Workflow: "flow-0"},
		{Paused: true, Workflow: "flow-3", Status: store.Waiting},
		{Paused: true, Workflow: "held"},
		{Prefix: "01JD00000000000000000001"},
		{Prefix: "01JD", Before: store.RunCursor{CreatedAt: p.s.Now().Add(-24 * time.Hour), ID: p.id(500)}},
		{Since: p.s.Now().Add(-time.Hour)},
		{Until: p.s.Now().Add(-30 * 24 * time.Hour).Add(2 * time.Hour), Status: store.Failed},
	} {
		f.Limit = 5
		words := []string{"Runs", string(f.Status), f.Workflow, f.ParentID, f.Prefix, f.Before.ID}
		if f.Paused {
			words = append(words, "paused")
		}
		if !f.Since.IsZero() {
			words = append(words, "since")
		}
		if !f.Until.IsZero() {
			words = append(words, "until")
		}
		p.look(t, strings.Join(slices.DeleteFunc(words, func(w string) bool { return w == "" }), " "), func() {
			_, err := p.s.Runs(ctx, f)
			ok(err)
		})
	}
	p.look(t, "Hook", func() {
		_, err := p.s.Hook(ctx, p.token())
		ok(err)
	})
	for name, f := range map[string]store.HookFilter{
		"Hooks of a run":  {RunID: p.id(10)},
		"Hooks":           {},
		"Hooks of a type": {Type: "approval"},
		"Hooks by prefix": {Prefix: "order:1"},
		"Hooks, a page":   {After: 10},
	} {
		f.Limit = 10
		p.look(t, name, func() {
			_, err := p.s.Hooks(ctx, f)
			ok(err)
		})
	}
	p.look(t, "Count", func() {
		_, err := p.s.Count(ctx, 20)
		ok(err)
	})
	p.look(t, "Journal", func() {
		_, err := p.s.Journal(ctx, p.id(11), 0, 2)
		ok(err)
	})
	p.look(t, "Mailbox", func() {
		_, err := p.s.Mailbox(ctx, p.id(11), 2)
		ok(err)
	})
	p.look(t, "Workers", func() {
		_, err := p.s.Workers(ctx)
		ok(err)
	})
	p.look(t, "Receipt", func() {
		_, err := p.s.Receipt(ctx, "order:18")
		ok(err)
	})
	p.look(t, "Response", func() {
		_, err := p.s.Response(ctx, "request-18")
		ok(err)
	})
	p.look(t, "Unread", func() {
		_, err := p.s.Mailbox(ctx, p.id(8), 2)
		ok(err)
	})
	p.look(t, "Executing", func() {
		_, err := p.s.Executing(ctx, p.id(11))
		ok(err)
	})
	p.look(t, "Endings", func() {
		_, err := p.s.Endings(ctx, p.ids(1, 8, 20))
		ok(err)
	})
	p.look(t, "Resync", func() {
		_, err := p.s.Resync(ctx, store.Signal{Mail: p.ids(1, 20), Ended: p.ids(8, 20), Responded: p.ids(18)})
		ok(err)
	})
	for _, sql := range []string{p.s.sql.purgeReceipts, p.s.sql.purgeAnswers} {
		p.look(t, "purge", func() {
			_, err := p.s.purge(ctx, sql, 10)
			ok(err)
		})
	}
	p.look(t, "Prune", func() {
		pruned, _, err := p.s.Prune(ctx, p.s.Now(), 10)
		ok(err)
		if pruned == 0 && p.runs > 0 {
			t.Error("nothing was pruned")
		}
	})
	p.look(t, "Release", func() { ok(p.s.Release(ctx, "worker-0")) })
}

// plan is a statement that was carried out, as auto_explain writes it.
type plan struct {
	took  string
	Query string `json:"Query Text"`
	Plan  node
}

type node struct {
	Type     string  `json:"Node Type"`
	Table    string  `json:"Relation Name"`
	Index    string  `json:"Index Name"`
	Cond     string  `json:"Index Cond"`
	Rows     float64 `json:"Actual Rows"`
	Loops    float64 `json:"Actual Loops"`
	Removed  float64 `json:"Rows Removed by Filter"`
	Recheck  float64 `json:"Rows Removed by Index Recheck"`
	Hit      int     `json:"Shared Hit Blocks"`
	Read     int     `json:"Shared Read Blocks"`
	Children []node  `json:"Plans"`
}

// look looks at the plans of an operation.
func (p *planner) look(t *testing.T, name string, f func()) {
	t.Helper()
	log, err := os.Open(p.srv.Log())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = log.Close() }()
	if _, err := log.Seek(0, io.SeekEnd); err != nil { // it is long
		t.Fatal(err)
	}
	f()
	said, err := io.ReadAll(log)
	if err != nil {
		t.Fatal(err)
	}
	var shown strings.Builder
	for _, plan := range readPlans(t, said) {
		nodes := plan.Plan.scans(nil)
		if len(nodes) == 0 && plan.nested() || strings.Contains(plan.Query, "pg_notify") || strings.Contains(plan.Query, "synchronous_commit") {
			continue
		}
		fmt.Fprintf(&shown, "\n%10s  %4d  %s", plan.took, plan.Plan.Hit+plan.Plan.Read, plan.head())
		for _, n := range nodes {
			fmt.Fprintf(&shown, "\n%18s%s", "", &n)
			if n.bad() && (plan.nested() || !p.nested) && grows[name] == "" && grows[name+", "+path.Base(t.Name())] == "" {
				t.Errorf("%s reads %s\n%s", name, &n, plan.Query)
			}
		}
	}
	t.Logf("%s:%s", name, &shown)
}

// readPlans reads the plans in a log.
func readPlans(t *testing.T, log []byte) []plan {
	t.Helper()
	var plans []plan
	for _, m := range regexp.MustCompile(`duration: (\S+ ms)  plan:\n((?:\t.*\n)+?\t}\n)`).FindAllSubmatch(log, -1) {
		plan := plan{took: string(m[1])}
		if err := json.Unmarshal(m[2], &plan); err != nil {
			t.Fatalf("%v\n%s", err, m[2])
		}
		plans = append(plans, plan)
	}
	return plans
}

// nested reports whether a statement is one of a function's.
func (p *plan) nested() bool { return !strings.Contains(p.Query, "tenter") }

// head is the beginning of a statement.
func (p *plan) head() string {
	q := []rune(strings.Join(strings.Fields(p.Query), " "))
	if len(q) > 90 {
		q = append(q[:90], '…')
	}
	return string(q)
}

// scans are the nodes that read tables or indexes.
func (n *node) scans(all []node) []node {
	if n.Table != "" || n.Index != "" {
		all = append(all, *n)
	}
	for i := range n.Children {
		all = n.Children[i].scans(all)
	}
	return all
}

func (n *node) String() string {
	var s strings.Builder
	s.WriteString(n.Type)
	for _, of := range []string{n.Index, n.Table} {
		if of != "" {
			s.WriteString(" " + of)
		}
	}
	fmt.Fprintf(&s, ", %.0f rows", n.Rows*n.Loops)
	if skipped := (n.Removed + n.Recheck) * n.Loops; skipped > 0 {
		fmt.Fprintf(&s, ", %.0f skipped", skipped)
	}
	if n.Cond == "" && n.Index != "" {
		s.WriteString(", all of it")
	}
	return s.String()
}

// bad reports whether a node reads more than it should. Workers are few.
func (n *node) bad() bool {
	const few = 300
	read := (n.Rows + n.Removed + n.Recheck) * max(n.Loops, 1)
	return n.Table != "workers" && n.Type != "ModifyTable" && read > few
}
