package sqlite

import (
	"context"
	"fmt"
	"time"

	"github.com/tenter-dev/tenter/internal/planted"
	"github.com/tenter-dev/tenter/store"
)

// knowsGenerations is the lowest number of a schema whose binaries know that runs restart, are forked
// and are paused. Others would replay all generations as one, a fork as what it is not, and execute
// what is paused, so a file with such runs does not serve them.
const knowsGenerations = 3

// restart ends a generation, when all else of its last transition is written, and begins the next.
func (w *writer) restart(t *store.Transition, h head) error {
	last := t.After + int64(len(t.Events))
	if planted.TokenFreedBetween.Here() {
		if _, err := w.closeHooks(t.RunID, t.At, last); err != nil {
			return err
		}
	}
	if err := w.on(qHookCloseCarried).bindTime(t.At).bindInt(last).bindText(t.RunID).run(); err != nil {
		return err
	}
	if w.changed() || planted.DeafBetween.Here() {
		if _, err := w.ceaseClosed(t.RunID); err != nil {
			return err
		}
	}
	carried, err := w.leaveClosed(t)
	if err != nil {
		return err
	}
	if h.generation == 0 {
		if err := w.serveGenerations(); err != nil {
			return err
		}
	}
	unread, err := w.lastUnread(t.RunID)
	if err != nil {
		return err
	}
	for _, st := range []*stmt{
		w.on(qExecutingClear).bindText(t.RunID),
		w.on(qPruneTxSteps).bindText(t.RunID), // the epoch keeps late attempts away
		w.on(qMailNoWake).bindText(t.RunID),
		w.on(qHookCarry).bindText(t.RunID),
		w.on(qGenerationInsert).bindText(t.RunID).bindInt(int64(h.generation)).bindTime(t.At).bindInt(h.base).bindInt(last).bindInt(unread),
	} {
		if err := st.run(); err != nil {
			return err
		}
	}
	if err := w.putFront(t, carried); err != nil {
		return err
	}
	if err := w.on(qLinkCarry).bindText(t.RunID).bindInt(int64(h.generation)).run(); err != nil {
		return err
	}
	oldest, err := w.oldestMail(t.RunID)
	if err != nil {
		return err
	}
	return w.on(qRunRestart).bindText(t.RunID).bindText(earlier(optTime(t.WakeAt), oldest)).run()
}

// oldWorker returns ErrOldWorker if a worker is live whose binary knows less than knowsGenerations.
func (w *writer) oldWorker() error {
	name, err := readOne(w.on(qOldWorker).bindTime(w.acceptTime()).bindInt(knowsGenerations), whole((*stmt).text))
	if isNotFound(err) {
		return nil
	}
	if err != nil {
		return err
	}
	return fmt.Errorf("%w: worker %s", store.ErrOldWorker, name)
}

// serveGenerations makes binaries refuse the file that know less than knowsGenerations.
func (w *writer) serveGenerations() error { return w.on(qServeOnly).bindInt(knowsGenerations).run() }

// leaveClosed does for the closed hooks of a run what its end does for all: what it never took of
// them is unread, or starts successors. It returns what the journal has of open hooks.
func (w *writer) leaveClosed(t *store.Transition) (carried []store.Message, err error) {
	var unread []unreadMessage
	for _, m := range t.Unread {
		m.RunID = t.RunID
		hook, err := readOne(w.on(qHookByID).bindText(t.RunID).bindText(m.Ref), whole(readHook))
		switch {
		case err != nil && !isNotFound(err):
			return nil, err
		case err == nil && hook.ClosedAt.IsZero():
			carried = append(carried, m)
		default:
			unread = append(unread, unreadMessage{Message: m, journaled: true})
		}
	}
	if t.TookAny {
		if unread, err = w.startSuccessors(t.RunID, unread); err != nil {
			return nil, err
		}
	}
	if err := w.keepUnread(t.RunID, unread); err != nil {
		return nil, err
	}
	if err := w.admitAll(t.RunID, true); err != nil {
		return nil, err
	}
	last, err := w.lastUnread(t.RunID)
	if err != nil {
		return nil, err
	}
	if err := w.on(qMailClosedToUnread).bindText(t.RunID).bindInt(last).run(); err != nil {
		return nil, err
	}
	return carried, w.on(qMailClosedClear).bindText(t.RunID).run()
}

