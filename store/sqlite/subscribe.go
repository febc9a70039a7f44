package sqlite

import (
	"context"
	"encoding/json"
	"slices"

	"github.com/tenter-dev/tenter/internal/planted"
	"github.com/tenter-dev/tenter/store"
)

// subscribes reports whether an effect needs binaries that know subscriptions and topics, which are
// those that know generations: others would end runs and tell nobody.
func subscribes(e store.Effect) bool {
	return e.Kind == store.Subscribe || e.Kind == store.OpenHook && e.Hook.Subject != ""
}

// subscribe carries out a Subscribe effect.
func (w *writer) subscribe(s store.Subscription) error {
	if err := w.serveGenerations(); err != nil {
		return err
	}
	target, err := w.head(s.Target)
	switch {
	case isNotFound(err):
		return w.toSubscriber(&s, store.AwaitRefused, "", nil)
	case err != nil:
		return err
	case target.status.Ended():
		end, err := w.ending(s.Target)
		if err != nil {
			return err
		}
		return w.toSubscriber(&s, toldAs(end.Status), end.Workflow, end.Data)
	}
	cycle, err := w.cycle(s.RunID, s.Target)
	if err != nil {
		return err
	}
	if cycle != nil {
		data, err := json.Marshal(cycle)
		if err != nil {
			return err
		}
		return w.toSubscriber(&s, store.AwaitRefused, "", data)
	}
	if err := w.on(qSubscriptionSet).bindText(s.RunID).bindText(s.Ref).bindText(s.Target).run(); err != nil || target.awaited {
		return err
	}
	return w.on(qRunAwaited).bindBool(true).bindText(s.Target).run()
}

// unsubscribe carries out an Unsubscribe effect.
func (w *writer) unsubscribe(s store.Subscription) error {
	if s.Ref == "" {
		return w.on(qSubscriptionsDelete).bindText(s.RunID).run()
	}
	return w.on(qSubscriptionDelete).bindText(s.RunID).bindText(s.Ref).run()
}

// cycle returns the runs of which each awaits the next, from target to the run that is about to
// await it, or nil if there are none.
func (w *writer) cycle(runID, target string) ([]string, error) {
	if runID == target {
		return []string{runID}, nil
	}
	if awaited, err := w.isAwaited(runID); err != nil || !awaited || planted.CycleUnseen.Here() {
		return nil, err
	}
	via := map[string]string{target: ""}
	for queue := []string{target}; len(queue) > 0; queue = queue[1:] {
		next, err := readAll(w.on(qSubscriptionTargets).bindText(queue[0]), whole((*stmt).text))
		if err != nil {
			return nil, err
		}
		for _, id := range next {
			if _, seen := via[id]; seen {
				continue
			}
			via[id] = queue[0]
			queue = append(queue, id)
			if id == runID {
				return path(via, runID), nil
			}
		}
	}
	return nil, nil
}

// path is how a search has come to a run, by what each was found from.
func path(via map[string]string, to string) []string {
	var runs []string
	for id := to; id != ""; id = via[id] {
		runs = append(runs, id)
	}
	slices.Reverse(runs)
	return runs
}

// isAwaited reports whether there is a subscription to a run.
func (w *writer) isAwaited(runID string) (bool, error) {
	st := w.on(qSubscribed).bindText(runID)
	awaited, err := st.first()
	if e := st.end(); err == nil {
		err = e
	}
	return awaited, err
}

// ending is how a run has ended.
func (w *writer) ending(runID string) (store.Ending, error) {
	return readOne(w.on(qRunEnding).bindText(runID), whole(readEnding))
}

// toldAs is the kind of message about the end of a run.
func toldAs(s store.Status) store.Kind {
	if s == store.Completed {
		return store.AwaitedCompleted
	}
	return store.AwaitedFailed
}

// toSubscriber sends the message for a subscription.
func (w *writer) toSubscriber(s *store.Subscription, kind store.Kind, workflow string, data []byte) error {
	return w.sendEffect(store.Message{RunID: s.RunID, Kind: kind, Ref: s.Told(workflow), Data: data})
}

// tellEnd tells those that await a run of its end, as many as one commit may.
func (w *writer) tellEnd(runID string) (told int, err error) {
	end, err := w.ending(runID)
	if err != nil {
		return 0, err
	}
	limit := max(1, min(store.TellAtOnce, store.TellBytes/max(1, len(end.Data))))
	all, err := readAll(w.on(qSubscriptionsTo).bindText(runID).bindInt(int64(limit)+1), whole(readSubscription))
	if err != nil {
		return 0, err
	}
	told = min(limit, len(all))
	for _, s := range all[:told] {
		if err := w.toSubscriber(&s, toldAs(end.Status), end.Workflow, end.Data); err != nil {
			return 0, err
		}
		if err := w.unsubscribe(s); err != nil {
			return 0, err
		}
	}
	if len(all) > limit {
		w.sig.Untold = append(w.sig.Untold, runID)
		return told, nil
	}
	return told, w.on(qRunAwaited).bindBool(false).bindText(runID).run()
}

// ended reports the end of a run, if it is awaited.
func (w *writer) ended(runID string, h head) error {
	if !h.awaited || planted.EndUntold.Here() && h.worker == "" {
		return nil
	}
	_, err := w.tellEnd(runID)
	return err
}

func readSubscription(st *stmt) store.Subscription {
	return store.Subscription{RunID: st.text(), Ref: st.text(), Target: st.text()}
}

// TellEnds goes on with reporting the end of one run.
func (s *Store) TellEnds(ctx context.Context) (told int, more bool, err error) {
	err = s.w.do(ctx, func(w *writer) error {
		runID, err := readOne(w.on(qRunUntold), whole((*stmt).text))
		if more = err == nil; !more {
			if isNotFound(err) {
				err = nil
			}
			return err
		}
		told, err = w.tellEnd(runID)
		return err
	})
	return told, more, err
}

// subscriptionsOf reads what a run awaits.
func (c *conn) subscriptionsOf(runID string) ([]store.Subscription, error) {
	return readAll(c.on(qSubscriptionsOf).bindText(runID), whole(readSubscription))
}

// importSubscriptions inserts what runs that are imported await, when all of them are there. Whoever
// awaits a run that has come, and has ended, is told.
func (w *writer) importSubscriptions(runs []store.Archive) error {
	var targets []string
	for i := range runs {
		targets = append(targets, runs[i].Run.ID)
		for _, s := range runs[i].Subscriptions {
			if err := w.serveGenerations(); err != nil {
				return err
			}
			if err := w.on(qSubscriptionSet).bindText(runs[i].Run.ID).bindText(s.Ref).bindText(s.Target).run(); err != nil {
				return err
			}
			targets = append(targets, s.Target)
		}
	}
	slices.Sort(targets)
	for _, id := range slices.Compact(targets) {
		awaited, err := w.isAwaited(id)
		if err != nil {
			return err
		}
		if !awaited {
			continue
		}
		if err := w.on(qRunAwaited).bindBool(true).bindText(id).run(); err != nil {
			return err
		}
		switch target, err := w.head(id); {
		case isNotFound(err): // it may come later
		case err != nil:
			return err
		case target.status.Ended():
			if _, err := w.tellEnd(id); err != nil {
				return err
			}
		}
	}
	return nil
}
