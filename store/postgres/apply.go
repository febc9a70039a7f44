package postgres

import (
	"context"
	"strings"
	"time"

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
		if _, err := encodeEffect(t, e, 1, i); err != nil {
			return nil, err
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
func (s *Store) applyAll(b *pgx.Batch, ops []*op, told *store.Signal) {
	transitions := make([]composite, len(ops))
	events := make([]composite, 0, 2*len(ops))
	effects, unread, attempts := []composite{}, []composite{}, []composite{}
	for i, o := range ops {
		t, n := o.arg.(*store.Transition), i+1
		transitions[i] = encodeTransition(t)
		for j := range t.Events {
			e := &t.Events[j]
			events = append(events, composite{
				n, t.RunID, t.After + int64(j) + 1, e.At, string(e.Kind), e.Ref, e.Data, optText(e.Asked), encodeNewRun(e.OrStart), t.Epoch, t.Seq,
			})
		}
		o.outcomes = nil
		if len(t.Effects) > 0 {
			o.outcomes = make([]store.Outcome, len(t.Effects))
		}
		for j := range t.Effects {
			e, err := encodeEffect(t, &t.Effects[j], n, j)
			if err != nil {
				continue // Apply has refused it
			}
			effects = append(effects, e)
			if t.Effects[j].Kind == store.OpenHook {
				o.outcomes[j].HookID = t.Effects[j].Hook.ID
			}
		}
		for j := range t.Unread {
			m := t.Unread[j]
			m.RunID = t.RunID
			unread = append(unread, encodeMessage(&m, n, true))
		}
		for _, a := range t.Executing {
			attempts = append(attempts, composite{n, t.RunID, a.Step, a.Attempt, a.StartedAt, a.Worker})
		}
		for _, step := range t.Executed {
			attempts = append(attempts, composite{n, t.RunID, step, 0, nil, nil})
		}
	}
	b.Queue(s.sql.apply, transitions, events, effects, unread, attempts).Query(func(rows pgx.Rows) error {
		if err := readVerdicts(rows, ops, told); err != nil {
			return err
		}
		for _, o := range ops {
			if o.err != nil {
				continue
			}
			t := o.arg.(*store.Transition)
			if t.Status.Ended() {
				told.Ended = append(told.Ended, t.RunID)
			}
			for i, e := range t.Effects {
				if e.Kind == store.Respond && o.outcomes[i].Conflict == "" {
					told.Responded = append(told.Responded, e.Response.Request)
				}
			}
		}
		return nil
	})
}

func encodeTransition(t *store.Transition) composite {
	took, sendsTo := t.Took, []string{}
	if took == nil {
		took = []int64{}
	}
	for i := range t.Effects {
		if t.Effects[i].Kind == store.Send {
			sendsTo = append(sendsTo, t.Effects[i].Message.RunID)
		}
	}
	var creates any
	if t.Create != nil {
		r := *t.Create
		r.ID = t.RunID
		creates = encodeNewRun(&r)
	}
	// The reason may have been made of anything, the message of a panic for one.
	reason := strings.ToValidUTF8(strings.ReplaceAll(t.BlockedReason, "\x00", "\uFFFD"), "\uFFFD")
	return composite{
		t.RunID, t.Worker, t.Epoch, t.After, len(t.Events), took, optTime(roundUp(t.NoMailBefore)), sendsTo,
		t.At, string(t.Status), t.Status.Ended(), optTime(t.WakeAt), t.Keep, t.Version,
		t.Suspicion, t.Mark, t.Crashes, t.BlockedBuild, reason, len(t.Unread) > 0, t.TookAny, creates,
	}
}

// roundUp makes a bound out of a time that PostgreSQL would cut to microseconds.
func roundUp(t time.Time) time.Time {
	if cut := t.Truncate(time.Microsecond); cut.Before(t) {
		return cut.Add(time.Microsecond)
	}
	return t
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
