package scenario_test

import (
	"context"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/tenter-dev/tenter/engine"
	"github.com/tenter-dev/tenter/internal/pgtest"
)

// TestCheckerFindsDamage: the checker has nothing to say about a database after a
// load on one worker, and finds each damage that is done to it.
func TestCheckerFindsDamage(t *testing.T) { //nolint:tparallel // one connection does all damage
	t.Parallel()
	s := newScene(t, pgtest.Database(t))
	worker, err := engine.New(s.db.st, engine.Options{Workflows: loadWorkflows, PublicURL: publicURL})
	if err != nil {
		t.Fatal(err)
	}
	ctx, over := context.WithCancel(t.Context())
	defer over()
	s.over = ctx
	ran := make(chan error, 1)
	go func() { ran <- worker.Run(t.Context()) }()
	s.begin()
	waitFor(t, func() bool { // what is to be damaged
		var there bool
		err := s.admin.QueryRow(t.Context(), `SELECT (SELECT count(*) FROM tenter.runs WHERE id IN ('signoff-0-1', 'signoff-1-1') AND status = 'completed') = 2
			AND (SELECT count(*) FROM tenter.hooks WHERE token = 'talk:0') > 2`).Scan(&there)
		return err == nil && there
	})
	over()
	s.end(s.unfinished)
	if err := worker.Close(); err != nil {
		t.Fatal(err)
	}
	if err := <-ran; err != nil {
		t.Fatal(err)
	}
	c := s.check()
	if t.Failed() {
		return
	}
	runs, payloads, _ := s.chron.numbers()
	t.Logf("%d runs, %d payloads, %d executions of steps", runs, payloads, len(c.effects))

	const errand = "(SELECT id FROM tenter.runs WHERE workflow = 'errand' AND parent_id = '' ORDER BY id LIMIT 1)"
	for _, d := range []struct{ damage, sql, want string }{
		{"a run is gone", "DELETE FROM tenter.runs WHERE id = " + errand, "was started, and is gone"},
		{"a run that nobody started", `INSERT INTO tenter.runs SELECT (q).* FROM (SELECT jsonb_populate_record(r, '{"id": "stranger"}') q FROM tenter.runs r WHERE id = ` + errand + ") x", "run stranger was never started"},
		{"a run is not over", "UPDATE tenter.runs SET status = 'running', ended_at = NULL WHERE id = " + errand, "has not ended"},
		{"a run waits for a dead worker", "UPDATE tenter.runs SET status = 'running', ended_at = NULL, worker = 'ghost' WHERE id = " + errand, "whose lease has lapsed"},
		{"a run has an owner still", "UPDATE tenter.runs SET worker = 'ghost' WHERE id = " + errand, "is owned by worker ghost"},
		{"a run is due still", "UPDATE tenter.runs SET due_at = now() WHERE id = " + errand, "needs a worker"},
		{"a run has another status", "UPDATE tenter.runs SET status = 'failed' WHERE id = " + errand, "its last event is completed"},
		{"a result is wrong", "UPDATE tenter.journal SET data = '7777777' WHERE kind = 'completed' AND run_id = " + errand, "it should have returned"},
		{"an end too many", "INSERT INTO tenter.journal SELECT run_id, position + 1, at, kind, ref, data, asked, or_start, epoch, seq FROM tenter.journal WHERE kind = 'completed' AND run_id = " + errand, "both about completed"},
		{"a gap", "DELETE FROM tenter.journal WHERE position = 2 AND run_id = " + errand, "has position 3"},
		{"an event too few", "DELETE FROM tenter.journal WHERE kind = 'completed' AND run_id = " + errand, "its head says"},
		{"a step completed twice", "UPDATE tenter.journal SET ref = 'go#1' WHERE kind = 'step_completed' AND run_id = " + errand, "both about step_completed go#1"},
		{"an epoch to come", "UPDATE tenter.journal SET epoch = 99 WHERE kind = 'completed' AND run_id = " + errand, "is of epoch 99"},
		{"an epoch that goes back", "UPDATE tenter.journal SET epoch = 0 WHERE kind = 'completed' AND run_id = " + errand, "after one of"},
		{"transitions that are mixed up", "UPDATE tenter.journal SET seq = 0 WHERE kind = 'completed' AND run_id = " + errand, "after one of"},
		{"time goes back", "UPDATE tenter.journal SET at = at - interval '1 hour' WHERE kind = 'completed' AND run_id = " + errand, "before the last one's"},
		{"a stale owner", "SET CONSTRAINTS ALL IMMEDIATE; UPDATE tenter.runs SET epoch = epoch + 1, events = events + 1 WHERE id = " + errand +
			"; INSERT INTO tenter.journal SELECT run_id, position + 1, at, 'woken', ref, data, asked, or_start, epoch, seq FROM tenter.journal WHERE kind = 'completed' AND run_id = " + errand, "was written by the owner of epoch"},
		{"a message left behind", "INSERT INTO tenter.mailbox (run_id, kind, ref, accepted_at) VALUES (" + errand + ", 'woken', '', now())", "which has ended"},
		{"messages miscounted", "UPDATE tenter.runs SET messages = 3 WHERE id = " + errand, "its head says 3"},
		{"a leaked token", "UPDATE tenter.hooks SET closed_at = NULL WHERE number = (SELECT max(number) FROM tenter.hooks)", "is leaked"},
		{"a token with two hooks", "DROP INDEX tenter.hooks_token; UPDATE tenter.hooks SET closed_at = NULL WHERE token = (SELECT min(token) FROM tenter.hooks WHERE token LIKE 'talk:%' GROUP BY token HAVING count(*) > 1 LIMIT 1)", "has two open hooks"},
		{"a hook of nobody", "UPDATE tenter.hooks SET run_id = 'ghost' WHERE number = (SELECT max(number) FROM tenter.hooks)", "of run ghost, which is gone"},
		{"an attempt left behind", "INSERT INTO tenter.executing VALUES (" + errand + ", 'go#1', 1, now(), 'ghost')", "an attempt of go#1"},
		{"a payload lost", "UPDATE tenter.journal SET data = '\"\"' WHERE (run_id, position) = (SELECT run_id, max(position) FROM tenter.journal WHERE run_id = 'signoff-0-1' GROUP BY run_id)", "and is lost"},
		{"a payload delivered twice", "UPDATE tenter.journal SET data = '\"fine by me: signoff-0-1\"' WHERE kind = 'completed' AND run_id = 'signoff-1-1'", "was delivered 2 times"},
		{"a payload taken in twice", "INSERT INTO tenter.journal SELECT run_id, position + 100, at, kind, ref, data, asked, or_start, epoch, seq FROM tenter.journal WHERE kind = 'payload_received' AND run_id = 'signoff-0-1'", "is 2 times in the journal"},
		{"a payload from nowhere", "UPDATE tenter.journal SET data = '\"\"' WHERE kind = 'payload_received' AND run_id = 'signoff-0-1'", "is not in the journal"},
		{"a payload unread", "UPDATE tenter.journal SET data = '\"\"' WHERE run_id = 'signoff-0-1' AND data IS NOT NULL; INSERT INTO tenter.unread (run_id, number, message_id, kind, ref, data, accepted_at, journaled) VALUES ('signoff-0-1', 1, 1, 'payload_received', '', '\"fine by me: signoff-0-1\"', now(), false)", "left unread"},
		{"a receipt lost", "DELETE FROM tenter.receipts WHERE key = 'signoff-0-1'", "has no receipt"},
		{"payloads in another order", "UPDATE tenter.runs SET created_at = created_at - interval '1 day' WHERE id = (SELECT max(run_id) FROM tenter.hooks WHERE token = 'talk:0')", "the other way round"},
	} {
		t.Run(d.damage, func(t *testing.T) {
			s.within(func(tx pgx.Tx) error {
				if _, err := tx.Exec(t.Context(), d.sql, pgx.QueryExecModeSimpleProtocol); err != nil {
					return err
				}
				c, err := s.checker(postgresSnapshot{t.Context(), tx})
				if err == nil {
					wantFound(t, c.check(), d.want)
				}
				return err
			})
		})
	}

	// What the test has seen, against an intact database.
	for _, d := range []struct {
		damage string
		do     func(c *checker)
		want   string
	}{
		{"a step executed twice", func(c *checker) {
			again := c.effects[0]
			again.Began, again.Ended = again.Began.Add(time.Second), again.Ended.Add(time.Second)
			c.effects = append(c.effects, again)
		}, "though its result was recorded"},
		{"a step executed twice, and then recorded", func(c *checker) {
			before := c.effects[0]
			before.Began, before.Ended = before.Began.Add(-workLease/4), before.Ended.Add(-workLease/4)
			c.effects = append(c.effects, before)
		}, "without a reason"},
		{"a step executed twice, long after a mishap", func(c *checker) {
			before := c.effects[0]
			c.chron.mishaps = []mishap{{process: before.Process, began: before.Began.Add(-time.Hour), over: before.Began.Add(-time.Minute)}}
			before.Began, before.Ended = before.Began.Add(-workLease/4), before.Ended.Add(-workLease/4)
			c.effects = append(c.effects, before)
		}, "without a reason"},
		{"a step never executed", func(c *checker) {
			c.effects = slices.DeleteFunc(c.effects, func(e effect) bool { return strings.HasSuffix(e.Step, "/buy#1") })
		}, "and was never executed"},
		{"a refused payload delivered", func(c *checker) {
			p := *c.chron.payloads["fine by me: signoff-0-1"]
			p.certain, p.refused = false, true
			c.chron.payloads[p.text] = &p
		}, "was refused, and delivered"},
		{"a payload forgotten", func(c *checker) {
			c.chron.payloads["hello"] = &payload{text: "hello", certain: true}
		}, `"hello" was accepted, and is lost`},
	} {
		t.Run(d.damage, func(t *testing.T) {
			s.within(func(tx pgx.Tx) error {
				c, err := s.checker(postgresSnapshot{t.Context(), tx})
				if err == nil {
					c.chron = &chronicle{starts: s.chron.starts, payloads: maps.Clone(s.chron.payloads)}
					d.do(c)
					wantFound(t, c.check(), d.want)
				}
				return err
			})
		})
	}
}

// wantFound checks that a damage is among what was found.
func wantFound(t *testing.T, found []string, want string) {
	t.Helper()
	if !slices.ContainsFunc(found, func(f string) bool { return strings.Contains(f, want) }) {
		t.Errorf("found %q, want one that says %q", found, want)
	}
}
