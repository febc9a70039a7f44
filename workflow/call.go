package workflow

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"net/http"
	"reflect"
	"time"

	"github.com/tenter-dev/tenter/internal/run"
	"github.com/tenter-dev/tenter/internal/strictjson"
)

// CallType is a kind of question to a run that is typed at both ends: a workflow takes requests of
// type In with Open, and answers each with a value of type Out or refuses it; a caller sends one
// with Call, and gets the answer. Other systems call this an update.
//
// If In implements [Validator], requests are validated before they are taken.
type CallType[In, Out any] struct {
	name string
}

// DefineCall defines a call. Its name is that of a hook type: it is stored with each hook, is unique
// in an engine among hook types and calls, and one that can't be a name is [ErrInvalidName] when it
// is used. Requests and answers are stored as JSON.
//
// Name it in engine.Options.Hooks to have requests checked there, whoever sends them.
func DefineCall[In, Out any](name string) *CallType[In, Out] {
	return &CallType[In, Out]{name: name}
}

// Name returns the name of the call.
func (t *CallType[In, Out]) Name() string { return t.name }

// definition is for the engine.
func (t *CallType[In, Out]) definition() run.HookType {
	if t == nil {
		return run.HookType{} // which has no name, and is refused for that
	}
	return run.HookType{
		Name:    t.name,
		Payload: reflect.TypeFor[In](),
		Answer:  reflect.TypeFor[Out](),
		Check: func(input []byte) error {
			if err := strictjson.CheckType(input, reflect.TypeFor[In]()); err != nil {
				return err
			}
			_, err := decodePayload[In](input)
			return err
		},
	}
}

// Calls takes the requests of a call that were sent to its token. They are buffered durably from the
// moment it is open, as the payloads of a [Hook] are, and taken in the order in which they were
// accepted, each once.
//
// Calls belongs to the run that opened it, and lives as long as a Hook does. A request that was not
// taken goes along when the run restarts, and so does the caller of one that was taken: hand the
// [Call] to the next generation to answer it there.
type Calls[In, Out any] struct {
	hook *Hook[*taken[In, Out]]
}

// taken is a request as it came: one whose input does not fit has an error in place of it.
type taken[In, Out any] struct {
	call *Call[In, Out]
	err  error
}

// Call is a request that a run has taken, and that waits for an answer. It survives JSON, so it can
// be handed to steps, child runs and the next generation, which can answer it.
type Call[In, Out any] struct {
	ID         string    `json:"id"` // of the request
	RunID      string    `json:"run_id"`
	Input      In        `json:"input"`
	ReceivedAt time.Time `json:"received_at"`
}

// Open takes requests of the call, as [NewHook] opens a hook and with its options and errors.
func (t *CallType[In, Out]) Open(ctx Context, opts ...HookOption) (*Calls[In, Out], error) {
	if t == nil {
		return nil, misused(errNilCallType)
	}
	if err := checkName("call", t.name); err != nil {
		return nil, fmt.Errorf("open call: %w", err)
	}
	spec := run.Hook{Type: t.name, Webhook: &run.Webhook{Call: true, Manual: true}, Payload: callPayload[In]{}}
	for _, opt := range opts {
		if opt == nil {
			continue
		}
		if err := opt.applyHook(&spec); err != nil {
			return nil, fmt.Errorf("open call %s: %w", t.name, err)
		}
	}
	hook, err := openHook(ctx, spec, takeCall[In, Out])
	if err != nil {
		return nil, err
	}
	return &Calls[In, Out]{hook}, nil
}

// takeCall decodes a request. It fails only for one that nobody waits for.
func takeCall[In, Out any](data []byte) (*taken[In, Out], error) {
	r, input, err := run.DecodeCall(data)
	if err != nil {
		return nil, err
	}
	t := &taken[In, Out]{call: &Call[In, Out]{ID: r.ID, RunID: r.RunID, ReceivedAt: r.ReceivedAt}}
	t.call.Input, t.err = decodePayload[In](input)
	return t, nil
}

// callPayload is run.Payload of a call.
type callPayload[In any] struct{}

func (callPayload[In]) Check(data []byte) error {
	_, input, err := run.DecodeCall(data)
	if err == nil {
		_, err = decodePayload[In](input)
	}
	return err
}

// Token returns the token, as [Hook.Token] does: to give to callers.
func (c *Calls[In, Out]) Token() string { return c.must().Token() }

// ID returns the ID of the hook, which is not a secret.
func (c *Calls[In, Out]) ID() string { return c.must().ID() }

// must panics if there is none.
func (c *Calls[In, Out]) must() *Hook[*taken[In, Out]] {
	if c == nil {
		panic("workflow: " + errNilCalls.Error())
	}
	return c.hook
}

