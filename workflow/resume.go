package workflow

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/tenter-dev/tenter/internal/run"
	"github.com/tenter-dev/tenter/internal/strictjson"
)

// HookInfo describes the hook that a payload was accepted for, or that was looked
// up.
type HookInfo struct {
	ID        string          `json:"id"`
	RunID     string          `json:"run_id"`
	Token     string          `json:"token"`
	Type      string          `json:"type,omitempty"`    // name of the defined hook type, or of the topic that it listens to
	Subject   string          `json:"subject,omitempty"` // that it listens to
	Webhook   bool            `json:"webhook,omitempty"` // it takes HTTP requests, at its URL
	Call      bool            `json:"call,omitempty"`    // it takes requests of the call Type, and answers them
	Metadata  json.RawMessage `json:"metadata,omitempty"`
	CreatedAt time.Time       `json:"created_at"`
	Reserved  bool            `json:"reserved,omitempty"`  // for the run that [OrStart] started, which has not opened it yet
	Carried   bool            `json:"carried,omitempty"`   // over a restart of the run, which has not opened it again yet
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

// ResumeOption is an option of [Resume] and [HookType.Resume].
type ResumeOption interface {
	applyResume(*ResumeRequest) error
}

type resumeOption func(*ResumeRequest) error

func (o resumeOption) applyResume(r *ResumeRequest) error { return o(r) }

// SendOption is an option that fits payloads, whether they are sent to a token or published to a topic,
// and calls.
type SendOption interface {
	ResumeOption
	PublishOption
	CallOption
}

type idempotencyKey string

func (k idempotencyKey) check() error {
	if k == "" {
		return fmt.Errorf("idempotency key: %w: it is empty", ErrInvalidName)
	}
	return nil
}

func (k idempotencyKey) applyResume(r *ResumeRequest) error {
	r.IdempotencyKey = string(k)
	return k.check()
}

func (k idempotencyKey) applyPublish(r *PublishRequest) error {
	r.IdempotencyKey = string(k)
	return k.check()
}

func (k idempotencyKey) applyCall(r *CallRequest) error {
	r.IdempotencyKey = string(k)
	return k.check()
}

// IdempotencyKey makes Resume safe to repeat: a second payload with the same key for
// the same token is dropped, and the first one's receipt returned with
// HookInfo.Duplicate, also when the hook is closed or the token is another run's by
// then. It does the same for [Topic.Publish], for a topic and a subject, if somebody listened, and for
// [CallType.Call], which gets the answer to the first request again. Keys are kept for
// engine.Options.DedupeFor. One that is empty or not valid UTF-8 is [ErrInvalidName].
func IdempotencyKey(key string) SendOption { return idempotencyKey(key) }

// OrStart makes Resume start a run if no open hook has the token, as one operation:
// the run's first hook with that token gets the payload, and all that are sent to
// the token until then. HookInfo.Started tells.
// If the start fails, Resume has the errors of [Workflow.Start]; it starts nothing, and fails with a
// *[PayloadError], if the workflow is [StartedByRequest].
func OrStart[In, Out any](w *Workflow[In, Out], in In, opts ...StartOption) ResumeOption {
	return resumeOption(func(r *ResumeRequest) error {
		req, err := w.request(in, opts)
		if err != nil {
			return err
		}
		if w.impl != nil && w.impl.ByRequest {
			return &PayloadError{Token: r.Token, Err: run.NotByPayload(w.name)}
		}
		r.OrStart = &req
		return nil
	})
}

// Resume sends a payload to the hook that has the token, and returns when it is durable: then it
// will be delivered, whatever crashes. Access to it is up to the app: the token names a hook, it
// does not authorize. The payload is any value that encodes as JSON; a json.RawMessage is JSON
// already. Where the type of the hook is defined, [HookType.Resume] has the compiler check it.
//
// Errors, after which nothing was written: [ErrHookNotFound], *[PayloadError] if the hook's type is
// in engine.Options.Hooks and the payload does not fit, or the hook is a webhook, [ErrInvalidToken],
// [ErrPayloadTooLarge], [ErrEngineClosed].
func Resume(ctx context.Context, c Client, token string, payload any, opts ...ResumeOption) (HookInfo, error) {
	if err := usable(ctx, c); err != nil {
		return HookInfo{}, fmt.Errorf("resume hook: %w", err)
	}
	return resume(ctx, c, ResumeRequest{Token: token}, payload, opts)
}

func resume(ctx context.Context, c Client, r ResumeRequest, payload any, opts []ResumeOption) (HookInfo, error) {
	if err := checkToken(r.Token); err != nil {
		return HookInfo{}, fmt.Errorf("resume hook: %w", err)
	}
	for _, opt := range opts {
		if opt == nil {
			continue
		}
		if err := opt.applyResume(&r); err != nil {
			return HookInfo{}, Fatal(fmt.Errorf("resume hook: %w", err))
		}
	}
	data, err := encode(payload)
	if err != nil {
		return HookInfo{}, Fatal(fmt.Errorf("resume hook: encode payload: %w", err))
	}
	r.Payload = data
	return c.ResumeHook(ctx, r)
}

// Validate says what is wrong with a request, whoever has made it. It is for implementations of
// [Client].
func (r *ResumeRequest) Validate() error {
	if err := checkToken(r.Token); err != nil {
		return err
	}
	if err := checkKey(r.IdempotencyKey); err != nil {
		return err
	}
	if err := strictjson.Check(r.Payload); err != nil { // a json.RawMessage may be anything
		return &PayloadError{Token: r.Token, Err: err}
	}
	return nil
}
