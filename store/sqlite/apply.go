package sqlite

import (
	"context"
	"slices"

	"github.com/tenter-dev/tenter/internal/planted"
	"github.com/tenter-dev/tenter/internal/saturate"
	"github.com/tenter-dev/tenter/store"
)

// Apply writes a transition, all of it or nothing.
func (s *Store) Apply(ctx context.Context, t *store.Transition) ([]store.Outcome, error) {
	var outcomes []store.Outcome
	err := s.w.do(ctx, func(w *writer) (err error) {
		outcomes, err = w.apply(t)
		return err
	})
	if err != nil {
		return nil, err
	}
	return outcomes, nil
}

func (w *writer) apply(t *store.Transition) ([]store.Outcome, error) {
	var h head
	var left int64 // messages that are not taken, in the mailbox
	var err error
	if slices.ContainsFunc(t.Effects, subscribes) {
		err = w.oldWorker()
	}
	switch {
	case err != nil:
	case t.Create != nil:
		err = w.create(t)
	default:
		if h, err = w.checked(t); err == nil {
			left, err = w.advance(t, h)
		}
	}
	if err != nil {
		return nil, err
	}
	for i := range t.Events {
		if err := w.journal(t.RunID, t.After+int64(i)+1, &t.Events[i], t.Epoch, t.Seq); err != nil {
			return nil, err
		}
	}
	outcomes, err := w.effects(t)
	if err != nil {
		return nil, err
	}
	for _, a := range t.Executing {
		err := w.on(qExecutingSet).bindText(t.RunID).bindText(a.Step).bindInt(int64(a.Attempt)).bindTime(a.StartedAt).bindText(a.Worker).run()
		if err != nil {
			return nil, err
		}
	}
	for _, step := range t.Executed {
		if err := w.on(qExecutingDelete).bindText(t.RunID).bindText(step).run(); err != nil {
			return nil, err
		}
	}
	switch {
	case t.Restart != nil:
		if err := w.restart(t, h); err != nil {
			return nil, err
		}
		if !t.Keep {
			w.sig.Mail = append(w.sig.Mail, t.RunID)
		}
	case t.Status.Ended():
		if err := w.end(t, left > 0 || h.backlogs > 0 || len(t.Defer) > 0 || slices.ContainsFunc(t.Effects, ceases)); err != nil {
			return nil, err
		}
		if err := w.ended(t.RunID, h); err != nil {
			return nil, err
		}
	case !t.Keep && (left > 0 || !t.WakeAt.IsZero() && !t.WakeAt.After(t.At)):
		w.sig.Mail = append(w.sig.Mail, t.RunID) // others may go on with it
	}
	return outcomes, nil
}

// create inserts the run of the first transition, already as that leaves it.
func (w *writer) create(t *store.Transition) error {
	if err := w.mayBegin(t.Create.Workflow); err != nil {
		return err
	}
	if t.Epoch != 1 || t.After != 0 || len(t.Took) > 0 {
		return store.ErrConflict
	}
	at := formatTime(t.At)
	ended, wake, worker := "", optTime(t.WakeAt), ""
	if t.Status.Ended() {
		ended, wake = at, ""
	} else if t.Keep {
		worker = t.Worker
	}
	r := *t.Create
	r.ID = t.RunID
	return w.insertRun(r, t.Status, at, at, ended, wake, wake, worker, t.Epoch, int64(len(t.Events)), t)
}

