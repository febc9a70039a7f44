package workflow

import (
	"encoding/json"
	"fmt"
)

// encode turns a value into what is stored of it: JSON.
func encode(v any) (json.RawMessage, error) {
	return json.Marshal(v)
}

// decode fills v from what encode made. Nothing stored leaves v as it is.
func decode(data []byte, v any) error {
	if len(data) == 0 {
		return nil
	}
	return json.Unmarshal(data, v)
}

// Validator is implemented by payload types that check themselves. A payload whose
// Validate fails is refused where it is sent if its type is known there, else
// handed to the workflow as a *[PayloadError].
type Validator interface {
	Validate() error
}

// decodePayload decodes and validates a payload.
func decodePayload[T any](data []byte) (T, error) {
	var v T
	if err := json.Unmarshal(data, &v); err != nil {
		return v, fmt.Errorf("decode into %T: %w", v, err)
	}
	return v, validate(&v)
}

func validate[T any](v *T) error {
	if c, ok := any(v).(Validator); ok {
		return c.Validate()
	}
	if c, ok := any(*v).(Validator); ok {
		return c.Validate()
	}
	return nil
}
