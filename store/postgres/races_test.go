package postgres

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/tenter-dev/tenter/internal/pgtest"
	"github.com/tenter-dev/tenter/store"
)

var flow = []store.Definition{{Workflow: "flow", Version: 1}}

// Somebody claims a token of a failed run while that is retried.
func TestRetryWhileItsTokenIsClaimed(t *testing.T) {
	t.Parallel()
	url := pgtest.Database(t)
	s := open(t, url, Options{})
	ctx := t.Context()
	openHook(t, s)
	_, err := s.Apply(ctx, &store.Transition{
		RunID: "r", Epoch: 1, After: 1, At: s.Now(), Status: store.Failed, Events: []store.Event{{At: s.Now(), Kind: store.RunFailed}},
	})
	if err != nil {
		t.Fatal(err)
	}
	c, err := pgx.Connect(ctx, url)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close(context.WithoutCancel(ctx)) }()
	tx, err := c.Begin(ctx)
	if err != nil {
		t.Fatal(err)
	}
	_, err = tx.Exec(ctx, `INSERT INTO tenter.hooks (run_id, id, token, type, reserved, created_at, opened_pos)
		VALUES ('other', 'other.h1', 'token', '', false, now(), 1)`)
	if err != nil {
		t.Fatal(err)
	}
	retried := make(chan error)
	go func() {
		owner, err := s.Retry(ctx, store.Cut{RunID: "r", Events: 2, From: 2})
		if owner.RunID != "other" {
			t.Errorf("the token is of %+v", owner)
		}
		retried <- err
	}()
	for waits := false; !waits; wait(time.Millisecond) {
		if err := s.pool.QueryRow(ctx, "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock')").Scan(&waits); err != nil {
			t.Fatal(err)
		}
	}
	if err := tx.Commit(ctx); err != nil {
		t.Error(err)
	}
	if err := <-retried; !errors.Is(err, store.ErrExists) {
		t.Errorf("retry: %v", err)
	}
	if l, err := s.Load(ctx, "r", 0); err != nil || l.Run.Status != store.Failed || len(l.Events) != 2 {
		t.Errorf("the run is %+v, %v", l.Run, err)
	}
}

func TestARunThatIsFreedWithSomethingToDoIsNews(t *testing.T) {
	t.Parallel()
	s := open(t, pgtest.Database(t), Options{Poll: never})
	openHook(t, s)
	heard := signals(t, s)
	now := s.Now()
	_, err := s.Apply(t.Context(), &store.Transition{RunID: "r", Epoch: 1, After: 1, At: now, WakeAt: now, Status: store.Running})
	if err != nil {
		t.Fatal(err)
	}
	until(t, heard, mailOf("r"))
}

// An application holds a lock on a run; the others are freed and claimed nevertheless.
func TestALockOfOthersHoldsUpNoClaimAndNoRelease(t *testing.T) {
	t.Parallel()
	url := pgtest.Database(t)
	s := open(t, url, Options{})
	ctx := t.Context()
	for _, id := range []string{"a", "b", "c"} {
		if err := s.Start(ctx, newRun(id)); err != nil {
			t.Fatal(err)
		}
	}
	claim := func(worker string, limit int) (ids []string) {
		t.Helper()
		c, err := s.Claim(ctx, store.Claim{Worker: worker, Definitions: flow, Limit: limit, Now: s.Now()})
		if err != nil {
			t.Fatal(err)
		}
		if c.More != (len(c.Runs) == limit) {
			t.Errorf("%d runs of %d: more is %v", len(c.Runs), limit, c.More)
		}
		for _, r := range c.Runs {
			ids = append(ids, r.ID)
		}
		return ids
	}
	if err := s.Renew(ctx, store.Lease{Worker: "w", For: time.Hour, Definitions: flow}); err != nil {
		t.Fatal(err)
	}
	release := hold(t, url, "a")
	named, err := s.Claim(ctx, store.Claim{Worker: "w", Definitions: flow, Now: s.Now(), Runs: []string{"a"}})
	if err != nil || len(named.Runs) > 0 || !slices.Equal(named.Busy, []string{"a"}) {
		t.Errorf("claimed %v, busy %v, %v; want it to be busy", named.Runs, named.Busy, err)
	}
	if got := claim("w", 1); !slices.Equal(got, []string{"b"}) {
		t.Errorf("claimed %q", got)
	}
	release()
	if got := claim("w", 10); !slices.Equal(got, []string{"a", "c"}) {
		t.Errorf("claimed %q", got)
	}

	release = hold(t, url, "b")
	released := make(chan error)
	go func() { released <- s.Release(ctx, "w") }()
	var got []string
	for len(got) < 2 {
		got = append(got, claim("v", 10)...)
		wait(time.Millisecond)
	}
	if slices.Sort(got); !slices.Equal(got, []string{"a", "c"}) {
		t.Errorf("claimed %q", got)
	}
	release()
	if err := <-released; err != nil {
		t.Error(err)
	}
	if r, err := s.Run(ctx, "b"); err != nil || r.Worker != "" {
		t.Errorf("run b has the worker %q, %v", r.Worker, err)
	}
}
