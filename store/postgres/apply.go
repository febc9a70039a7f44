package postgres

import (
	"context"
	"fmt"
	"slices"

	"github.com/jackc/pgx/v5"

	"github.com/tenter-dev/tenter/store"
)

// Apply writes a transition, all of it or nothing.
func (s *Store) Apply(ctx context.Context, t *store.Transition) ([]store.Outcome, error) {
	if err := checkRun(t.Create); err != nil {
		return nil, err
	}
	for i := range t.Effects {
		e := &t.Effects[i]
		if err := checkRun(&e.Run); err != nil {
			return nil, err
		}
		if _, err := effectOf(t, e); err != nil {
			return nil, fmt.Errorf("effect %d of the transition of run %s: %w", i, t.RunID, err)
		}
	}
	o := &op{kind: opApply, ctx: ctx, arg: t}
	o.keys, o.size = weigh(t)
	if err := s.w.do(o); err != nil {
		return nil, err
	}
	return o.outcomes, nil
}

// weigh returns what a transition locks, its run first, and the size of its data.
func weigh(t *store.Transition) (keys []string, size int) {
	keys = append(make([]string, 0, 1+len(t.Effects)), runKey(t.RunID))
	for i := range t.Events {
		size += len(t.Events[i].Data) + len(t.Events[i].Asked)
	}
	for i := range t.Effects {
		e := &t.Effects[i]
		size += len(e.Hook.Metadata) + len(e.Run.Input) + len(e.Message.Data) + len(e.Response.Body)
		if e.Kind == store.OpenHook {
			keys = append(keys, tokenKey(e.Hook.Token))
		}
		if e.Kind == store.Send {
			keys = append(keys, runKey(e.Message.RunID))
		}
	}
	for i := range t.Unread {
		size += len(t.Unread[i].Data)
	}
	return keys, size
}

// applyAll writes transitions.
func (s *Store) applyAll(r *request, ops []*op) {
	news, transitions := r.array(s.types["transition"]), r.array(s.types["transition"])
	events, effects := r.array(s.types["event"]), r.array(s.types["effect"])
	unread, attempts := r.array(s.types["message"]), r.array(s.types["attempt"])
	backlogs := r.array(s.types["backlog_change"])
	// Those that create their runs come first.
	place := func(o *op) int {
		if o.arg.(*store.Transition).Create != nil {
			return 0
		}
		return 1
	}
	claims := []int32{}
	slices.SortStableFunc(ops, func(a, b *op) int { return place(a) - place(b) })
	for i, o := range ops {
		t, n := o.arg.(*store.Transition), i+1
		if t.Create != nil {
			news.addTransition(t)
		} else {
			transitions.addTransition(t)
		}
		if t.Claim {
			claims = append(claims, int32(n)) //nolint:gosec // a batch is small
		}
		backlogs.addBacklogs(t, n)
		for j := range t.Events {
			events.addEvent(t, &t.Events[j], n, t.After+int64(j)+1)
		}
		o.outcomes = nil
		if len(t.Effects) > 0 {
			o.outcomes = make([]store.Outcome, len(t.Effects))
		}
		for j := range t.Effects {
			e, err := effectOf(t, &t.Effects[j])
			if err != nil {
				continue // Apply has refused it
			}
			effects.addEffect(e, n, j)
			if t.Effects[j].Kind == store.OpenHook {
				o.outcomes[j].HookID = t.Effects[j].Hook.ID
			}
		}
		for j := range t.Unread {
			m := t.Unread[j]
			m.RunID = t.RunID
			unread.addMessage(&m, n, true)
		}
		for j := range t.Executing {
			attempts.addAttempt(&t.Executing[j], t.RunID, n)
		}
		for _, step := range t.Executed {
			attempts.addAttempt(&store.Attempt{Step: step}, t.RunID, n)
		}
	}
	r.Queue(s.sql.apply, news.value(), transitions.value(), events.value(), effects.value(), unread.value(), attempts.value(), backlogs.value(), claims).Query(func(rows pgx.Rows) error {
		if err := readVerdicts(rows, ops, &r.told); err != nil {
			return err
		}
		for _, o := range ops {
			if o.err != nil {
				continue
			}
			t := o.arg.(*store.Transition)
			if t.Claim {
				s.peers.claimedOne()
			}
			if t.Status.Ended() {
				r.told.Ended = append(r.told.Ended, t.RunID)
				// A failed run may be retried before others hear of its end.
				n := len(t.Events)
				if t.Status != store.Failed && n > 0 && len(t.Events[n-1].Data) <= maxResult {
					r.told.Results = append(r.told.Results, store.Ending{RunID: t.RunID, Workflow: t.Workflow, Status: t.Status, Data: t.Events[n-1].Data})
				}
			}
			for i, e := range t.Effects {
				if e.Kind == store.Respond && o.outcomes[i].Conflict == "" {
					r.told.Responded = append(r.told.Responded, e.Response.Request)
				}
			}
		}
		return nil
	})
}

// readVerdicts reads what functions have to say about operations and their effects.
func readVerdicts(rows pgx.Rows, ops []*op, told *store.Signal) error {
	for rows.Next() {
		var i int
		var n *int
		var code, run, hook *string
		if err := rows.Scan(&i, &n, &code, &run, &hook); err != nil {
			return err
		}
		o := ops[i-1]
		switch *code {
		case "mail":
			told.Mail = append(told.Mail, *run)
		case "opened":
			o.outcomes[*n].HookID = *hook
		case "taken":
			o.outcomes[*n] = store.Outcome{Conflict: *run}
		default:
			o.err = refusal(code)
			if hook != nil {
				o.receipt.Hook.Token = *hook
			}
		}
	}
	return rows.Err()
}
