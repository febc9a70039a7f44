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

// Whoever pauses a workflow waits for transactions that may not have seen it, and neither for others nor
// so that others have to.
func TestPauseWorkflowWaitsForTransitions(t *testing.T) {
	t.Parallel()
	url := pgtest.Database(t)
	s := open(t, url, Options{})
	if err := s.Start(t.Context(), newRun("r")); err != nil {
		t.Fatal(err)
	}
	begin := func(sql string) pgx.Tx {
		c, err := pgx.Connect(t.Context(), url)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = c.Close(context.WithoutCancel(t.Context())) })
		tx, err := c.Begin(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if _, err := tx.Exec(t.Context(), sql); err != nil {
			t.Fatal(err)
		}
		return tx
	}
	begin("LOCK TABLE tenter.paused_workflows, tenter.runs IN ACCESS SHARE MODE") // as pg_dump does
	transition := begin("SELECT FROM tenter.runs r WHERE r.workflow NOT IN (SELECT p.workflow FROM tenter.paused_workflows p) FOR UPDATE")

	short, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if err := s.PauseWorkflow(short, "w", store.Pause{}); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("paused beside a transition: %v", err)
	}
	paused, err := s.PausedWorkflows(t.Context())
	if err != nil || len(paused) != 1 {
		t.Errorf("paused are %v, %v", paused, err)
	}
	done := make(chan error, 1)
	go func() { done <- s.PauseWorkflow(t.Context(), "w", store.Pause{}) }()
	if err := s.Start(t.Context(), newRun("other")); err != nil {
		t.Errorf("start a run meanwhile: %v", err)
	}
	select {
	case err := <-done:
		t.Fatalf("paused beside a transition: %v", err)
	default:
	}
	if err := transition.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// TestPauseWaitsForWhatIsUnderWay: a transition that was checked before a pause, and is written slowly,
// is there when the pause returns.
func TestPauseWaitsForWhatIsUnderWay(t *testing.T) {
	t.Parallel()
	s := open(t, pgtest.Database(t), Options{})
	first := func(id string) *store.Transition {
		at := s.Now()
		r := store.NewRun{ID: id, Workflow: "w", Secret: []byte("secret")}
		return &store.Transition{
			RunID: id, Worker: "new", Epoch: 1, Seq: 1, Create: &r, At: at, Status: store.Waiting, Events: []store.Event{{At: at, Kind: store.Started}},
		}
	}
	if _, err := s.Apply(t.Context(), first("r")); err != nil {
		t.Fatal(err)
	}
	_, err := s.pool.Exec(t.Context(), inSchema(s.opts.Schema, `
		CREATE FUNCTION tenter.slowly() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_sleep(0.5); RETURN NEW; END $$;
		CREATE TRIGGER slowly BEFORE INSERT ON tenter.journal FOR EACH ROW EXECUTE FUNCTION tenter.slowly()`))
	if err != nil {
		t.Fatal(err)
	}
	for name, pause := range map[string]func() error{
		"r": func() error { return s.Pause(t.Context(), "r", store.Pause{Actor: "ada"}) },
		"w": func() error { return s.PauseWorkflow(t.Context(), "w", store.Pause{Actor: "ada"}) },
	} {
		if err := errors.Join(s.Resume(t.Context(), "r", ""), s.ResumeWorkflow(t.Context(), "w")); err != nil {
			t.Fatal(err)
		}
		before, err := s.Load(t.Context(), "r", 0)
		if err != nil {
			t.Fatal(err)
		}
		at := s.Now()
		transitions := map[string]*store.Transition{"r": {
			RunID: "r", Worker: "new", Epoch: before.Run.Epoch, Seq: before.Run.Events + 1, After: before.Run.Events, At: at, Status: store.Waiting,
			Events: []store.Event{{At: at, Kind: store.TimerFired}},
		}}
		if name == "w" {
			transitions["born"] = first("born")
		}
		applied := make(chan error, len(transitions))
		for _, tr := range transitions {
			go func() {
				_, err := s.Apply(t.Context(), tr)
				applied <- err
			}()
		}
		for slow := false; !slow; {
			err := s.pool.QueryRow(t.Context(), `SELECT EXISTS (SELECT FROM pg_stat_activity WHERE wait_event = 'PgSleep' AND datname = current_database())`).Scan(&slow)
			if err != nil {
				t.Fatal(err)
			}
		}
		if err := pause(); err != nil {
			t.Fatal(err)
		}
		events := map[string]int64{}
		for id := range transitions {
			l, err := s.Load(t.Context(), id, 0)
			if err != nil && !errors.Is(err, store.ErrNotFound) {
				t.Fatal(err)
			}
			events[id] = l.Run.Events
		}
		for range transitions {
			if err := <-applied; err != nil && !errors.Is(err, store.ErrPaused) {
				t.Error(err)
			}
		}
		for id := range transitions {
			l, err := s.Load(t.Context(), id, 0)
			if err != nil && !errors.Is(err, store.ErrNotFound) {
				t.Fatal(err)
			}
			if l.Run.Events != events[id] {
				t.Errorf("after the pause of %s, run %s had %d events, and has %d", name, id, events[id], l.Run.Events)
			}
		}
	}
}
