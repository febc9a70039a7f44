package schema

import (
	"encoding"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/tenter-dev/tenter/internal/strictjson"
)

// known is what is known of a type.
type known struct {
	text     json.RawMessage
	node     *Node
	declares bool  // it constrains its values by tags or a method
	err      error // of its tags and methods
}

var types sync.Map // reflect.Type → *known

func of(t reflect.Type) *known {
	if k, ok := types.Load(t); ok {
		return k.(*known) //nolint:forcetypeassert // nothing else is in it
	}
	m := maker{}
	s := m.schema(t)
	if s == nil {
		s = &object{}
	}
	text, err := json.Marshal(s)
	if err != nil {
		m.errs = append(m.errs, err)
		text = []byte("{}")
	}
	k := &known{text: text, node: Parse(text), declares: m.declares, err: errors.Join(m.errs...)}
	types.Store(t, k)
	return k
}

// Of returns the JSON Schema of a type as encoding/json encodes it, with what the tags of its
// fields say, see [Keywords]. What JSON Schema can't express, and what a type encodes by itself, is
// left open: anything fits. A type with a method
//
//	Schema() json.RawMessage
//
// has the schema that this returns.
func Of(t reflect.Type) json.RawMessage {
	if t == nil {
		return json.RawMessage("{}")
	}
	return of(t).text
}

// Err returns what is wrong with the tags and Schema methods of a type.
func Err(t reflect.Type) error {
	if t == nil {
		return nil
	}
	return of(t).err
}

// Check returns why JSON does not fit what a type declares of itself, by tags or a Schema method:
// an [Errors]. Of a type that declares nothing it checks nothing.
func Check(data []byte, t reflect.Type) error {
	if k := of(t); k.declares {
		return k.node.Check(data)
	}
	return nil
}

// Declares reports whether a type constrains its values by tags or a Schema method.
func Declares(t reflect.Type) bool { return of(t).declares }

// object is a JSON Schema, with its keywords in the order in which they are written.
type object struct{ keywords []keyword }

type keyword struct {
	name  string
	value any
}

func (s *object) set(name string, value any) {
	if i := slices.IndexFunc(s.keywords, func(k keyword) bool { return k.name == name }); i >= 0 {
		s.keywords[i].value = value
		return
	}
	s.keywords = append(s.keywords, keyword{name, value})
}

func (s *object) get(name string) any {
	for _, k := range s.keywords {
		if k.name == name {
			return k.value
		}
	}
	return nil
}

// kind is the type that the object has for its values; empty: any, or several.
func (s *object) kind() string {
	switch t := s.get("type").(type) {
	case string:
		return t
	case []string:
		return t[len(t)-1]
	}
	return ""
}

// nullable lets null be a value too.
func (s *object) nullable() {
	kind, ok := s.get("type").(string)
	if !ok {
		return
	}
	s.set("type", []string{"null", kind})
	if values, ok := s.get("enum").([]json.RawMessage); ok {
		s.set("enum", append(slices.Clone(values), json.RawMessage("null")))
	}
}

func (s *object) MarshalJSON() ([]byte, error) {
	b := []byte{'{'}
	for i, k := range s.keywords {
		if i > 0 {
			b = append(b, ',')
		}
		name, _ := json.Marshal(k.name) // a string never fails
		value, err := json.Marshal(k.value)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", k.name, err)
		}
		b = append(append(append(b, name...), ':'), value...)
	}
	return append(b, '}'), nil
}

// maker makes the schema of a type and of those in it.
type maker struct {
	within   []reflect.Type
	depth    int
	declares bool
	errs     []error
}

var (
	timeType      = reflect.TypeFor[time.Time]()
	schemer       = reflect.TypeFor[interface{ Schema() json.RawMessage }]()
	marshaler     = reflect.TypeFor[json.Marshaler]()
	textMarshaler = reflect.TypeFor[encoding.TextMarshaler]()
)

// schema returns the schema of a type; nil: the type has no JSON.
func (m *maker) schema(t reflect.Type) *object {
	m.depth++
	defer func() { m.depth-- }()
	s := &object{}
	if t.Kind() == reflect.Pointer && !t.Implements(schemer) {
		if s = m.schema(t.Elem()); s != nil {
			s.nullable()
		}
		return s
	}
	switch {
	case slices.Contains(m.within, t): // it contains itself
		return s
	case implements(t, schemer):
		return m.own(t)
	case t == timeType:
		s.set("type", "string")
		s.set("format", "date-time")
		return s
	case implements(t, marshaler):
		return s
	case implements(t, textMarshaler):
		s.set("type", "string")
		return s
	}
	if t.Name() != "" {
		m.within = append(m.within, t)
		defer func() { m.within = m.within[:len(m.within)-1] }()
	}
	switch t.Kind() {
	case reflect.Bool:
		s.set("type", "boolean")
	case reflect.Int, reflect.Int64:
		s.set("type", "integer")
	case reflect.Int8, reflect.Int16, reflect.Int32:
		s.set("type", "integer")
		s.set("minimum", int64(-1)<<(t.Bits()-1))
		s.set("maximum", int64(1)<<(t.Bits()-1)-1)
	case reflect.Uint, reflect.Uint64, reflect.Uintptr:
		s.set("type", "integer")
		s.set("minimum", 0)
	case reflect.Uint8, reflect.Uint16, reflect.Uint32:
		s.set("type", "integer")
		s.set("minimum", 0)
		s.set("maximum", int64(1)<<t.Bits()-1)
	case reflect.Float32, reflect.Float64:
		s.set("type", "number")
	case reflect.String:
		s.set("type", "string")
	case reflect.Interface:
	case reflect.Slice, reflect.Array:
		return m.list(t)
	case reflect.Map:
		return m.dictionary(t)
	case reflect.Struct:
		return m.structure(t)
	default:
		return nil
	}
	return s
}

