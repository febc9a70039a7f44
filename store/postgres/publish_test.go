package postgres

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/tenter-dev/tenter/internal/pgtest"
	"github.com/tenter-dev/tenter/store"
)

// openListener creates a run with a hook that listens to subject 1 of the topic "t".
func openListener(t *testing.T, s *Store, run string) {
	t.Helper()
	at, r := s.Now(), newRun(run)
	h := store.Hook{ID: run + ".h1", Token: run, Type: "t", Subject: "1", CreatedAt: at, OpenedPos: 1}
	_, err := s.Apply(t.Context(), &store.Transition{
		RunID: run, Worker: "w", Epoch: 1, Create: &r, At: at, Status: store.Waiting, Events: []store.Event{{At: at, Kind: store.Started}},
		Effects: []store.Effect{{Kind: store.OpenHook, Hook: h}},
	})
	if err != nil {
		t.Fatal(err)
	}
}

// begun is a transaction of the application, and the store in it.
func begun(t *testing.T, s *Store, url string) (pgx.Tx, store.Joined) {
	t.Helper()
	ctx := context.WithoutCancel(t.Context())
	c, err := pgx.Connect(ctx, url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close(ctx) })
	tx, err := c.Begin(ctx)
	if err != nil {
		t.Fatal(err)
	}
	j, err := s.Within(Tx(tx))
	if err != nil {
		t.Fatal(err)
	}
	return tx, j
}

// untilSomebodyWaits returns when a transaction waits for a lock.
func untilSomebodyWaits(t *testing.T, s *Store) {
	t.Helper()
	for waits := false; !waits; wait(time.Millisecond) {
		err := s.pool.QueryRow(t.Context(), "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock')").Scan(&waits)
		if err != nil {
			t.Fatal(err)
		}
	}
}

// A run ends while a payload is published to it: the publication finds the run in use, and commits when
// the end waits for the topic.
func TestEndWhilePublished(t *testing.T) {
	t.Parallel()
	url := pgtest.Database(t)
	s := open(t, url, Options{})
	openListener(t, s, "r")
	tx, j := begun(t, s, url)
	release := hold(t, url, "r") // as what ends it does
	p, err := j.Publish(t.Context(), store.Publication{Topic: "t", Subject: "1", Data: []byte("payload")})
	if err != nil || p.Count != 1 {
		t.Fatalf("published %+v, %v", p, err)
	}
	release()
	ended := make(chan error)
	go func() {
		_, err := s.Apply(t.Context(), &store.Transition{
			RunID: "r", Worker: "w", Epoch: 1, After: 1, At: s.Now(), Status: store.Completed, Events: []store.Event{{At: s.Now(), Kind: store.RunCompleted}},
		})
		ended <- err
	}()
	untilSomebodyWaits(t, s)
	if err := tx.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
	m, err := s.Mailbox(t.Context(), "r", 10)
	if err != nil || len(m) != 1 || string(m[0].Data) != "payload" {
		t.Errorf("unread are %+v, %v", m, err)
	}
	var left int
	if err := s.pool.QueryRow(t.Context(), "SELECT count(*) FROM tenter.mailbox").Scan(&left); err != nil || left != 0 {
		t.Errorf("%d messages are left in mailboxes, %v", left, err)
	}
}

// Publications to listeners that are behind already change no index.
func TestPublishIsHot(t *testing.T) {
	t.Parallel()
	url := pgtest.Database(t)
	s := open(t, url, Options{})
	openListener(t, s, "r")
	ctx := t.Context()
	tx, j := begun(t, s, url)
	defer hold(t, url, "r")() // so that it is told later
	const n = 10
	for range n + 1 {
		if _, err := j.Publish(ctx, store.Publication{Topic: "t", Subject: "1", Data: []byte("payload")}); err != nil {
			t.Fatal(err)
		}
	}
	var updates, hot int
	err := tx.QueryRow(ctx, "SELECT n_tup_upd, n_tup_hot_upd FROM pg_stat_xact_user_tables WHERE schemaname = 'tenter' AND relname = 'topics'").Scan(&updates, &hot)
	if err != nil || updates != n+1 || hot < n { // the first adds it to those that are behind
		t.Errorf("%d of %d updates were HOT, %v", hot, updates, err)
	}
}

// A restart that waits for the topic gives way to a transaction of the application, before that waits
// for the run and PostgreSQL ends one of the two.
func TestRestartGivesWay(t *testing.T) {
	t.Parallel()
	url := pgtest.Database(t)
	s := open(t, url, Options{})
	openListener(t, s, "r")
	ctx := t.Context()
	restart := func() error {
		l, err := s.Load(ctx, "r", 0)
		if err != nil {
			return err
		}
		var took []int64
		for _, m := range l.Mail {
			took = append(took, m.ID)
		}
		now := s.Now()
		_, err = s.Apply(ctx, &store.Transition{
			RunID: "r", Worker: "w", Epoch: l.Run.Epoch, After: l.Run.Events, At: now, Status: store.Running, Keep: true, WakeAt: now, Took: took,
			Events: []store.Event{{At: now, Kind: store.Restarted}}, Restart: &store.Restart{Start: "again"},
		})
		return err
	}
	if err := restart(); err != nil { // its hook is carried now, and closed by the next
		t.Fatal(err)
	}
	openListener(t, s, "other")
	tx, j := begun(t, s, url)
	if _, err := j.Publish(ctx, store.Publication{Topic: "t", Subject: "1", Data: []byte("payload"), AtOnce: 1}); err != nil {
		t.Fatal(err)
	}
	restarted := make(chan error)
	go func() { restarted <- restart() }()
	tries := map[time.Time]bool{} // when they began
	for limit := time.Now().Add(time.Minute); len(tries) < 2; wait(time.Millisecond) {
		var began *time.Time
		err := s.pool.QueryRow(ctx, "SELECT max(query_start) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'").Scan(&began)
		if err != nil {
			t.Fatal(err)
		}
		if began != nil {
			tries[*began] = true
		}
		if time.Now().After(limit) {
			t.Error("the restart waits for more than a minute")
			break
		}
	}
	if err := j.Send(ctx, store.Message{RunID: "r", Kind: store.Woken}); err != nil {
		t.Errorf("the application's transaction: %v", err)
	}
	if err := tx.Commit(ctx); err != nil {
		t.Error(err)
	}
	if err := <-restarted; err != nil && !errors.Is(err, store.ErrConflict) {
		t.Errorf("restart: %v", err)
	}
}
