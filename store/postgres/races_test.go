package postgres

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

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
	tx, _ := begun(t, s, url)
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
	untilSomebodyWaits(t, s)
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

// A run that restarts opens the hook of a link right after an answer has found that it is not open.
func TestAnAnswerThatIsRefusedIsNotSaidToBeTaken(t *testing.T) {
	t.Parallel()
	s := open(t, pgtest.Database(t), Options{})
	ctx := t.Context()
	openHook(t, s)
	_, err := s.Apply(ctx, &store.Transition{
		RunID: "r", Worker: "w", Epoch: 1, Seq: 1, After: 1, At: s.Now(), Status: store.Running, Restart: &store.Restart{},
		Events: []store.Event{{At: s.Now(), Kind: store.Restarted}},
		Effects: []store.Effect{{Kind: store.IssueLink, Link: &store.Link{
			ID: "l", HookID: "r.h1", Addressee: "ada", CreatedAt: s.Now(), ExpiresAt: s.Now().Add(time.Hour),
		}}},
	})
	if err != nil {
		t.Fatal(err)
	}
	_, err = s.pool.Exec(ctx, `CREATE FUNCTION tenter.answer_and_open(mode text, link text, payload bytea, known integer, trace text, actor text)
		RETURNS TABLE (code text, told text, state text) LANGUAGE plpgsql AS $$
		BEGIN
			SELECT a.code, a.told, a.state INTO code, told, state FROM tenter.answer(mode, link, payload, known, trace, actor) a;
			UPDATE tenter.hooks SET carried = false;
			RETURN NEXT;
		END $$`)
	if err != nil {
		t.Fatal(err)
	}
	s.sql.answer = strings.ReplaceAll(s.sql.answer, ".answer(", ".answer_and_open(")
	l, err := s.Answer(ctx, store.Answer{Link: "l", Data: []byte("1"), Generation: 1})
	if err != nil || l.State != store.LinkCarried || !l.AnsweredAt.IsZero() {
		t.Errorf("answer: %v, the link was %s, answered at %v", err, l.State, l.AnsweredAt)
	}
}

// Somebody forks an old generation in a long transaction while others prune.
func TestPruningLeavesAGenerationThatIsBeingForked(t *testing.T) {
	t.Parallel()
	url := pgtest.Database(t)
	s := open(t, url, Options{})
	ctx := t.Context()
	openHook(t, s)
	restart := func(after int64, epoch int64) {
		t.Helper()
		now := s.Now()
		_, err := s.Apply(ctx, &store.Transition{
			RunID: "r", Epoch: epoch, After: after, At: now, WakeAt: now, Status: store.Running,
			Events: []store.Event{{At: now, Kind: store.Restarted}}, Restart: &store.Restart{Start: "next"},
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	restart(1, 1)
	restart(2, 2)
	_, err := s.Apply(ctx, &store.Transition{RunID: "r", Epoch: 3, After: 3, At: s.Now(), Status: store.Waiting, Events: []store.Event{{At: s.Now(), Kind: store.Started}}})
	if err != nil {
		t.Fatal(err)
	}
	prune := func(want int) {
		t.Helper()
		n, more, err := s.PruneGenerations(ctx, s.Now().Add(time.Minute), 1000)
		if err != nil || n != want || more {
			t.Fatalf("pruned %d generations, want %d; more %t, %v", n, want, more, err)
		}
	}
	events, err := s.Journal(ctx, "r", 0, 1)
	if err != nil {
		t.Fatal(err)
	}
	tx, in := begun(t, s, url)
	_, err = in.Fork(ctx, store.Fork{
		Run: store.NewRun{ID: "f", Workflow: "flow", Version: 1}, Origin: store.Origin{RunID: "r", Position: 1},
		Epoch: events[0].Epoch, Seq: events[0].Seq,
	})
	if err != nil {
		t.Fatal(err)
	}
	prune(0)
	if err := tx.Commit(ctx); err != nil {
		t.Fatal(err)
	}
	prune(2)
	if l, err := s.Load(ctx, "f", 0); err != nil || len(l.Events) != 1 {
		t.Errorf("the fork is %+v, %v", l, err)
	}
}