func (m *maker) list(t reflect.Type) *object {
	s := &object{}
	if t.Kind() == reflect.Slice && t.Elem().Kind() == reflect.Uint8 && !implements(t.Elem(), marshaler) && !implements(t.Elem(), textMarshaler) {
		s.set("type", []string{"null", "string"})
		s.set("contentEncoding", "base64")
		return s
	}
	items := m.schema(t.Elem())
	if items == nil {
		return nil
	}
	s.set("type", "array")
	if t.Kind() == reflect.Slice {
		s.set("type", []string{"null", "array"})
	}
	s.set("items", items)
	if t.Kind() == reflect.Array {
		s.set("minItems", t.Len())
		s.set("maxItems", t.Len())
	}
	return s
}

func (m *maker) dictionary(t reflect.Type) *object {
	switch k := t.Key(); {
	case k.Kind() == reflect.String, implements(k, textMarshaler):
	case reflect.Int <= k.Kind() && k.Kind() <= reflect.Uintptr:
	default:
		return nil
	}
	values := m.schema(t.Elem())
	if values == nil {
		return nil
	}
	s := &object{}
	s.set("type", []string{"null", "object"})
	s.set("additionalProperties", values)
	return s
}

func (m *maker) structure(t reflect.Type) *object {
	properties, required := &object{}, []string{}
	for _, f := range strictjson.Fields(t) {
		p := m.schema(f.Struct.Type)
		if p == nil {
			continue
		}
		if kind := p.kind(); f.Quoted && (kind == "boolean" || kind == "integer" || kind == "number" || kind == "string") {
			p = &object{keywords: []keyword{{"type", "string"}}}
		}
		if err := m.tagged(p, f.Struct); err != nil {
			m.errs = append(m.errs, fmt.Errorf("%s.%s: %w", t, f.Struct.Name, err))
		}
		properties.set(f.Name, p)
		if !f.Omit {
			required = append(required, f.Name)
		}
	}
	s := &object{}
	s.set("type", "object")
	if len(properties.keywords) > 0 {
		s.set("properties", properties)
	}
	if len(required) > 0 {
		s.set("required", required)
	}
	s.set("additionalProperties", false)
	return s
}

// own returns the schema that a type has from its own method.
func (m *maker) own(t reflect.Type) *object {
	text, err := call(t)
	if err == nil {
		err = sound(text, m.depth > 1)
	}
	s := &object{}
	if err == nil {
		m.declares = true
		var names []string
		var values []json.RawMessage
		names, values, err = Members(text)
		for i, name := range names {
			var value any = values[i]
			switch name {
			case "type":
				var one string
				var several []string
				if json.Unmarshal(values[i], &one) == nil {
					value = one
				} else if json.Unmarshal(values[i], &several) == nil && len(several) > 0 {
					value = several
				}
			case "enum":
				var all []json.RawMessage
				_ = json.Unmarshal(values[i], &all) // it is sound
				value = all
			}
			s.set(name, value)
		}
	}
	if err != nil {
		m.errs = append(m.errs, fmt.Errorf("%s.Schema: %w", t, err))
	}
	return s
}

// call calls the Schema method of the zero value of a type, or of a pointer to it.
func call(t reflect.Type) (text json.RawMessage, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("it panics on the zero value: %v", p)
		}
	}()
	v := reflect.New(t)
	if t.Kind() == reflect.Pointer {
		v = reflect.New(t.Elem())
	} else if t.Implements(schemer) {
		v = v.Elem()
	}
	own, ok := v.Interface().(interface{ Schema() json.RawMessage })
	if !ok {
		return nil, errors.New("it can't be called")
	}
	return own.Schema(), nil
}

// sound returns what is wrong with a schema that was written by hand, if anything is. One that
// becomes part of another can't refer to its own parts.
func sound(text json.RawMessage, part bool) error {
	if err := strictjson.Check(text); err != nil {
		return err
	}
	var keywords rawSchema
	if err := json.Unmarshal(text, &keywords); err != nil {
		if wrong, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
			return fmt.Errorf("%s can't be %s", strings.TrimPrefix(wrong.Field, "."), wrong.Value)
		}
		return fmt.Errorf("it is not a JSON Schema: %w", err)
	}
	if part && strings.Contains(string(text), `"$ref"`) {
		return errors.New(`"$ref" is possible only in the schema of the whole value`)
	}
	return Parse(text).invalid("")
}

// implements reports whether a value of type t, or a pointer to it, has the methods of an interface.
func implements(t, i reflect.Type) bool {
	return t.Kind() != reflect.Interface && (t.Implements(i) || reflect.PointerTo(t).Implements(i))
}
