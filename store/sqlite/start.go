package sqlite

import (
	"context"
	"time"

	"github.com/tenter-dev/tenter/store"
)

// Start inserts a run with a Started message.
func (c client) Start(ctx context.Context, r store.NewRun) error {
	return c.do(ctx, func(w *writer) error { return w.startRun(r, w.acceptTime()) })
}

// startRun inserts a run that is free, with its Started message. ErrExists if
// the ID is taken, and nothing is written.
func (w *writer) startRun(r store.NewRun, at time.Time) error {
	created := formatTime(at)
	err := w.insertRun(r, store.Running, created, created, "", "", "", "", 0, 0, &store.Transition{})
	if err != nil {
		return err
	}
	err = w.putMail(store.Message{RunID: r.ID, Kind: store.Started, Data: r.Input, Actor: r.Actor}, "", at)
	w.started = w.inserted()
	return err
}

// insertRun inserts a run. ErrExists if the ID is taken, and nothing is written.
func (w *writer) insertRun(r store.NewRun, status store.Status, created, updated, ended, wake, due, worker string, epoch, events int64, t *store.Transition) error {
	version := r.Version
	if t.Version != 0 {
		version = t.Version
	}
	err := w.on(qRunInsert).
		bindText(r.ID).bindText(r.Workflow).bindInt(int64(version)).bindText(string(status)).
		bindOptText(r.ParentID).bindOptText(r.ParentRef).bindOptText(r.Trace).bindBlob(r.Secret).
		bindText(created).bindText(updated).bindOptText(ended).bindOptText(wake).bindOptText(due).
		bindInt(0).bindOptText(worker).bindInt(epoch).bindInt(events).
		bindInt(int64(t.Suspicion)).bindBool(t.Mark).bindInt(int64(t.Crashes)).
		bindText(t.BlockedBuild).bindText(t.BlockedReason).
		run()
	if err == nil && !w.changed() {
		err = store.ErrExists
	}
	return err
}
