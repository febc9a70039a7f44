package workflow

import (
	"encoding/json"
	"fmt"
	"time"
	"unicode/utf8"

	"github.com/tenter-dev/tenter/internal/strictjson"
)

// HookInfo describes the hook that a payload was accepted for, or that was looked
// up.
type HookInfo struct {
	ID        string          `json:"id"`
	RunID     string          `json:"run_id"`
	Token     string          `json:"token"`
	Type      string          `json:"type,omitempty"`    // name of the defined hook type
	Webhook   bool            `json:"webhook,omitempty"` // it takes HTTP requests, at its URL
	Metadata  json.RawMessage `json:"metadata,omitempty"`
	CreatedAt time.Time       `json:"created_at"`
	Started   bool            `json:"started,omitempty"`   // [OrStart] started the run
	Duplicate bool            `json:"duplicate,omitempty"` // the idempotency key was known: the payload was dropped
	Cursor    string          `json:"cursor,omitempty"`    // in lists only: where they go on after it, see inspect.HookFilter
}

// ResumeRequest is a payload with its token and options, as a [Client] sends it.
type ResumeRequest struct {
	Token   string          `json:"token"`
	Payload json.RawMessage `json:"payload"`
	// Type, if not nil, must be the type of the hook.
	Type           *string       `json:"type,omitempty"`
	IdempotencyKey string        `json:"idempotency_key,omitempty"`
	OrStart        *StartRequest `json:"or_start,omitempty"`
}

// ResumeOption is an option of [Client.Resume] and [HookType.Resume].
type ResumeOption func(*ResumeRequest) error

// IdempotencyKey makes Resume safe to repeat: a second payload with the same key for
// the same token is dropped, and the first one's receipt returned with
// HookInfo.Duplicate, also when the hook is closed or the token is another run's by
// then. Keys are kept for engine.Options.DedupeFor. One that is empty or not valid
// UTF-8 is [ErrInvalidName].
func IdempotencyKey(key string) ResumeOption {
	return func(r *ResumeRequest) error {
		r.IdempotencyKey = key
		switch {
		case key == "":
			return fmt.Errorf("idempotency key: %w: it is empty", ErrInvalidName)
		case !utf8.ValidString(key):
			return fmt.Errorf("idempotency key %q: %w: it is not valid UTF-8", key, ErrInvalidName)
		}
		return nil
	}
}

// OrStart makes Resume start a run if no open hook has the token, as one operation:
// the run's first hook with that token gets the payload, and all that are sent to
// the token until then. HookInfo.Started tells.
func OrStart[In, Out any](w *Workflow[In, Out], in In, opts ...StartOption) ResumeOption {
	return func(r *ResumeRequest) error {
		req, err := w.request(in, opts)
		if err != nil {
			return err
		}
		r.OrStart = &req
		return nil
	}
}

// NewResume makes the request of a Resume. It is for implementations of [Client].
func NewResume(token string, payload any, opts ...ResumeOption) (ResumeRequest, error) {
	r := ResumeRequest{Token: token}
	if err := checkToken(token); err != nil {
		return r, fmt.Errorf("resume hook: %w", err)
	}
	for _, opt := range opts {
		if opt == nil {
			continue
		}
		if err := opt(&r); err != nil {
			return r, Fatal(fmt.Errorf("resume hook: %w", err))
		}
	}
	data, err := encode(payload)
	if err != nil {
		return r, Fatal(fmt.Errorf("resume hook: encode payload: %w", err))
	}
	if err := strictjson.Check(data); err != nil { // a json.RawMessage may be anything
		return r, fmt.Errorf("resume hook: %w", &PayloadError{Token: token, Err: err})
	}
	r.Payload = data
	return r, nil
}
