package sqlite

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/tenter-dev/tenter/internal/planted"
	"github.com/tenter-dev/tenter/store"
)

// Fork makes a run of the beginning of another's journal.
func (c client) Fork(ctx context.Context, f store.Fork) (store.Hook, error) {
	var owner store.Hook
	err := c.do(ctx, func(w *writer) (err error) {
		owner, err = w.fork(&f)
		return err
	})
	return owner, err
}

func (w *writer) fork(f *store.Fork) (store.Hook, error) {
	o, err := w.head(f.Origin.RunID)
	if err != nil {
		return store.Hook{}, err
	}
	if err := w.asSeen(f, o); err != nil {
		return store.Hook{}, err
	}
	if err := w.oldWorker(); err != nil {
		return store.Hook{}, err
	}
	hooks, err := w.forkedHooks(f, o)
	if err != nil {
		return store.Hook{}, err
	}
	for _, h := range hooks {
		owner, err := w.hookByToken(h.Token)
		if err == nil {
			return owner, store.ErrExists
		}
		if !isNotFound(err) {
			return store.Hook{}, err
		}
	}
	at := w.acceptTime()
	now := formatTime(at)
	err = w.insertRun(f.Run, store.Running, now, now, "", "", "", "", o.epoch, f.Origin.Position, &store.Transition{})
	if err != nil {
		return store.Hook{}, err
	}
	generation := f.Generation
	if planted.ForkOfThePresent.Here() {
		generation = o.generation
	}
	if err := w.setOrigin(f.Run.ID, &f.Origin, generation, f.Base); err != nil {
		return store.Hook{}, err
	}
	err = w.on(qJournalFork).bindText(f.Run.ID).bindText(o.id).bindInt(f.Base).bindInt(f.Origin.Position).run()
	if err != nil {
		return store.Hook{}, err
	}
	for _, h := range hooks {
		err := w.on(qHookFork).bindText(f.Run.ID).bindText(o.id).bindText(h.ID).bindText(h.Token).bindBool(h.Reserved).bindBool(h.Carried).
			bindInt(f.Origin.Position).run()
		if err != nil {
			return store.Hook{}, err
		}
	}
	if err := w.listenAll(f.Run.ID); err != nil {
		return store.Hook{}, err
	}
	if err := w.serveGenerations(); err != nil {
		return store.Hook{}, err
	}
	return store.Hook{}, w.putMail(store.Message{RunID: f.Run.ID, Kind: store.Forked, Ref: o.id, Data: f.Data, Actor: f.Run.Actor}, "", at)
}

// asSeen checks that the last event that a fork is to have is still the one that the caller saw.
// Then those before it are, too.
func (w *writer) asSeen(f *store.Fork, o head) error {
	if ok, err := w.hasGeneration(f, o); err != nil || !ok {
		return cmp.Or(err, store.ErrConflict)
	}
	e, err := readOne(w.on(qJournalGet).bindText(o.id).bindInt(f.Origin.Position), readEvent)
	switch {
	case isNotFound(err), err == nil && (e.Epoch != f.Epoch || e.Seq != f.Seq):
		return store.ErrConflict
	}
	return err
}

// hasGeneration reports whether the generation that a fork is to continue is as the caller saw it, and
// has the event.
func (w *writer) hasGeneration(f *store.Fork, o head) (bool, error) {
	g := store.Generation{Base: o.base, Last: o.events}
	if f.Generation != o.generation {
		var err error
		g, err = readOne(w.on(qGenerationGet).bindText(o.id).bindInt(int64(f.Generation)), whole(readGeneration))
		if isNotFound(err) {
			return false, nil
		}
		if err != nil {
			return false, err
		}
	}
	return f.Base == g.Base && f.Origin.Position > g.Base && f.Origin.Position <= g.Last, nil
}

// forkedHooks are the hooks of the origin that a fork is to have, with its tokens, and as it is to
// have them.
func (w *writer) forkedHooks(f *store.Fork, o head) ([]store.Hook, error) {
	hooks := make([]store.Hook, len(f.Hooks))
	for i, fh := range f.Hooks {
		h, err := readOne(w.on(qHookByID).bindText(o.id).bindText(fh.ID), whole(readHook))
		if errors.Is(err, store.ErrNotFound) {
			return nil, store.ErrConflict
		}
		if err != nil {
			return nil, err
		}
		if fh.Token != "" {
			h.Token = fh.Token
		}
		h.Reserved = fh.Unopened && (h.Reserved || f.Generation == 0)
		h.Carried = fh.Unopened && !h.Reserved
		hooks[i] = h
	}
	return hooks, nil
}

// setOrigin notes where a run was forked from.
func (w *writer) setOrigin(runID string, o *store.Origin, generation int, base int64) error {
	data, err := json.Marshal(o)
	if err != nil {
		return fmt.Errorf("encode where run %s was forked from: %w", runID, err)
	}
	return w.on(qRunForked).bindText(runID).bindText(o.RunID).bindData(data).bindInt(int64(generation)).bindInt(base).run()
}
