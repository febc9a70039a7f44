package sqlite

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/tenter-dev/tenter/store"
)

// plan is how SQLite carries out a query.
func plan(t *testing.T, c *conn, q string) string {
	t.Helper()
	p, _, err := c.c.PrepareTransient("EXPLAIN QUERY PLAN " + q)
	if err != nil {
		t.Fatalf("%s: %v", q, err)
	}
	defer p.Finalize()
	steps, err := readAll(&stmt{s: p}, whole(func(st *stmt) string { return st.s.ColumnText(3) }))
	if err != nil {
		t.Fatalf("%s: %v", q, err)
	}
	return strings.Join(steps, "\n")
}

// No query may look through a table, nor sort what can be many.
func TestQueriesRunOnIndexes(t *testing.T) {
	s := open(t, Options{Private: true})
	allowed := map[query]string{
		qLastAccepted:       "the last row",
		qWorkersLive:        "workers are few",
		qWorkerPurge:        "workers are few",
		qWorkersAll:         "workers are few",
		qRunCount:           "no more than its limit",
		qHooksListening:     "the hooks of a run are few: sorting them is fine",
		qHooksOf:            "the hooks of a run are few: sorting them is fine",
		qChildren:           "the children of a run are few",
		qMailSuccessors:     "once in a run",
		qMailToUnread:       "its index has the order",
		qMailClosedToUnread: "its index has the order",
		qOldWorker:          "workers are few",
		qPausedList:         "paused workflows are few",
		qHookTypeList:       "hook types are few",
		qLinkKeys:           "once in a while, by people",
		qInstallation:       "it is one row",
		qRefusedTrim:        "refused requests are few",
	}
	for i, q := range queries {
		if strings.HasPrefix(q, "PRAGMA") || len(strings.Fields(q)) < 4 {
			continue
		}
		got := plan(t, s.w.conn, q)
		if _, ok := allowed[query(i)]; !ok && (strings.Contains(got, "SCAN") || strings.Contains(got, "TEMP B-TREE")) {
			t.Errorf("%s\n%s", q, got)
		}
	}
	for q, want := range map[query]string{
		qClaimFree:         "SEARCH tenter_runs USING INDEX tenter_runs_due (worker=? AND workflow=? AND version=? AND blocked_build=? AND due_at>?)",
		qClaimOwned:        "SEARCH tenter_runs USING INDEX tenter_runs_due (worker=? AND workflow=? AND version=? AND blocked_build=? AND due_at>?)",
		qClaimFreeBlocked:  "SEARCH tenter_runs USING INDEX tenter_runs_due (worker=? AND workflow=? AND version=? AND blocked_build>?)",
		qClaimOwnedBlocked: "SEARCH tenter_runs USING INDEX tenter_runs_due (worker=? AND workflow=? AND version=? AND blocked_build>?)",
		qWorkerOwner:       "SEARCH tenter_runs USING COVERING INDEX tenter_runs_due (worker>?)",
		qRunHead:           "SEARCH tenter_runs USING PRIMARY KEY (id=?)",
		qRunUpdate:         "SEARCH tenter_runs USING PRIMARY KEY (id=?)",
		qRunUpdateDue:      "SEARCH tenter_runs USING PRIMARY KEY (id=?)",
		qHookByToken:       "SEARCH tenter_hooks USING INDEX tenter_hooks_token (token=?)",
		qHookCloseAll:      "SEARCH tenter_hooks USING INDEX sqlite_autoindex_tenter_hooks_1 (run_id=?)",
		qReceiptGet:        "SEARCH tenter_receipts USING PRIMARY KEY (token=? AND key=?)",
		qMailPage:          "SEARCH tenter_mailbox USING INDEX tenter_mailbox_run (run_id=?)",
		qMailDelete:        "SEARCH tenter_mailbox USING INTEGER PRIMARY KEY (rowid=?)",
		qJournalAfter:      "SEARCH tenter_journal USING PRIMARY KEY (run_id=? AND position>?)",
		qJournalPage:       "SEARCH tenter_journal USING PRIMARY KEY (run_id=? AND position>?)",
		qRunListed:         "SEARCH tenter_runs USING COVERING INDEX tenter_runs_list (workflow=? AND status=? AND created_at>? AND (created_at,id)<(?,?))",
		qRunCount:          "CO-ROUTINE (subquery-1)\nSEARCH tenter_runs USING COVERING INDEX tenter_runs_list (workflow=? AND status=?)\nSCAN (subquery-1)",
		qRunWorkflow:       "SEARCH tenter_runs USING COVERING INDEX tenter_runs_list (workflow>?)",
		qHooksOfType:       "SEARCH tenter_hooks USING INDEX tenter_hooks_open (type=? AND rowid>?)",
		qHooksByToken:      "SEARCH tenter_hooks USING INDEX tenter_hooks_token (token>? AND token<?)",
		qHookType:          "SEARCH tenter_hooks USING INDEX tenter_hooks_open (type>?)",
	} {
		if got := plan(t, s.w.conn, queries[q]); got != want {
			t.Errorf("%s\n got %s\nwant %s", queries[q], got, want)
		}
	}
}

