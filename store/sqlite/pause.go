package sqlite

import (
	"context"
	"slices"

	"github.com/tenter-dev/tenter/internal/planted"
	"github.com/tenter-dev/tenter/store"
)

// A run that is paused has no due_at, so no claim has to step over it. The runs of a workflow that
// is paused are not touched: claims leave the workflow out, and the writer knows which are paused.

// Pause pauses a run.
func (c client) Pause(ctx context.Context, runID string, p store.Pause) error {
	return c.do(ctx, func(w *writer) error {
		h, err := w.head(runID)
		switch {
		case err != nil:
			return err
		case h.status.Ended():
			return store.ErrFenced
		case h.paused:
			return nil
		}
		if err := w.serveOnlyPausers(); err != nil {
			return err
		}
		w.sig.Mail = append(w.sig.Mail, runID) // its owner has to know
		return w.on(qRunPause).bindTime(w.acceptTime()).bindText(p.Actor).bindText(p.Why).bindText(runID).run()
	})
}

// Resume lets a run that is paused go on.
func (c client) Resume(ctx context.Context, runID, actor string) error {
	return c.do(ctx, func(w *writer) error {
		h, err := w.head(runID)
		switch {
		case err != nil:
			return err
		case h.status.Ended():
			return store.ErrFenced
		case !h.paused:
			return nil
		}
		return w.resume(h, actor)
	})
}

// resume takes the pause off a run, and lets it be due again.
func (w *writer) resume(h head, actor string) error {
	oldest, err := w.oldestMail(h.id)
	if err != nil {
		return err
	}
	due := earlier(h.wakeAt, oldest)
	if err := w.on(qRunResume).bindOptText(due).bindText(h.id).run(); err != nil {
		return err
	}
	if err := w.putMail(store.Message{RunID: h.id, Kind: store.Resumed, Actor: actor}, due, w.acceptTime()); err != nil {
		return err
	}
	if planted.ResumeForgotten.Here() {
		return w.on(qRunResume).bindOptText("").bindText(h.id).run()
	}
	return nil
}

// serveOnlyPausers makes binaries that know no pauses refuse the file. ErrOldWorker if a worker of
// one of them is live.
func (w *writer) serveOnlyPausers() error {
	if err := w.oldWorker(); err != nil {
		return err
	}
	return w.serveGenerations()
}

// PauseWorkflow pauses all runs of a workflow, those that start later too.
func (s *Store) PauseWorkflow(ctx context.Context, workflow string, p store.Pause) error {
	return s.w.do(ctx, func(w *writer) error {
		if err := w.serveOnlyPausers(); err != nil {
			return err
		}
		w.pausesKnown = false
		w.sig.All = true
		return w.on(qPausedInsert).bindText(workflow).bindTime(w.acceptTime()).bindText(p.Actor).bindText(p.Why).run()
	})
}

// ResumeWorkflow lets the runs of a workflow go on.
func (s *Store) ResumeWorkflow(ctx context.Context, workflow string) error {
	return s.w.do(ctx, func(w *writer) error {
		w.pausesKnown = false
		w.sig.All = true
		return w.on(qPausedDelete).bindText(workflow).run()
	})
}

// PausedWorkflows lists the workflows that are paused, by name.
func (s *Store) PausedWorkflows(ctx context.Context) (all []store.PausedWorkflow, err error) {
	err = s.pool.read(ctx, func(c *conn) error {
		all, err = c.pausedWorkflows()
		return err
	})
	return all, err
}

func (c *conn) pausedWorkflows() ([]store.PausedWorkflow, error) {
	return readAll(c.on(qPausedList), whole(func(st *stmt) store.PausedWorkflow {
		return store.PausedWorkflow{Workflow: st.text(), Pause: store.Pause{At: st.time(), Actor: st.text(), Why: st.text(), Workflow: true}}
	}))
}

// paused returns the names of the workflows that are paused. They are read when a transaction needs
// them, and may have changed since they were last.
func (w *writer) paused() ([]string, error) {
	if w.pausesKnown {
		return w.pausedNames, nil
	}
	all, err := w.pausedWorkflows()
	if err != nil {
		return nil, err
	}
	w.pausedNames = nil
	for _, p := range all {
		w.pausedNames = append(w.pausedNames, p.Workflow)
	}
	w.pausesKnown = true
	return w.pausedNames, nil
}

// mayGoOn returns ErrPaused if a run, or its workflow, is paused.
func (w *writer) mayGoOn(h head) error {
	if planted.PauseUnchecked.Here() {
		return nil
	}
	if h.paused {
		return store.ErrPaused
	}
	if names, err := w.paused(); err != nil || len(names) == 0 {
		return err
	}
	workflow, err := readOne(w.on(qRunWhose).bindText(h.id), whole((*stmt).text))
	if err != nil {
		return err
	}
	return w.mayBegin(workflow)
}

// mayBegin returns ErrPaused if a workflow is paused.
func (w *writer) mayBegin(workflow string) error {
	if planted.PauseUnchecked.Here() {
		return nil
	}
	names, err := w.paused()
	if err == nil && slices.Contains(names, workflow) {
		err = store.ErrPaused
	}
	return err
}

// readPause reads the columns of the pause of a run.
func readPause(st *stmt, status store.Status) *store.Pause {
	p := store.Pause{At: st.time(), Actor: st.text(), Why: st.text(), Workflow: st.bool()}
	if p.At.IsZero() || status.Ended() {
		return nil
	}
	return &p
}

// Deposit puts outcomes of attempts into the mailbox of a run.
func (s *Store) Deposit(ctx context.Context, d store.Deposit) error {
	return s.w.do(ctx, func(w *writer) error { return w.deposit(&d) })
}

func (w *writer) deposit(d *store.Deposit) error {
	h, err := w.head(d.RunID)
	switch {
	case err != nil:
		return err
	case h.epoch != d.Epoch, h.worker != "" && h.worker != d.Worker, h.status.Ended():
		return store.ErrFenced
	}
	for _, m := range d.Outcomes {
		if err := w.on(qExecutingDelete).bindText(d.RunID).bindText(m.Ref).run(); err != nil {
			return err
		}
		_, err := readOne(w.on(qMailOutcome).bindText(d.RunID).bindText(m.Ref), whole((*stmt).int))
		if err == nil {
			continue // by a deposit whose answer got lost, or a transactional step's
		} else if !isNotFound(err) {
			return err
		}
		m.RunID = d.RunID
		at := w.acceptTime()
		if err := w.putMail(m, h.dueAt, at); err != nil {
			return err
		}
		h.dueAt = earlier(h.dueAt, formatTime(at))
	}
	if !d.Release {
		return nil
	}
	if err := w.on(qExecutingClear).bindText(d.RunID).run(); err != nil {
		return err
	}
	w.sig.Mail = append(w.sig.Mail, d.RunID)
	return w.on(qRunFree).bindText(d.RunID).run()
}
