// Package schema makes JSON Schemas of Go types, for those who send and read JSON without
// them, and reads schemas for forms and examples. It knows neither workflows nor HTTP.
package schema

import (
	"encoding"
	"encoding/json"
	"reflect"
	"slices"
	"sync"
	"time"

	"github.com/google/jsonschema-go/jsonschema"
)

var schemas sync.Map // by reflect.Type

// Of returns the JSON Schema of a type as encoding/json encodes it. What JSON Schema
// can't express, and what a type encodes by itself, is left open: anything fits.
func Of(t reflect.Type) json.RawMessage {
	if t == nil {
		return anything
	}
	if s, ok := schemas.Load(t); ok {
		return s.(json.RawMessage) //nolint:forcetypeassert // nothing else is in it
	}
	s := of(t)
	schemas.Store(t, s)
	return s
}

var anything = json.RawMessage("{}")

func of(t reflect.Type) json.RawMessage {
	own := map[reflect.Type]*jsonschema.Schema{}
	findOwn(t, own, nil)
	s, err := jsonschema.ForType(t, &jsonschema.ForOptions{IgnoreInvalidTypes: true, TypeSchemas: own})
	if err != nil || s == nil {
		return anything
	}
	data, err := json.Marshal(s)
	if err != nil || string(data) == "true" {
		return anything
	}
	return data
}

// findOwn finds the types in t that have an encoding of their own, and those that
// contain themselves. It is within other types.
func findOwn(t reflect.Type, own map[reflect.Type]*jsonschema.Schema, within []reflect.Type) {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	switch {
	case own[t] != nil:
		return
	case t == reflect.TypeFor[time.Time]():
		own[t] = &jsonschema.Schema{Type: "string", Format: "date-time"}
		return
	case implements[json.Marshaler](t):
		own[t] = &jsonschema.Schema{}
		return
	case implements[encoding.TextMarshaler](t):
		own[t] = &jsonschema.Schema{Type: "string"}
		return
	case t.Kind() == reflect.Slice && t.Elem().Kind() == reflect.Uint8:
		own[t] = &jsonschema.Schema{Types: []string{"null", "string"}, ContentEncoding: "base64"}
		return
	case t.Name() != "" && slices.Contains(within, t):
		own[t] = &jsonschema.Schema{}
		return
	}
	within = append(within, t)
	switch t.Kind() {
	case reflect.Slice, reflect.Array, reflect.Map:
		findOwn(t.Elem(), own, within)
	case reflect.Struct:
		for f := range t.Fields() {
			if f.IsExported() || f.Anonymous {
				findOwn(f.Type, own, within)
			}
		}
	}
}

// implements reports whether a value of type t, or a pointer to it, is an I.
func implements[I any](t reflect.Type) bool {
	i := reflect.TypeFor[I]()
	return t.Kind() != reflect.Interface && (t.Implements(i) || reflect.PointerTo(t).Implements(i))
}
