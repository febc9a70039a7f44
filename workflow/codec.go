package workflow

import (
	"encoding/json"
	"fmt"

	"github.com/tenter-dev/tenter/internal/run"
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

// decodePayload decodes and validates a payload.
func decodePayload[T any](data []byte) (T, error) {
	var v T
	if err := unmarshal(data, &v); err != nil {
		return v, fmt.Errorf("decode into %T: %w", v, err)
	}
	return v, validate(&v)
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
