package postgres

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/tenter-dev/tenter/store"
)

// composite is a value of one of the composite types of the schema, as its fields in
// order.
type composite []any

// IsNull reports that a composite is none.
func (c composite) IsNull() bool { return c == nil }

// Index returns a field.
func (c composite) Index(i int) any { return c[i] }

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
	return t
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

// encodeNewRun is the JSON of a run to start, NULL for none.
func encodeNewRun(r *store.NewRun) any {
	if r == nil {
		return nil
	}
	b, err := json.Marshal(r)
	if err != nil {
		panic(fmt.Sprintf("store.NewRun cannot be encoded: %v", err)) // it has text, bytes and numbers only
	}
	return json.RawMessage(b)
}

// encodeMessage is a message. t is the number of the transition that it belongs to.
func encodeMessage(m *store.Message, t int, journaled bool) composite {
	return composite{t, m.ID, m.RunID, string(m.Kind), m.Ref, m.Data, m.AcceptedAt, encodeNewRun(m.OrStart), journaled}
}

// encodeResponse is an answer, as an effect.
func encodeResponse(r *store.Response, t, n int) composite {
	return composite{
		t, n, "respond", r.RunID, r.Request, nil, nil, r.Header, nil,
		r.At, nil, nil, r.Responder, r.Body, nil, r.Status, r.KeepUntil,
	}
}

// encodeEffect is an effect of transition t, whose number among its effects is n.
func encodeEffect(tr *store.Transition, e *store.Effect, t, n int) (composite, error) {
	switch e.Kind {
	case store.OpenHook:
		h := &e.Hook
		return composite{
			t, n, "open", tr.RunID, h.ID, h.Token, h.Type, h.Metadata, h.Webhook,
			h.CreatedAt, h.OpenedPos, nil, nil, nil, nil, nil, nil,
		}, nil
	case store.CloseHook:
		return composite{
			t, n, "close", tr.RunID, e.Hook.ID, nil, nil, nil, nil,
			tr.At, e.Hook.ClosedPos, nil, nil, nil, nil, nil, nil,
		}, nil
	case store.StartRun:
		return composite{
			t, n, "start", tr.RunID, nil, nil, nil, nil, nil,
			nil, nil, encodeNewRun(&e.Run), nil, nil, nil, nil, nil,
		}, nil
	case store.Respond:
		return encodeResponse(&e.Response, t, n), nil
	case store.Send:
		m := &e.Message
		return composite{
			t, n, "send", m.RunID, nil, nil, string(m.Kind), nil, nil,
			nil, nil, nil, m.Ref, m.Data, encodeNewRun(m.OrStart), nil, nil,
		}, nil
	}
	return nil, fmt.Errorf("effect %d of the transition of run %s has an unknown kind %d", n, tr.RunID, e.Kind)
}
