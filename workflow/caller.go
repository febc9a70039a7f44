package workflow

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"unicode/utf8"

	"github.com/tenter-dev/tenter/internal/run"
	"github.com/tenter-dev/tenter/internal/strictjson"
)

// CallRequest is a request of a call with its token and options, as a [Client] sends it.
type CallRequest struct {
	Token string          `json:"token"`
	Input json.RawMessage `json:"input"`
	// Type, if not nil, must be the name of the call that the token belongs to.
	Type           *string `json:"type,omitempty"`
	IdempotencyKey string  `json:"idempotency_key,omitempty"`
}

// AnswerRequest asks for the answer to a request that was sent before: by its token and idempotency
// key, or by its run and ID.
type AnswerRequest struct {
	Token          string `json:"token,omitempty"`
	IdempotencyKey string `json:"idempotency_key,omitempty"`

	RunID   string `json:"run_id,omitempty"`
	Request string `json:"request,omitempty"`
}

// CallAnswer is the answer of a run to a request. Its bytes may be shared: they are not to be changed.
type CallAnswer struct {
	Request   string          `json:"request"`             // its ID
	RunID     string          `json:"run_id"`              // that it was sent to
	Duplicate bool            `json:"duplicate,omitempty"` // the idempotency key was known: this is the answer to the first request
	Output    json.RawMessage `json:"output,omitempty"`    // what the run returned
	Error     json.RawMessage `json:"error,omitempty"`     // why it refused the request, in recorded form
}

// CallOption is an option of [CallType.Call].
type CallOption interface {
	applyCall(*CallRequest) error
}

// RefusedError is the error of a request that the run has refused with [Call.Refuse]: it wraps why.
// The same request with the same idempotency key is refused again.
type RefusedError struct {
	Token string
	RunID string
	Err   error // what the run gave, in recorded form
}

func (e *RefusedError) Error() string {
	return fmt.Sprintf("run %s refused the call: %v", e.RunID, e.Err)
}

// Unwrap returns why the run refused the request.
func (e *RefusedError) Unwrap() error { return e.Err }

// UnansweredError is the error of a request that the run has got, or will get, and whose answer did not
// come. It wraps why not:
//
//   - ctx.Err(): ctx has ended first;
//   - [ErrRunEnded]: the run has ended without an answer;
//   - [ErrRunPaused]: the run is paused, so its answer may take until somebody lets it go on;
//   - [ErrEngineClosed]: the engine that waited stops, and the run goes on elsewhere or later;
//   - anything else: the server could not be asked.
//
// An answer that comes later is kept: [CallType.Answer] gets it by the idempotency key.
type UnansweredError struct {
	Token   string
	RunID   string
	Request string // its ID
	Err     error
}

func (e *UnansweredError) Error() string {
	return fmt.Sprintf("run %s has the request, and has not answered: %v", e.RunID, e.Err)
}

// Unwrap returns why there is no answer.
func (e *UnansweredError) Unwrap() error { return e.Err }

// Call sends in to the run that has the token, and waits for its answer until ctx ends. The request is
// durable before the run sees it, and the answer before the caller does, so neither is lost, whatever
// crashes; run and caller may be in different processes.
//
// With [IdempotencyKey] it is safe to repeat: the same key for the same token gets the same answer
// again, also when the hook is closed or the token is another run's by then. Without, a caller that
// loses its connection can't know what became of the request.
//
// Errors: *[RefusedError] if the run has refused the request; *[UnansweredError] if the answer did not
// come. After any of these nothing was written: [ErrHookNotFound], *[HookTypeError] if the token's hook
// is not of this call, *[PayloadError] if the input does not validate, [ErrInvalidToken],
// [ErrInvalidName], [ErrPayloadTooLarge], [ErrEngineClosed]. If ctx ends before the request is durable
// the error is ctx.Err(), and the run may get it all the same.
//
// A run that calls itself, from a step, waits for itself. The client of a transaction can't call.
func (t *CallType[In, Out]) Call(ctx context.Context, c Client, token string, in In, opts ...CallOption) (Out, error) {
	var zero Out
	if err := t.callable(ctx, c); err != nil {
		return zero, err
	}
	if err := checkToken(token); err != nil {
		return zero, fmt.Errorf("call %s: %w", t.name, err)
	}
	if err := validate(&in); err != nil {
		return zero, &PayloadError{Token: token, Err: err}
	}
	r := CallRequest{Token: token, Type: &t.name}
	for _, opt := range opts {
		if opt == nil {
			continue
		}
		if err := opt.applyCall(&r); err != nil {
			return zero, Fatal(fmt.Errorf("call %s: %w", t.name, err))
		}
	}
	var err error
	if r.Input, err = encode(in); err != nil {
		return zero, Fatal(fmt.Errorf("call %s: encode input: %w", t.name, err))
	}
	a, err := c.CallHook(ctx, r)
	if err != nil {
		return zero, err
	}
	return t.output(token, a)
}

