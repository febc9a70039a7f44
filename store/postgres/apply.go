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
	if t.Restart != nil {
		return s.restart(ctx, t)
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
		switch e.Kind { //nolint:exhaustive // the others lock nothing else
		case store.OpenHook:
			keys = append(keys, tokenKey(e.Hook.Token))
			if e.Hook.Subject != "" {
				keys = append(keys, topicKey(&e.Hook))
			}
		case store.CloseHook:
			if e.Hook.Subject != "" {
				keys = append(keys, topicKey(&e.Hook))
			}
		case store.Send:
			keys = append(keys, runKey(e.Message.RunID))
		case store.Subscribe:
			keys = append(keys, runKey(e.Subscription.Target))
		}
	}
	for i := range t.Unread {
		size += len(t.Unread[i].Data)
	}
	return keys, size
}

// transitions are the arguments of a function that writes transitions.
type transitions struct {
	created, others, events, effects, unread, attempts, backlogs *array
	claims                                                       []int32
}

// transitions encodes those of operations, and makes room for their outcomes.
func (s *Store) transitions(r *request, ops []*op) transitions {
	ts := transitions{
		created: r.array(s.types["transition"]), others: r.array(s.types["transition"]),
		events: r.array(s.types["event_2"]), effects: r.array(s.types["effect"]),
		unread: r.array(s.types["message_2"]), attempts: r.array(s.types["attempt"]),
		backlogs: r.array(s.types["backlog_change"]), claims: []int32{},
	}
	// Those that create their runs come first.
	place := func(o *op) int {
		if o.arg.(*store.Transition).Create != nil {
			return 0
		}
		return 1
	}
	slices.SortStableFunc(ops, func(a, b *op) int { return place(a) - place(b) })
	for i, o := range ops {
		t, n := o.arg.(*store.Transition), i+1
		if t.Create != nil {
			ts.created.addTransition(t)
		} else {
			ts.others.addTransition(t)
		}
		if t.Claim {
			ts.claims = append(ts.claims, int32(n)) //nolint:gosec // a batch is small
		}
		ts.backlogs.addBacklogs(t, n)
		for j := range t.Events {
			ts.events.addEvent(t, &t.Events[j], n, t.After+int64(j)+1)
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
			ts.effects.addEffect(e, n, j)
			if t.Effects[j].Kind == store.OpenHook {
				o.outcomes[j].HookID = t.Effects[j].Hook.ID
			}
		}
		for j := range t.Unread {
			m := t.Unread[j]
			m.RunID = t.RunID
			ts.unread.addMessage(&m, n, true)
		}
		for j := range t.Executing {
			ts.attempts.addAttempt(&t.Executing[j], t.RunID, n)
		}
		for _, step := range t.Executed {
			ts.attempts.addAttempt(&store.Attempt{Step: step}, t.RunID, n)
		}
	}
	return ts
}

// applyAll writes transitions.
func (s *Store) applyAll(r *request, ops []*op) {
	ts := s.transitions(r, ops)
	r.Queue(s.sql.apply, ts.created.value(), ts.others.value(), ts.events.value(), ts.effects.value(), ts.unread.value(), ts.attempts.value(), ts.backlogs.value(), ts.claims).Query(func(rows pgx.Rows) error {
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
		case "untold":
			told.Untold = append(told.Untold, *run)
		case "opened":
			o.outcomes[*n] = store.Outcome{HookID: *hook, CreatedAt: microseconds(run)}
		case "carried":
			carried, err := decodeCarried(*hook)
			if err != nil {
				return err
			}
			o.outcomes[*n] = store.Outcome{Conflict: *run, Carried: carried}
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
