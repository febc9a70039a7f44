package workflow

import (
	"context"
	"encoding/json"
	"fmt"
	"reflect"
	"unicode/utf8"

	"github.com/tenter-dev/tenter/internal/run"
	"github.com/tenter-dev/tenter/internal/strictjson"
)

// Topic is a name that many hooks may listen to, typed at both ends: workflows open hooks with
// [Topic.Listen], and [Topic.Publish] reaches all of them, each once. A token reaches one hook, and it
// is an error if nobody has it; a topic reaches all that listen, even if nobody does.
//
// Within a topic, a subject says what it is about, such as the ID of an order: a hook listens to one
// subject, and gets only what is published with that.
type Topic[T any] struct {
	name string
}

// DefineTopic defines a topic. Give it to engine.Options.Hooks, as a hook type, so that payloads are
// checked there whoever publishes them: it is the type of the hooks that listen, and its name must be
// the name of no other topic or hook type. One that can't be a name is [ErrInvalidName] when it is
// used. If T implements [Validator], payloads are validated before they are published.
func DefineTopic[T any](name string) *Topic[T] {
	return &Topic[T]{name: name}
}

// Name returns the name of the topic.
func (t *Topic[T]) Name() string { return t.name }

// Listen opens a hook that gets what is published to the topic with a subject, from now on: whatever
// Publish begins after Listen has returned. It returns when that is durable. The hook gets all of it,
// each once, in the order in which it was published, until it is closed; what was published before the
// close is still delivered. It goes on over restarts of the run, if the next generation listens to the
// same.
//
// The hook can also be resumed by its token, which nobody can guess unless [Token] gives it one. A run
// that listens twice to a subject gives one of the hooks a name, with [Named]; else the second is a
// *[HookConflictError]. Other errors are those of [NewHook], and [ErrInvalidName] for the subject.
func (t *Topic[T]) Listen(ctx Context, subject string, opts ...HookOption) (*Hook[T], error) {
	if t == nil {
		return nil, misused(errNilTopic)
	}
	if err := t.check(subject); err != nil {
		return nil, fmt.Errorf("new hook: %w", err)
	}
	return newHook[T](ctx, run.Hook{Type: t.name, Subject: subject, Of: reflect.TypeFor[T]()}, opts)
}

// check says what is wrong with the name of the topic, or with a subject.
func (t *Topic[T]) check(subject string) error {
	if err := checkName("topic name", t.name); err != nil {
		return err
	}
	return checkName("subject", subject)
}

// Publication tells what became of a payload that was published.
type Publication struct {
	Topic   string `json:"topic"`
	Subject string `json:"subject"`
	// Listeners is how many hooks get the payload: all that listened.
	Listeners int `json:"listeners"`
	// Number rises with each publication that somebody listens to. 0: nobody did.
	Number int64 `json:"number,omitempty"`
	// Duplicate says that the idempotency key was known: the payload was dropped, and the rest is
	// what became of the first one.
	Duplicate bool `json:"duplicate,omitempty"`
}

// PublishRequest is a payload with its topic, subject and options, as a [Client] publishes it.
type PublishRequest struct {
	Topic          string          `json:"topic"`
	Subject        string          `json:"subject"`
	Payload        json.RawMessage `json:"payload"`
	IdempotencyKey string          `json:"idempotency_key,omitempty"`
}

// PublishOption is an option of [Topic.Publish].
type PublishOption interface {
	applyPublish(*PublishRequest) error
}

// Publish sends a payload to all hooks that listen to the topic with a subject, and returns when it is
// durable: then each of them gets it once, whatever crashes. That nobody listens is not an error:
// [Publication.Listeners] is 0, and nothing is kept, not even an idempotency key. Which hooks get it
// is decided at one moment; up to a hundred get it in that moment, more than that shortly after.
//
// Workflow code publishes in a [Step], with [ClientFrom]; with an [IdempotencyKey] of its own, such as
// the step's ID, it does so once. Errors, after which nothing was written: *[PayloadError] if the
// payload does not validate, [ErrInvalidName], [ErrPayloadTooLarge], [ErrEngineClosed].
func (t *Topic[T]) Publish(ctx context.Context, c Client, subject string, payload T, opts ...PublishOption) (Publication, error) {
	if t == nil {
		return Publication{}, fmt.Errorf("publish: %w", errNilTopic)
	}
	if err := usable(ctx, c); err != nil {
		return Publication{}, fmt.Errorf("publish to topic %q: %w", t.name, err)
	}
	if err := t.check(subject); err != nil {
		return Publication{}, fmt.Errorf("publish: %w", err)
	}
	if err := validate(&payload); err != nil {
		return Publication{}, fmt.Errorf("publish to topic %q: %w", t.name, &PayloadError{Err: err})
	}
	r := PublishRequest{Topic: t.name, Subject: subject}
	for _, opt := range opts {
		if opt == nil {
			continue
		}
		if err := opt.applyPublish(&r); err != nil {
			return Publication{}, Fatal(fmt.Errorf("publish to topic %q: %w", t.name, err))
		}
	}
	data, err := encode(payload)
	if err != nil {
		return Publication{}, Fatal(fmt.Errorf("publish to topic %q: encode payload: %w", t.name, err))
	}
	r.Payload = data
	return c.Publish(ctx, r)
}

// definition is for the engine.
func (t *Topic[T]) definition() run.HookType {
	if t == nil {
		return run.HookType{} // which has no name, and is refused for that
	}
	d := (&HookType[T]{name: t.name}).definition()
	d.Topic = true
	return d
}

// Validate says what is wrong with a request, whoever has made it. It is for implementations of
// [Client].
func (r *PublishRequest) Validate() error {
	if err := checkName("topic name", r.Topic); err != nil {
		return err
	}
	if err := checkName("subject", r.Subject); err != nil {
		return err
	}
	if !utf8.ValidString(r.IdempotencyKey) {
		return fmt.Errorf("idempotency key %q: %w: it is not valid UTF-8", r.IdempotencyKey, ErrInvalidName)
	}
	if err := strictjson.Check(r.Payload); err != nil { // a json.RawMessage may be anything
		return &PayloadError{Err: err}
	}
	return nil
}