// putFront begins the mailbox of the next generation: with its input, an order to cancel, and what
// the journal had of open hooks, each in front of what waits for the hook.
func (w *writer) putFront(t *store.Transition, carried []store.Message) error {
	r := t.Restart
	err := w.on(qMailInsert).bindText(t.RunID).bindText(string(store.Started)).bindText(r.Start).bindData(r.Input).
		bindTime(t.At).bindOptText("").bindOptText("").bindOptText(r.Actor).run()
	if err != nil {
		return err
	}
	started := w.inserted()
	if err := w.on(qMailToFront).bindInt(inFront(started, 0)).bindInt(started).run(); err != nil {
		return err
	}
	if r.Canceled {
		m := store.Message{RunID: t.RunID, Kind: store.CancelRequested, AcceptedAt: t.At}
		if err := w.insertFront(m, inFront(started, 1)); err != nil {
			return err
		}
	}
	for i, m := range carried {
		if planted.CarriedPayloadLost.Here() && i == len(carried)-1 {
			break
		}
		if err := w.insertFront(m, inFront(started, 2+i)); err != nil {
			return err
		}
	}
	return nil
}

// insertFront puts a message in front of a mailbox, or of the backlog of its hook.
func (w *writer) insertFront(m store.Message, id int64) error {
	orStart, err := encodeNewRun(m.OrStart)
	if err != nil {
		return err
	}
	number := int64(0)
	if m.Kind == store.PayloadReceived {
		if number, err = w.backlogOf(m.RunID, m.Ref); err != nil {
			return err
		}
	}
	if number != 0 {
		return w.on(qMailInFront).bindInt(id).bindText(string(m.Kind)).bindText(m.Ref).bindData(m.Data).
			bindTime(m.AcceptedAt).bindData(orStart).bindOptText(m.Actor).bindInt(number).run()
	}
	return w.on(qMailPutFront).bindInt(id).bindText(m.RunID).bindText(string(m.Kind)).bindText(m.Ref).bindData(m.Data).
		bindTime(m.AcceptedAt).bindData(orStart).bindOptText(m.Actor).run()
}

// Generations lists the generations of a run that are over.
func (s *Store) Generations(ctx context.Context, runID string) (all []store.Generation, err error) {
	if s.previous {
		return nil, ctx.Err()
	}
	err = s.pool.read(ctx, func(c *conn) error {
		all, err = readAll(c.on(qGenerations).bindText(runID), whole(readGeneration))
		return err
	})
	return all, err
}

func readGeneration(st *stmt) store.Generation {
	return store.Generation{Number: int(st.int()), EndedAt: st.time(), Base: st.int(), Last: st.int()}
}

// Unread returns the payloads that a generation of a run has left unread.
func (s *Store) Unread(ctx context.Context, runID string, generation, limit int) (unread []store.Message, err error) {
	if s.previous {
		return nil, ctx.Err()
	}
	err = s.pool.read(ctx, func(c *conn) error {
		unread, err = readPage(c.on(qUnreadOf).bindText(runID).bindInt(int64(generation)).bindInt(int64(limit)), readMessage,
			func(m *store.Message) int { return len(m.Data) })
		return err
	})
	return unread, err
}

// PruneGenerations deletes generations that ended before a time.
func (s *Store) PruneGenerations(ctx context.Context, before time.Time, limit int) (pruned int, more bool, err error) {
	err = s.w.do(ctx, func(w *writer) error {
		pruned, more, err = w.pruneGenerations(before, limit)
		return err
	})
	return pruned, more, err
}

func (w *writer) pruneGenerations(before time.Time, limit int) (pruned int, more bool, err error) {
	type generation struct {
		runID                string
		number, last, unread int64
	}
	over, err := readAll(w.on(qGenerationsEnded).bindTime(before).bindInt(int64(limit)), whole(func(st *stmt) generation {
		return generation{st.text(), st.int(), st.int(), st.int()}
	}))
	if err != nil {
		return 0, false, err
	}
	deleted := 0
	for ; pruned < len(over) && deleted < limit; pruned++ {
		g := over[pruned]
		if err := w.on(qGenerationJournal).bindText(g.runID).bindInt(g.last).run(); err != nil {
			return 0, false, err
		}
		deleted += w.c.Changes()
		for _, st := range []*stmt{
			w.on(qGenerationCuts).bindText(g.runID).bindInt(g.last),
			w.on(qGenerationLinks).bindText(g.runID).bindInt(g.last),
			w.on(qGenerationHooks).bindText(g.runID).bindInt(g.last),
			w.on(qGenerationUnread).bindText(g.runID).bindInt(g.unread),
			w.on(qGenerationDelete).bindText(g.runID).bindInt(g.number),
		} {
			if err := st.run(); err != nil {
				return 0, false, err
			}
		}
	}
	return pruned, pruned < len(over) || len(over) == limit, nil
}