// Wait returns the next request. Errors: ctx.Err() if ctx ends first, *[PayloadError] for a request
// whose input does not decode or validate, which has been refused with that error (the next Wait goes
// on with the next), [ErrHookClosed] once it is closed and all that it had accepted has been
// delivered.
func (c *Calls[In, Out]) Wait(ctx Context) (*Call[In, Out], error) {
	if c == nil {
		return nil, misused(errNilCalls)
	}
	return c.checked(ctx)(c.hook.Wait(ctx))
}

// checked refuses a request whose input does not fit.
func (c *Calls[In, Out]) checked(ctx Context) func(*taken[In, Out], error) (*Call[In, Out], error) {
	return func(t *taken[In, Out], err error) (*Call[In, Out], error) {
		if err != nil {
			return nil, err
		}
		if t.err == nil {
			return t.call, nil
		}
		misfit := &PayloadError{Token: c.Token(), Err: t.err}
		if err := t.call.Refuse(ctx, misfit); err != nil && !errors.Is(err, ErrAlreadyResponded) {
			return nil, err
		}
		return nil, misfit
	}
}

// All ranges over the requests: those that are there and those to come. It ends silently once it is
// closed and drained; if ctx ends it yields ctx.Err() and ends; for a request whose input does not
// fit, and which has been refused for that, it yields a *[PayloadError] and goes on.
func (c *Calls[In, Out]) All(ctx Context) iter.Seq2[*Call[In, Out], error] {
	return func(yield func(*Call[In, Out], error) bool) {
		for {
			call, err := c.Wait(ctx)
			if errors.Is(err, ErrHookClosed) {
				return
			}
			if !yield(call, err) {
				return
			}
			if _, bad := errors.AsType[*PayloadError](err); err != nil && !bad {
				return
			}
		}
	}
}

// Close takes no further requests, as [Hook.Close] takes no further payloads. Callers whose requests
// were accepted and are not answered wait until the run ends: take what is left with All, and refuse
// it.
func (c *Calls[In, Out]) Close() {
	if c != nil {
		c.hook.Close()
	}
}

// OnCall is ready when c has a request, which is given to fn. See [OnPayload]; a request whose input
// does not fit has been refused when Select returns its *[PayloadError].
func OnCall[In, Out any](c *Calls[In, Out], fn func(*Call[In, Out]) error) Case {
	return &callCase[In, Out]{c, fn}
}

type callCase[In, Out any] struct {
	calls *Calls[In, Out]
	fn    func(*Call[In, Out]) error
}

func (c *callCase[In, Out]) begin(run.Scope) (run.Waitable, error) {
	switch {
	case c.calls == nil:
		return nil, misused(fmt.Errorf("OnCall: %w", errNilCalls))
	case c.fn == nil:
		return nil, errNilCase("OnCall")
	}
	return c.calls.hook.open, nil
}

func (c *callCase[In, Out]) drop() {}

func (c *callCase[In, Out]) take(ctx Context) error {
	call, err := c.calls.checked(ctx)(c.calls.hook.take())
	if err != nil {
		return err
	}
	return c.fn(call)
}

// Return answers the request with out, in a step or straight from the workflow. It returns when the
// answer is durable; only then does the caller get it. A later attempt of the same step, or a replay,
// gets nil and the first answer stands; from elsewhere a second answer fails with
// [ErrAlreadyResponded]. If the caller has gone the answer is recorded all the same, for whoever asks
// again with the same idempotency key within engine.Options.DedupeFor. A run that was forked has no
// callers of what came before: its own answers to them go nowhere, without an error.
//
// Other errors: [ErrPayloadTooLarge] if out is larger than engine.Options.MaxPayload.
func (c *Call[In, Out]) Return(ctx context.Context, out Out) error {
	data, err := encode(out)
	if err != nil {
		return Fatal(fmt.Errorf("answer call: encode: %w", err))
	}
	return c.answer(ctx, run.Response{Status: http.StatusOK, Body: data})
}

// Refuse answers the request with an error, as Return does with a value. The caller gets a
// *[RefusedError] that wraps why in its recorded form: errors.Is holds for errors that are defined
// with [DefineError] in the caller's program too, and the text is that of why, so it should say
// nothing that callers must not know.
func (c *Call[In, Out]) Refuse(ctx context.Context, why error) error {
	if why == nil {
		return Fatal(errors.New("refuse call: the error is nil: say why, or answer with Return"))
	}
	return c.answer(ctx, run.Response{Status: http.StatusUnprocessableEntity, Body: encodeError(why)})
}

func (c *Call[In, Out]) answer(ctx context.Context, a run.Response) error {
	switch {
	case c == nil:
		return Fatal(errors.New("answer call: the call is nil"))
	case c.ID == "":
		return Fatal(errors.New("answer call: it has no ID: no run has taken it"))
	}
	return respond(ctx, "call", c.ID, c.RunID, a)
}
