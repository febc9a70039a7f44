package postgres

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/tenter-dev/tenter/store"
)

// Pause pauses a run.
func (s *Store) Pause(ctx context.Context, runID string, p store.Pause) error {
	err := s.call(ctx, "pause run "+runID, func(ctx context.Context, c *pgxpool.Conn) error {
		return readPausing(c.QueryRow(ctx, s.sql.pause, alone, runID, p.Actor, p.Why))
	})
	if err == nil {
		s.tell(store.Signal{Mail: []string{runID}}) // its owner has to know
	}
	return err
}

// readPausing reads the answer to a pause.
func readPausing(row pgx.Row) error {
	var code, old *string
	if err := row.Scan(&code, &old); err != nil {
		return found(err)
	}
	err := refusal(code)
	if errors.Is(err, store.ErrOldWorker) {
		err = fmt.Errorf("%w: worker %s", err, *old)
	}
	return err
}

// Resume lets a run that is paused go on.
func (s *Store) Resume(ctx context.Context, runID, actor string) error {
	err := s.call(ctx, "resume run "+runID, func(ctx context.Context, c *pgxpool.Conn) error {
		var code *string
		if err := c.QueryRow(ctx, s.sql.resume, alone, runID, optText(actor)).Scan(&code); err != nil {
			return found(err)
		}
		return refusal(code)
	})
	if err == nil {
		s.tell(store.Signal{Mail: []string{runID}})
	}
	return err
}

// PauseWorkflow pauses all runs of a workflow, those that start later too.
func (s *Store) PauseWorkflow(ctx context.Context, workflow string, p store.Pause) error {
	err := s.call(ctx, "pause workflow "+workflow, func(ctx context.Context, c *pgxpool.Conn) error {
		return readPausing(c.QueryRow(ctx, s.sql.pauseWorkflow, workflow, p.Actor, p.Why))
	})
	if err != nil {
		return err
	}
	s.tell(store.Signal{All: true})
	return s.outlastTransitions(ctx, workflow)
}

// outlastTransitions returns when none is under way that may not have seen that a workflow is paused.
func (s *Store) outlastTransitions(ctx context.Context, workflow string) error {
	var waited []string // for these
	for pause := time.Millisecond; ; pause = min(2*pause, 100*time.Millisecond) {
		var underWay []string
		err := s.call(ctx, "pause workflow "+workflow, func(ctx context.Context, c *pgxpool.Conn) error {
			return c.QueryRow(ctx, s.sql.underWay).Scan(&underWay)
		})
		if err != nil {
			return err
		}
		if waited == nil {
			waited = underWay
		}
		waited = slices.DeleteFunc(waited, func(id string) bool { return !slices.Contains(underWay, id) })
		if len(waited) == 0 {
			return nil
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return fmt.Errorf("pause workflow %s: it is paused, and transactions that began before may still write transitions: %w", workflow, ctx.Err())
		}
	}
}

// ResumeWorkflow lets the runs of a workflow go on.
func (s *Store) ResumeWorkflow(ctx context.Context, workflow string) error {
	err := s.call(ctx, "resume workflow "+workflow, func(ctx context.Context, c *pgxpool.Conn) error {
		_, err := c.Exec(ctx, s.sql.resumeWorkflow, workflow)
		return err
	})
	if err == nil {
		s.tell(store.Signal{All: true})
	}
	return err
}

// PausedWorkflows lists the workflows that are paused, by name.
func (s *Store) PausedWorkflows(ctx context.Context) ([]store.PausedWorkflow, error) {
	return list(ctx, s, "list paused workflows", func(row pgx.Row) (p store.PausedWorkflow, err error) {
		p.Pause.Workflow = true
		err = row.Scan(&p.Workflow, &p.At, &p.Actor, &p.Why)
		p.At = p.At.UTC()
		return p, err
	}, s.sql.pausedWorkflows)
}

// Deposit puts outcomes of attempts into the mailbox of a run.
func (s *Store) Deposit(ctx context.Context, d store.Deposit) error {
	err := s.call(ctx, "deposit outcomes of run "+d.RunID, func(ctx context.Context, c *pgxpool.Conn) error {
		var r request
		defer r.free()
		outcomes := r.array(s.types["message_2"])
		for i := range d.Outcomes {
			outcomes.addMessage(&d.Outcomes[i], 0, false)
		}
		var code *string
		if err := c.QueryRow(ctx, s.sql.deposit, alone, d.RunID, d.Worker, d.Epoch, outcomes.value(), d.Release).Scan(&code); err != nil {
			return err
		}
		return refusal(code)
	})
	if err == nil && (d.Release || len(d.Outcomes) > 0) {
		s.tell(store.Signal{Mail: []string{d.RunID}})
	}
	return err
}