func TestRunsFilterUsesIndexes(t *testing.T) {
	s := open(t, Options{Private: true})
	for want, f := range map[string]store.Filter{
		"SEARCH tenter_runs USING INDEX tenter_runs_parent (parent_id=?)": {ParentID: "p", Before: store.RunCursor{ID: "x"}, Workflow: "w"},
		"SEARCH tenter_runs USING PRIMARY KEY (id>? AND id<?)":            {Prefix: "x", Status: store.Failed, Before: store.RunCursor{ID: "xy"}, Since: time.Now()},
	} {
		q, _ := runsQuery(f)
		if got := plan(t, s.w.conn, q); !strings.HasPrefix(got, want) {
			t.Errorf("%s\n got %s\nwant %s", q, got, want)
		}
	}
}

// Claims come by no run that is paused: one that is paused itself is in no index that they read, and
// of a workflow that is paused they read nothing.
func TestClaimsComeByNoPausedRun(t *testing.T) {
	s := open(t, Options{Private: true})
	const paused = 200
	start := func(id, workflow string) {
		t.Helper()
		if err := s.Start(t.Context(), store.NewRun{ID: id, Workflow: workflow, Secret: []byte("secret")}); err != nil {
			t.Fatal(err)
		}
	}
	for i := range paused {
		start(fmt.Sprint("paused-", i), "w")
		if err := s.Pause(t.Context(), fmt.Sprint("paused-", i), store.Pause{}); err != nil {
			t.Fatal(err)
		}
		start(fmt.Sprint("held-", i), "held")
	}
	if err := s.PauseWorkflow(t.Context(), "held", store.Pause{}); err != nil {
		t.Fatal(err)
	}
	start("due", "w")
	var indexed string
	err := s.w.do(t.Context(), func(w *writer) (err error) {
		indexed, err = w.text(`SELECT count(*) FROM tenter_runs INDEXED BY tenter_runs_due WHERE workflow = 'w' AND (worker IS NOT NULL OR due_at IS NOT NULL)`)
		if err != nil {
			return err
		}
		// A claim that comes by one of these says when to look again.
		return w.exec(`UPDATE tenter_runs SET due_at = '2999', wake_at = '2999' WHERE workflow = 'held'`)
	})
	if err != nil {
		t.Fatal(err)
	}
	if indexed != "1" {
		t.Errorf("the index of claims has %s runs of the workflow, of which one is not paused", indexed)
	}
	c, err := s.Claim(t.Context(), store.Claim{
		Worker: "me", Definitions: []store.Definition{{Workflow: "w"}, {Workflow: "held"}}, Limit: 2, Now: s.Now(),
	})
	if err != nil || len(c.Runs) != 1 || c.Runs[0].ID != "due" || c.More || !c.Next.IsZero() {
		t.Errorf("claimed %+v, %v", c, err)
	}
}

// parked fills a store with runs that wait, by SQL.
func parked(tb testing.TB, s *Store) {
	tb.Helper()
	err := s.w.do(tb.Context(), func(w *writer) error {
		return w.exec(`
WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 100000)
INSERT INTO tenter_runs (id, workflow, version, status, created_at, updated_at, due_at, wake_at, messages, worker, epoch, events)
SELECT printf('p%06d', i), 'w', 1, 'waiting', '2026', '2026', NULL, NULL, 0, NULL, 1, 1 FROM n UNION ALL
SELECT printf('t%06d', i), 'w', 1, 'waiting', '2026', '2026', '2999', '2999', 0, NULL, 1, 1 FROM n WHERE i <= 20000 UNION ALL
SELECT printf('u%06d', i), 'unknown', 1, 'running', '2026', '2026', '2001', '2001', 0, NULL, 1, 1 FROM n WHERE i <= 20000 UNION ALL
SELECT printf('o%06d', i), 'w', 1, 'running', '2026', '2026', '2001', '2001', 0, 'live', 1, 1 FROM n WHERE i <= 20000 UNION ALL
SELECT printf('b%06d', i), 'w', 1, 'blocked', '2026', '2026', '2001', '2001', 0, NULL, 1, 1 FROM n WHERE i <= 0`)
	})
	if err != nil {
		tb.Fatal(err)
	}
	if err := s.Renew(tb.Context(), store.Lease{Worker: "live", For: time.Hour}); err != nil {
		tb.Fatal(err)
	}
}

// BenchmarkClaim claims one run among 100,000 that are parked, 20,000 with a
// timer, 20,000 of a workflow that the worker does not have and 20,000 of a
// worker that is alive.
func BenchmarkClaim(b *testing.B) {
	s, err := OpenWith(b.TempDir()+"/a.db", Options{Private: true})
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	parked(b, s)
	for b.Loop() {
		if err := s.Send(b.Context(), store.Message{RunID: "p000777", Kind: store.Woken}); err != nil {
			b.Fatal(err)
		}
		c, err := s.Claim(b.Context(), store.Claim{Worker: "me", Definitions: []store.Definition{{Workflow: "w", Version: 1}}, Limit: 64, Now: time.Now()})
		if err != nil || len(c.Runs) != 1 {
			b.Fatalf("claimed %+v, %v", c, err)
		}
		l, err := s.Load(b.Context(), "p000777", 1)
		if err != nil {
			b.Fatal(err)
		}
		if _, err := s.Apply(b.Context(), &store.Transition{
			RunID: "p000777", Worker: "me", Epoch: c.Runs[0].Epoch, After: 1, Took: []int64{l.Mail[0].ID}, At: time.Now(), Status: store.Waiting,
		}); err != nil {
			b.Fatal(err)
		}
	}
}