// checked returns the head of the run if the transition may be written.
func (w *writer) checked(t *store.Transition) (head, error) {
	h, err := w.head(t.RunID)
	switch {
	case err != nil:
		return h, err
	case !mayWrite(h, t) && !planted.FenceSkipped.Here(), h.status.Ended():
		return h, store.ErrFenced
	}
	if err := w.mayGoOn(h); err != nil {
		return h, err
	}
	if h.events != t.After {
		return h, store.ErrConflict
	}
	if t.Restart != nil && h.generation == 0 {
		if err := w.oldWorker(); err != nil {
			return h, err
		}
	}
	for _, id := range t.Took {
		st := w.on(qMailHas).bindInt(id)
		ok, err := st.first()
		ok = ok && st.text() == t.RunID
		if e := st.end(); err == nil {
			err = e
		}
		if err != nil {
			return h, err
		}
		if !ok {
			return h, store.ErrConflict
		}
	}
	if err := w.pulled(t.Pulled); err != nil || t.NoMailBefore.IsZero() {
		return h, err
	}
	if h.messages > int64(len(t.Took)) {
		if err := w.noMailBefore(t); err != nil {
			return h, err
		}
	}
	return h, w.noBacklogBefore(t)
}

// mayWrite reports whether a run is the worker's that writes a transition, or becomes it.
func mayWrite(h head, t *store.Transition) bool {
	if t.Claim {
		return h.epoch == t.Epoch-1 && h.worker == ""
	}
	return h.epoch == t.Epoch && (h.worker == "" || h.worker == t.Worker)
}

// noMailBefore looks through a mailbox that has more than what was taken.
func (w *writer) noMailBefore(t *store.Transition) error {
	any := !t.NoMailBefore.Before(saturate.Beyond)
	st := w.on(qMailTimes).bindText(t.RunID)
	passed := false
	for !passed && st.next() {
		id, ref, at := st.int(), st.text(), st.time()
		passed = (any || at.Before(t.NoMailBefore)) && !slices.Contains(t.Took, id) && !slices.Contains(t.Defer, ref)
	}
	if err := st.end(); err != nil || !passed {
		return err
	}
	return store.ErrConflict
}

// noBacklogBefore looks at backlogs of which all that was known is taken.
func (w *writer) noBacklogBefore(t *store.Transition) error {
	for _, hook := range t.Admit {
		number, err := w.backlogOf(t.RunID, hook)
		if err != nil {
			return err
		}
		st := w.on(qBacklogTimes).bindInt(number)
		passed := false
		for !passed && st.next() {
			passed = !slices.Contains(t.Pulled, st.int()) && st.time().Before(t.NoMailBefore)
		}
		if err := st.end(); err != nil {
			return err
		}
		if passed {
			return store.ErrConflict
		}
	}
	return nil
}

// advance takes the messages out of the mailbox and writes the head of the run.
// It returns how many are left.
func (w *writer) advance(t *store.Transition, h head) (left int64, err error) {
	took := int64(0)
	for _, id := range t.Took {
		if err := w.on(qMailDelete).bindInt(id).run(); err != nil {
			return 0, err
		}
		took += int64(w.c.Changes()) // none for an ID that came twice
	}
	ended, worker := "", ""
	wake := optTime(t.WakeAt)
	due := wake
	left = h.messages - took
	if len(t.Pulled)+len(t.Defer)+len(t.Admit) > 0 {
		gone, came, err := w.changeBacklogs(t)
		if err != nil {
			return 0, err
		}
		left += came - gone
		if came > 0 {
			w.sig.Mail = append(w.sig.Mail, t.RunID)
		}
	}
	switch {
	case t.Status.Ended():
		ended = formatTime(t.At)
		wake, due = "", ""
	default:
		if t.Keep {
			worker = t.Worker
		}
		if left > 0 {
			oldest, err := w.oldestMail(t.RunID)
			if err != nil {
				return 0, err
			}
			due = earlier(due, oldest)
		}
	}
	version := h.version
	if t.Version != 0 {
		version = t.Version
	}
	epoch := t.Epoch
	if t.Claim && planted.ClaimWithoutEpoch.Here() {
		epoch--
	}
	q := qRunUpdate
	indexed := t.Claim || h.status != t.Status || h.worker != worker || h.version != version ||
		h.blockedBuild != t.BlockedBuild || h.dueAt != due
	if indexed {
		q = qRunUpdateDue
	}
	st := w.on(q).bindTime(t.At).bindOptText(wake).bindInt(left).bindInt(h.events + int64(len(t.Events))).
		bindInt(int64(t.Suspicion)).bindBool(t.Mark).bindInt(int64(t.Crashes)).bindText(t.BlockedReason)
	if indexed {
		st.bindText(string(t.Status)).bindOptText(ended).bindOptText(worker).bindInt(epoch).bindInt(int64(version)).
			bindText(t.BlockedBuild).bindOptText(due)
	}
	return left, st.bindText(t.RunID).run()
}