// Answer returns the answer to a request that was sent to the token with an idempotency key, by this
// program or another one, and waits for it until ctx ends. Errors: those of Call; [ErrHookNotFound] if
// no request with the key was accepted, or longer than engine.Options.DedupeFor ago.
func (t *CallType[In, Out]) Answer(ctx context.Context, c Client, token, key string) (Out, error) {
	var zero Out
	if err := t.callable(ctx, c); err != nil {
		return zero, err
	}
	a, err := c.AwaitAnswer(ctx, AnswerRequest{Token: token, IdempotencyKey: key})
	if err != nil {
		return zero, err
	}
	return t.output(token, a)
}

func (t *CallType[In, Out]) callable(ctx context.Context, c Client) error {
	if t == nil {
		return fmt.Errorf("call: %w", errNilCallType)
	}
	if err := usable(ctx, c); err != nil {
		return fmt.Errorf("call %s: %w", t.name, err)
	}
	if err := checkName("call", t.name); err != nil {
		return fmt.Errorf("call: %w", err)
	}
	return nil
}

func (t *CallType[In, Out]) output(token string, a CallAnswer) (out Out, err error) {
	if a.Error != nil {
		return out, &RefusedError{Token: token, RunID: a.RunID, Err: decodeError(a.Error)}
	}
	if err := decode(a.Output, &out); err != nil {
		return out, fmt.Errorf("call %s: decode the answer: %w", t.name, err)
	}
	return out, nil
}

// Validate says what is wrong with a request, whoever has made it. It is for implementations of
// [Client].
func (r *CallRequest) Validate() error {
	if err := checkToken(r.Token); err != nil {
		return err
	}
	if err := checkKey(r.IdempotencyKey); err != nil {
		return err
	}
	if err := strictjson.Check(r.Input); err != nil { // a json.RawMessage may be anything
		return &PayloadError{Token: r.Token, Err: err}
	}
	return nil
}

// Validate says what is wrong with a request, whoever has made it. It is for implementations of
// [Client].
func (r *AnswerRequest) Validate() error {
	if r.Request != "" || r.RunID != "" {
		if bad := run.BadName(r.Request, run.MaxName); bad != "" {
			return fmt.Errorf("request %q: %w: %s", r.Request, ErrInvalidName, bad)
		}
		return checkName("run ID", r.RunID)
	}
	if err := checkToken(r.Token); err != nil {
		return err
	}
	if r.IdempotencyKey == "" {
		return fmt.Errorf("idempotency key: %w: it is empty", ErrInvalidName)
	}
	return checkKey(r.IdempotencyKey)
}

func checkKey(key string) error {
	if !utf8.ValidString(key) {
		return fmt.Errorf("idempotency key %q: %w: it is not valid UTF-8", key, ErrInvalidName)
	}
	return nil
}

var (
	errNilCallType = Fatal(errors.New("the call is nil: make it with DefineCall"))
	errNilCalls    = errors.New("the calls are nil: Open returned an error instead of them")
)
