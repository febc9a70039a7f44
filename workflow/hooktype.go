package workflow

import (
	"context"
	"fmt"
	"reflect"

	"github.com/tenter-dev/tenter/internal/run"
	"github.com/tenter-dev/tenter/internal/schema"
	"github.com/tenter-dev/tenter/internal/strictjson"
)

// HookType is a kind of hook that is typed at both ends: workflows open such hooks
// with New, callers resume them with Resume, and the compiler checks that both mean the
// same payload. If T implements [Validator], payloads are validated before they are
// accepted.
type HookType[T any] struct {
	name string
}

// HookDefinition is a defined hook type or topic, to be given to engine.Options.Hooks so that
// payloads are checked there whoever sends them: as JSON they have to decode into the
// type, with no fields that it does not have, and to validate.
type HookDefinition interface {
	definition() run.HookType
}

// DefineHook defines a hook type. The name is stored with each hook: it is unique in an
// engine, and one that can't be a name is [ErrInvalidName] when it is used. Payloads are stored as
// JSON.
func DefineHook[T any](name string) *HookType[T] {
	return &HookType[T]{name: name}
}

// Name returns the name of the hook type.
func (t *HookType[T]) Name() string { return t.name }

// New opens a hook of the type, as [NewHook] does.
func (t *HookType[T]) New(ctx Context, opts ...HookOption) (*Hook[T], error) {
	if t == nil {
		return nil, misused(errNilHookType)
	}
	if err := checkName("hook type name", t.name); err != nil {
		return nil, fmt.Errorf("new hook: %w", err)
	}
	return newHook[T](ctx, run.Hook{Type: t.name}, opts)
}

// Resume sends a payload to the hook of this type that has the token, and returns
// when it is durable. Errors: [ErrHookNotFound], *[HookTypeError] if the token's hook
// is of another type, *[PayloadError] if the payload does not validate,
// [ErrInvalidToken], [ErrPayloadTooLarge], [ErrEngineClosed]. After any of these
// nothing was written.
func (t *HookType[T]) Resume(ctx context.Context, c Client, token string, payload T, opts ...ResumeOption) (HookInfo, error) {
	if t == nil {
		return HookInfo{}, fmt.Errorf("resume hook: %w", errNilHookType)
	}
	if err := usable(ctx, c); err != nil {
		return HookInfo{}, fmt.Errorf("resume hook: %w", err)
	}
	if err := checkName("hook type name", t.name); err != nil {
		return HookInfo{}, fmt.Errorf("resume hook %s: %w", run.QuoteToken(token), err)
	}
	err := validate(&payload)
	if err == nil && schema.Declares(reflect.TypeFor[T]()) {
		var data []byte
		if data, err = encode(payload); err == nil {
			err = schema.Check(data, reflect.TypeFor[T]())
		}
	}
	if err != nil {
		return HookInfo{}, &PayloadError{Token: token, Err: err}
	}
	return resume(ctx, c, ResumeRequest{Token: token, Type: &t.name}, payload, opts)
}

// definition is for the engine.
func (t *HookType[T]) definition() run.HookType {
	if t == nil {
		return run.HookType{} // which has no name, and is refused for that
	}
	return run.HookType{
		Name:    t.name,
		Payload: reflect.TypeFor[T](),
		Check: func(payload []byte) error {
			if err := strictjson.CheckType(payload, reflect.TypeFor[T]()); err != nil {
				return err
			}
			_, err := decodePayload[T](payload)
			return err
		},
	}
}
