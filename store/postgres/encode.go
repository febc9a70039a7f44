package postgres

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/tenter-dev/tenter/internal/saturate"
	"github.com/tenter-dev/tenter/store"
)

// optText is NULL for an empty text.
func optText(s string) any {
	if s == "" {
		return nil
	}
	return s
}

// optTime is NULL for a zero time.
func optTime(t time.Time) any {
	if t.IsZero() {
		return nil
	}
	return saturate.Time(t)
}

// isText reports whether PostgreSQL keeps a text.
func isText(s string) bool { return utf8.ValidString(s) && !strings.ContainsRune(s, 0) }

// checkRun refuses a run with text that would not be kept as it is.
func checkRun(r *store.NewRun) error {
	if r == nil {
		return nil
	}
	for _, text := range []string{r.ID, r.Workflow, r.ParentID, r.ParentRef} {
		if !isText(text) {
			return fmt.Errorf("run %q of workflow %q was not started: PostgreSQL keeps only valid UTF-8 without zero bytes", r.ID, r.Workflow)
		}
	}
	return nil
}

// encodeNewRun is the JSON of a run to start, nil for none.
func encodeNewRun(r *store.NewRun) json.RawMessage {
	if r == nil {
		return nil
	}
	b, err := json.Marshal(r)
	if err != nil {
		panic(fmt.Sprintf("store.NewRun cannot be encoded: %v", err)) // it has text, bytes and numbers only
	}
	return b
}

// addTransition adds a transition. Its number is that of the row.
func (a *array) addTransition(t *store.Transition) {
	var sendsTo []string
	for i := range t.Effects {
		switch e := &t.Effects[i]; e.Kind { //nolint:exhaustive // the others lock no run
		case store.Send:
			sendsTo = append(sendsTo, e.Message.RunID)
		case store.Subscribe:
			sendsTo = append(sendsTo, e.Subscription.Target)
		}
	}
	creates := t.Create
	if creates != nil {
		r := *creates
		r.ID = t.RunID
		creates = &r
	}
	// The reason may have been made of anything, the message of a panic for one.
	reason := strings.ToValidUTF8(strings.ReplaceAll(t.BlockedReason, "\x00", "\uFFFD"), "\uFFFD")
	a.add(
		text(t.RunID), text(t.Worker), bigint(t.Epoch), bigint(t.After), integer(len(t.Events)), bigints(t.Took),
		optTimestamptz(saturate.Up(t.NoMailBefore)), texts(sendsTo), timestamptz(t.At), text(string(t.Status)), boolean(t.Status.Ended()),
		optTimestamptz(t.WakeAt), boolean(t.Keep), integer(t.Version), integer(int(t.Suspicion)), boolean(t.Mark), integer(int(t.Crashes)),
		text(t.BlockedBuild), text(reason), boolean(len(t.Unread) > 0), boolean(t.TookAny), jsonb(encodeNewRun(creates)),
	)
}

// addBacklogs adds what transition n says of backlogs, if it does.
func (a *array) addBacklogs(t *store.Transition, n int) {
	if len(t.Pulled)+len(t.Defer)+len(t.Admit) > 0 {
		a.add(integer(n), bigints(t.Pulled), texts(t.Defer), texts(t.Admit))
	}
}

// addEvent adds an event of transition n.
func (a *array) addEvent(t *store.Transition, e *store.Event, n int, position int64) {
	a.add(
		integer(n), text(t.RunID), bigint(position), timestamptz(e.At), text(string(e.Kind)), text(e.Ref), bytea(e.Data),
		optional(e.Asked), jsonb(encodeNewRun(e.OrStart)), bigint(t.Epoch), bigint(t.Seq), optional(e.Actor),
	)
}

// addMessage adds a message. n is the number of the transition that it belongs to.
func (a *array) addMessage(m *store.Message, n int, journaled bool) {
	a.add(
		integer(n), bigint(m.ID), text(m.RunID), text(string(m.Kind)), text(m.Ref), bytea(m.Data), timestamptz(m.AcceptedAt),
		jsonb(encodeNewRun(m.OrStart)), boolean(journaled), optional(m.Actor),
	)
}

// addAttempt adds an attempt of transition n; attempt 0 of a step is shown no more.
func (a *array) addAttempt(at *store.Attempt, runID string, n int) {
	a.add(integer(n), text(runID), text(at.Step), integer(at.Attempt), optTimestamptz(at.StartedAt), optional(at.Worker))
}

// addPayload adds a payload.
func (a *array) addPayload(p *store.Payload) {
	a.add(
		text(p.Token), bytea(p.Data), given(p.Type), optional(p.Key), opt(p.Key != "", interval(p.KeepFor)), optional(p.Hook),
		optional(p.Request), jsonb(encodeNewRun(p.OrStart)), optional(p.Trace), optional(p.Actor),
	)
}

// effect is a row of that type, of which each kind has some fields only.
type effect struct {
	kind, runID, id   string
	token, typ        string
	metadata, webhook []byte
	at                time.Time
	position          int64
	run               *store.NewRun
	ref               string
	data              []byte
	orStart           *store.NewRun
	status            int
	keepUntil         time.Time
}

// addEffect adds an effect of transition n whose number among its effects is i.
func (a *array) addEffect(e effect, n, i int) {
	a.add(
		integer(n), integer(i), text(e.kind), text(e.runID), text(e.id), text(e.token), text(e.typ), bytea(e.metadata), bytea(e.webhook),
		timestamptz(e.at), bigint(e.position), jsonb(encodeNewRun(e.run)), text(e.ref), bytea(e.data), jsonb(encodeNewRun(e.orStart)),
		integer(e.status), timestamptz(e.keepUntil),
	)
}

// effectOf is an effect of a transition.
func effectOf(t *store.Transition, e *store.Effect) (effect, error) {
	switch h, m := &e.Hook, &e.Message; e.Kind {
	case store.OpenHook:
		return effect{
			kind: "open", runID: t.RunID, id: h.ID, token: h.Token, typ: h.Type, metadata: h.Metadata, webhook: h.Webhook,
			at: h.CreatedAt, position: h.OpenedPos, ref: h.Subject,
		}, nil
	case store.CloseHook:
		return effect{kind: "close", runID: t.RunID, id: h.ID, at: t.At, position: h.ClosedPos, typ: h.Type, ref: h.Subject}, nil
	case store.StartRun:
		return effect{kind: "start", runID: t.RunID, run: &e.Run}, nil
	case store.Respond:
		return responding(&e.Response), nil
	case store.Send:
		return effect{kind: "send", runID: m.RunID, typ: string(m.Kind), ref: m.Ref, data: m.Data, orStart: m.OrStart}, nil
	case store.Subscribe:
		return effect{kind: "subscribe", runID: t.RunID, id: e.Subscription.Target, ref: e.Subscription.Ref}, nil
	case store.Unsubscribe:
		return effect{kind: "unsubscribe", runID: t.RunID, ref: e.Subscription.Ref}, nil
	case store.IssueLink:
		return issuing(t.RunID, e.Link), nil
	case store.RevokeLink:
		return effect{kind: "revoke", runID: t.RunID, id: e.Link.ID, at: t.At, position: e.Link.RevokedPos}, nil
	}
	return effect{}, fmt.Errorf("unknown kind %d", e.Kind)
}

// responding is an answer, as an effect.
func responding(r *store.Response) effect {
	return effect{
		kind: "respond", runID: r.RunID, id: r.Request, metadata: r.Header, at: r.At,
		ref: r.Responder, data: r.Body, status: r.Status, keepUntil: r.KeepUntil,
	}
}