// journal writes one event.
func (w *writer) journal(runID string, position int64, e *store.Event, epoch, seq int64) error {
	orStart, err := encodeNewRun(e.OrStart)
	if err != nil {
		return err
	}
	return w.on(qJournalInsert).bindText(runID).bindInt(position).bindTime(e.At).bindText(string(e.Kind)).
		bindText(e.Ref).bindData(e.Data).bindOptText(e.Asked).bindData(orStart).bindInt(epoch).bindInt(seq).bindOptText(e.Actor).run()
}

// effects carries out effects in program order.
func (w *writer) effects(t *store.Transition) ([]store.Outcome, error) {
	if len(t.Effects) == 0 {
		return nil, nil
	}
	outcomes := make([]store.Outcome, len(t.Effects))
	for i := range t.Effects {
		var err error
		if outcomes[i], err = w.effect(t, &t.Effects[i]); err != nil {
			return nil, err
		}
	}
	return outcomes, nil
}

func (w *writer) effect(t *store.Transition, e *store.Effect) (store.Outcome, error) {
	switch e.Kind {
	case store.OpenHook:
		return w.openHook(t.RunID, e.Hook)
	case store.CloseHook:
		err := w.on(qHookClose).bindTime(t.At).bindInt(e.Hook.ClosedPos).bindText(t.RunID).bindText(e.Hook.ID).run()
		if err == nil && e.Hook.Subject != "" {
			err = w.closeListening(t, e.Hook.ID)
		}
		return store.Outcome{}, err
	case store.StartRun:
		return w.startChild(e.Run)
	case store.Respond:
		return w.respond(e.Response)
	case store.Send:
		return store.Outcome{}, w.sendEffect(e.Message)
	case store.Subscribe, store.Unsubscribe:
		s := e.Subscription
		s.RunID = t.RunID
		if e.Kind == store.Unsubscribe {
			return store.Outcome{}, w.unsubscribe(s)
		}
		return store.Outcome{}, w.subscribe(s)
	case store.IssueLink:
		return store.Outcome{}, w.issueLink(t.RunID, e.Link)
	case store.RevokeLink:
		return store.Outcome{}, w.on(qLinkRevokeOf).bindTime(t.At).bindInt(e.Link.RevokedPos).bindText(e.Link.ID).bindText(t.RunID).run()
	}
	return store.Outcome{}, errUnknownEffect
}

// startChild carries out a StartRun effect. A run that this same call has
// started before is a success.
func (w *writer) startChild(r store.NewRun) (store.Outcome, error) {
	st := w.on(qRunExists).bindText(r.ID)
	exists, err := st.first()
	same := exists && st.text() == r.ParentID && st.text() == r.ParentRef
	if e := st.end(); err == nil {
		err = e
	}
	switch {
	case err != nil:
		return store.Outcome{}, err
	case exists && same && r.ParentID != "":
		return store.Outcome{}, nil
	case exists:
		return store.Outcome{Conflict: r.ID}, nil
	}
	return store.Outcome{}, w.startRun(r, w.acceptTime())
}

// sendEffect carries out a Send effect.
func (w *writer) sendEffect(m store.Message) error {
	h, err := w.head(m.RunID)
	switch {
	case isNotFound(err):
		return nil
	case err != nil:
		return err
	case h.status.Ended():
		return w.keepForRetry(h, m)
	}
	return w.putMail(m, h.dueAt, w.acceptTime())
}
