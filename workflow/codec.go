package workflow

import (
	"encoding/json"
	"fmt"
	"reflect"

	"github.com/tenter-dev/tenter/internal/run"
	"github.com/tenter-dev/tenter/internal/schema"
)

// encode turns a value into what is stored of it: JSON. The value's own methods may do
// what they like: a panic is an error.
func encode(v any) (data json.RawMessage, err error) {
	defer run.Recovered(&err)
	data, err = json.Marshal(v)
	return data, run.Sound(err)
}

// decode fills v from what encode made. Nothing stored leaves v as it is.
func decode(data []byte, v any) error {
	if len(data) == 0 {
		return nil
	}
	return unmarshal(data, v)
}

// Validator is implemented by payload types that check themselves. A payload whose
// Validate fails, or panics, is refused where it is sent if its type is known there, else
// handed to the workflow as a *[PayloadError].
type Validator interface {
	Validate() error
}

// Schemer is implemented by types that say the JSON Schema of their values themselves, in the place
// of the one that is made of their fields and the tags of these. Schema is called once, with the
// zero value; it is for an enumeration, for a type that encodes itself, for what tags can't say:
//
//	func (Urgency) Schema() json.RawMessage {
//		return json.RawMessage(`{"enum": ["low", "high"], "title": "How urgent is it?"}`)
//	}
//
// Forms are made of schemas, and payloads are checked by them as by a [Validator], before that: by
// types, enum, const, format, pattern, minimum and its like, lengths, items, properties and
// additionalProperties. Other keywords are for the reader.
type Schemer interface {
	Schema() json.RawMessage
}

// decodePayload decodes a payload and validates it, also by what its type declares.
func decodePayload[T any](data []byte) (T, error) {
	var v T
	if err := schema.Check(data, reflect.TypeFor[T]()); err != nil {
		return v, err
	}
	if err := unmarshal(data, &v); err != nil {
		return v, fmt.Errorf("decode into %T: %w", v, err)
	}
	return v, validate(&v)
}

// payload is run.Payload of a hook. It has no size, so that a hook costs no allocation for it.
type payload[T any] struct{}

func (payload[T]) Check(data []byte) error {
	_, err := decodePayload[T](data)
	return err
}

// unmarshal is json.Unmarshal for author's types.
func unmarshal(data []byte, v any) (err error) {
	defer run.Recovered(&err)
	return run.Sound(json.Unmarshal(data, v))
}

// validate has a value check itself, if it can.
func validate[T any](v *T) (err error) {
	c, ok := any(v).(Validator)
	if !ok {
		c, ok = any(*v).(Validator)
	}
	if !ok {
		return nil
	}
	defer run.Recovered(&err)
	return run.Sound(c.Validate())
}
