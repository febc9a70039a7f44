package workflow

import (
	"errors"
	"fmt"
	"iter"

	"github.com/tenter-dev/tenter/internal/run"
)

// Hook is a suspension point of a run that takes payloads of type T, sent to its
// token by [Resume] or [HookType.Resume]. Payloads are buffered durably from the moment the hook
// is open, and delivered in the order in which they were accepted, each once.
//
// A hook belongs to the run that opened it. It closes by Close and at the end of the
// run; then its token is free for others.
type Hook[T any] struct {
	open   run.OpenHook
	decode func([]byte) (T, error)
}

// WebhookOption is an option that fits webhooks.
type WebhookOption interface {
	applyHook(*run.Hook) error
}

// HookOption is an option that fits hooks, and webhooks too.
type HookOption interface {
	WebhookOption
	fitsHooks()
}

type hookOption func(*run.Hook) error

func (o hookOption) applyHook(h *run.Hook) error { return o(h) }
func (o hookOption) fitsHooks()                  {}

// ErrInvalidToken is the error of a token that is empty, longer than 1,024 bytes, not
// valid UTF-8, or has control characters.
var ErrInvalidToken = DefineError("invalid token")

func checkToken(token string) error {
	if bad := run.BadName(token, run.MaxToken); bad != "" {
		return fmt.Errorf("%w: %s", ErrInvalidToken, bad)
	}
	return nil
}

// checkName checks a name; what says what it is the name of.
func checkName(what, name string) error {
	if bad := run.BadName(name, run.MaxName); bad != "" {
		return fmt.Errorf("%s %q: %w: %s", what, name, ErrInvalidName, bad)
	}
	return nil
}

// Token gives a hook a token of your own, which a sender can make up from what it
// knows, such as "slack_messages:"+channel. At most one open hook can have a token; see
// [ErrInvalidToken] for what can be one. The default is a generated one that nobody
// can guess.
func Token(token string) HookOption {
	return hookOption(func(h *run.Hook) error {
		h.Token = token
		return checkToken(token)
	})
}

// Named gives a hook a generated token, which nobody can guess, that stays the same over restarts of
// the run: the hook of that name in the next generation has the token, and goes on with what was
// sent to it. Names are the workflow's own; of two open hooks of a run only one can have a name.
func Named(name string) HookOption {
	return hookOption(func(h *run.Hook) error {
		h.Name = name
		return checkName("hook", name)
	})
}

// Metadata attaches v, as JSON, to the hook, for callers that look it up or resume it.
func Metadata(v any) HookOption {
	return hookOption(func(h *run.Hook) error {
		data, err := encode(v)
		if err != nil {
			return fmt.Errorf("encode metadata: %w", err)
		}
		h.Metadata = data
		return nil
	})
}

// NewHook opens a hook. With a generated token it costs nothing by itself: the hook
// is registered before the run waits or does anything visible outside. With [Token]
// it returns when the token is durably claimed, or a *[HookConflictError] if another
// hook has it. Other errors: ctx.Err() if ctx has ended, [ErrInvalidToken],
// [ErrPayloadTooLarge] for the metadata.
//
// The hook takes payloads once it is registered or claimed, whether the run waits for
// them yet or not; [Workflow.Start] says what that means right after a start. The end
// of the run, however it ends, closes its hooks: call Close to do so before.
func NewHook[T any](ctx Context, opts ...HookOption) (*Hook[T], error) {
	return newHook[T](ctx, run.Hook{}, opts)
}

func newHook[T any](ctx Context, spec run.Hook, opts []HookOption) (*Hook[T], error) {
	for _, opt := range opts {
		if opt == nil {
			continue
		}
		if err := opt.applyHook(&spec); err != nil {
			return nil, fmt.Errorf("new hook: %w", err)
		}
	}
	spec.Payload = payload[T]{}
	return openHook(ctx, spec, decodePayload[T])
}

func openHook[T any](ctx Context, spec run.Hook, decode func([]byte) (T, error)) (*Hook[T], error) {
	open, err := scopeOf(ctx).NewHook(spec)
	if conflict, ok := errors.AsType[*run.HookConflict](err); ok {
		return nil, &HookConflictError{Token: conflict.Token, RunID: conflict.RunID, HookID: conflict.HookID, at: conflict.At, relation: conflict.Relation}
	}
	if mismatch, ok := errors.AsType[*run.HookMismatch](err); ok {
		return nil, &HookTypeError{Token: mismatch.Token, Want: mismatch.Want, Got: mismatch.Got, carried: true}
	}
	if err != nil {
		return nil, err
	}
	return &Hook[T]{open, decode}, nil
}

// Token returns the hook's token. It is the same after every replay. A generated token is a secret:
// anyone who has it can resume the hook.
func (h *Hook[T]) Token() string { return h.must().Token() }

// ID returns the hook's ID, which is not a secret.
func (h *Hook[T]) ID() string { return h.must().ID() }

// must panics if there is no hook.
func (h *Hook[T]) must() run.OpenHook {
	if h == nil {
		panic("workflow: " + errNilHook.Error())
	}
	return h.open
}

// Wait returns the next payload. Errors: ctx.Err() if ctx ends first (the hook stays
// open), *[PayloadError] for a payload that does not decode or validate (the next
// Wait goes on with the next), [ErrHookClosed] once the hook is closed and all that
// it had accepted has been delivered.
func (h *Hook[T]) Wait(ctx Context) (T, error) {
	var zero T
	if h == nil {
		return zero, misused(errNilHook)
	}
	if _, err := scopeOf(ctx).Await(h.open); err != nil {
		return zero, err
	}
	return h.take()
}

func (h *Hook[T]) take() (T, error) {
	var zero T
	data, ok := h.open.Take()
	if !ok {
		return zero, ErrHookClosed
	}
	v, err := h.decode(data)
	if err != nil {
		return zero, &PayloadError{Token: h.Token(), Err: err}
	}
	return v, nil
}

// All ranges over the payloads: those that are there and those to come. It ends
// silently once the hook is closed and drained; if ctx ends it yields ctx.Err() and
// ends; for a payload that does not decode or validate it yields a *[PayloadError]
// and goes on. Break takes nothing ahead and closes nothing.
func (h *Hook[T]) All(ctx Context) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		for {
			v, err := h.Wait(ctx)
			if errors.Is(err, ErrHookClosed) {
				return
			}
			if !yield(v, err) {
				return
			}
			if _, bad := errors.AsType[*PayloadError](err); err != nil && !bad {
				return
			}
		}
	}
}

// Close closes the hook, as close does a channel: no more is accepted, the token is
// free, what was accepted is still delivered. A Wait in another branch ends. It may be
// called more than once, and fits defer; on nil it does nothing. Outside the workflow's
// own code it panics with [ErrNotInWorkflow].
//
// What was accepted before Close stays this hook's: another hook with the same token,
// opened later, never sees it. Before you open one, take what is left with All.
func (h *Hook[T]) Close() {
	if h != nil {
		h.open.Close()
	}
}
