// Package strictjson decodes JSON that comes from outside. Where encoding/json guesses,
// it refuses: text that is not Unicode, which would become U+FFFD and make one name of
// two; names that an object has twice, of which the last would win; and fields that a
// type does not have, or spells with other capitals. In the terms of RFC 7493 it takes
// I-JSON.
package strictjson

import (
	"bytes"
	"encoding"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"sync"
	"unicode"
	"unicode/utf8"
)

// Error says what is wrong with a text, and where.
type Error struct {
	Path   string // of the value, such as items[2].price; empty: all of it
	Detail string
	Offset int // in bytes
}

func (e *Error) Error() string {
	if e.Path == "" {
		return fmt.Sprintf("%s (at byte %d)", e.Detail, e.Offset)
	}
	return fmt.Sprintf("%s: %s (at byte %d)", e.Path, e.Detail, e.Offset)
}

// Field returns Path.
func (e *Error) Field() string { return e.Path }

// Check refuses what is not one JSON value, is not Unicode, or has a name twice.
func Check(data []byte) error { return check(data, nil) }

// CheckType is Check, and refuses fields that a type does not have. Types that encode
// or decode themselves are left to do so.
func CheckType(data []byte, t reflect.Type) error { return check(data, t) }

// Unmarshal is json.Unmarshal for what [CheckType] lets pass.
func Unmarshal(data []byte, v any) error {
	if err := check(data, reflect.TypeOf(v)); err != nil {
		return err
	}
	return json.Unmarshal(data, v)
}

func check(data []byte, t reflect.Type) error {
	if !json.Valid(data) {
		return syntaxError(data)
	}
	s := scanners.Get().(*scanner) //nolint:forcetypeassert // nothing else is in it
	s.data, s.at, s.path, s.names = data, 0, s.path[:0], s.names[:0]
	err := s.value(t)
	clear(s.path[:cap(s.path)])
	clear(s.names[:cap(s.names)])
	s.data = nil
	scanners.Put(s)
	return err
}

// syntaxError says what is wrong with what is not JSON.
func syntaxError(data []byte) error {
	if len(bytes.TrimSpace(data)) == 0 {
		return &Error{Detail: "it is empty"}
	}
	var v json.RawMessage
	err := json.Unmarshal(data, &v)
	if syntax, ok := errors.AsType[*json.SyntaxError](err); ok {
		return &Error{Detail: "it is not JSON: " + syntax.Error(), Offset: int(syntax.Offset)}
	}
	return &Error{Detail: "it is not JSON"}
}

// scanners are kept, so that a check allocates nothing.
var scanners = sync.Pool{New: func() any { return new(scanner) }}

// scanner walks through valid JSON.
type scanner struct {
	data  []byte
	at    int
	path  []step
	names [][]byte // of the objects around, innermost last; with their quotes
}

// step leads from a value to one in it.
type step struct {
	name  []byte // of a member, with its quotes; nil: it is an element
	index int
}

// where is the path of the value that the scanner is in.
func (s *scanner) where() string {
	var b strings.Builder
	for i, in := range s.path {
		switch {
		case in.name == nil:
			b.WriteString("[" + strconv.Itoa(in.index) + "]")
			continue
		case i > 0:
			b.WriteByte('.')
		}
		b.WriteString(printable(in.name))
	}
	return b.String()
}

// printable is a name as people can read it.
func printable(name []byte) string {
	if text, err := unquote(name); err == nil {
		return text
	}
	return strings.ToValidUTF8(string(name[1:len(name)-1]), `\ufffd`)
}

func (s *scanner) fail(at int, format string, args ...any) error {
	return &Error{Path: s.where(), Detail: fmt.Sprintf(format, args...), Offset: at}
}

func (s *scanner) space() {
	for s.at < len(s.data) {
		switch s.data[s.at] {
		case ' ', '\t', '\r', '\n':
			s.at++
		default:
			return
		}
	}
}

// value passes a value that t, if it is not nil, is to hold.
func (s *scanner) value(t reflect.Type) error {
	s.space()
	switch s.data[s.at] {
	case '{':
		return s.object(t)
	case '[':
		return s.array(t)
	case '"':
		_, err := s.text()
		return err
	}
	for ; s.at < len(s.data); s.at++ { // a number, or a word
		switch s.data[s.at] {
		case ',', ']', '}', ' ', '\t', '\r', '\n':
			return nil
		}
	}
	return nil
}

func (s *scanner) array(t reflect.Type) error {
	of := shapeOf(t).elements
	depth := len(s.path)
	for i := 0; ; i++ {
		s.at++ // past the bracket or the comma
		if s.space(); s.data[s.at] == ']' {
			s.at++
			return nil
		}
		s.path = append(s.path, step{index: i})
		if err := s.value(of); err != nil {
			return err
		}
		s.path = s.path[:depth]
		if s.space(); s.data[s.at] == ']' {
			s.at++
			return nil
		}
	}
}

func (s *scanner) object(t reflect.Type) error {
	in := shapeOf(t)
	depth, first := len(s.path), len(s.names)
	var seen map[string]bool // once there are many
	for {
		s.at++ // past the brace or the comma
		if s.space(); s.data[s.at] == '}' {
			s.at++
			return nil
		}
		begin := s.at
		name, err := s.text()
		if err != nil {
			return err
		}
		s.path = append(s.path, step{name: name})
		if s.repeated(name, first, &seen) {
			return s.fail(begin, "the name occurs twice")
		}
		of := in.values
		if in.fields != nil {
			var known bool
			if of, known = in.field(name); !known {
				return s.fail(begin, "%s", in.unknown(printable(name)))
			}
		}
		s.space()
		s.at++ // past the colon
		if err := s.value(of); err != nil {
			return err
		}
		s.path = s.path[:depth]
		if s.space(); s.data[s.at] == '}' {
			s.at++
			s.names = s.names[:first]
			return nil
		}
	}
}

// many is from how many names on an object looks them up in a map.
const many = 32

// repeated adds a name to those of the object that begin at first, if it is new.
func (s *scanner) repeated(name []byte, first int, seen *map[string]bool) bool {
	if bytes.IndexByte(name, '\\') >= 0 { // it may be written in other ways
		if text, err := unquote(name); err == nil {
			name = append(append([]byte{'"'}, text...), '"')
		}
	}
	mine := s.names[first:]
	if *seen == nil && len(mine) < many {
		for _, n := range mine {
			if bytes.Equal(n, name) {
				return true
			}
		}
		s.names = append(s.names, name)
		return false
	}
	if *seen == nil {
		*seen = make(map[string]bool, 2*many)
		for _, n := range mine {
			(*seen)[string(n)] = true
		}
	}
	if (*seen)[string(name)] {
		return true
	}
	(*seen)[string(name)] = true
	return false
}

// text passes a string and returns it, with its quotes.
func (s *scanner) text() ([]byte, error) {
	begin := s.at
	for s.at++; s.data[s.at] != '"'; {
		c := s.data[s.at]
		switch {
		case c == '\\' && s.data[s.at+1] == 'u':
			n, ok := escaped(s.data[s.at:])
			if !ok {
				return nil, s.fail(s.at, `\%s is half of a surrogate pair, and no character`, s.data[s.at+1:s.at+6])
			}
			s.at += n
		case c == '\\':
			s.at += 2
		case c < utf8.RuneSelf:
			s.at++
		default:
			r, n := utf8.DecodeRune(s.data[s.at:])
			if r == utf8.RuneError && n == 1 {
				return nil, s.fail(s.at, `\x%02x is not UTF-8`, c)
			}
			s.at += n
		}
	}
	s.at++
	return s.data[begin:s.at], nil
}

// escaped returns the length of the character that data begins with, as \uXXXX or a pair
// of these.
func escaped(data []byte) (n int, ok bool) {
	switch half := hex(data); {
	case half < 0xD800 || half > 0xDFFF:
		return 6, true
	case half > 0xDBFF || len(data) < 12 || data[6] != '\\' || data[7] != 'u':
		return 0, false
	}
	low := hex(data[6:])
	return 12, low >= 0xDC00 && low <= 0xDFFF
}

func hex(data []byte) uint64 {
	n, _ := strconv.ParseUint(string(data[2:6]), 16, 32) // it is valid
	return n
}

func unquote(name []byte) (text string, err error) {
	err = json.Unmarshal(name, &text)
	return text, err
}

// shape is what a type takes in.
type shape struct {
	elements reflect.Type            // of an array
	values   reflect.Type            // of an object with any names
	fields   map[string]reflect.Type // of an object that has these alone, unless it is nil
}

// anything is the shape of types that take in what they like: it is up to them, or to
// json.Unmarshal to say that it does not fit.
var anything = new(shape)

var shapes sync.Map // reflect.Type → *shape

func shapeOf(t reflect.Type) *shape {
	if t == nil {
		return anything
	}
	if known, ok := shapes.Load(t); ok {
		return known.(*shape) //nolint:forcetypeassert // nothing else is in it
	}
	s := newShape(t)
	shapes.Store(t, s)
	return s
}

func newShape(t reflect.Type) *shape {
	for _, own := range itself {
		if t.Implements(own) || reflect.PointerTo(t).Implements(own) {
			return anything
		}
	}
	switch t.Kind() {
	case reflect.Pointer:
		return newShape(t.Elem())
	case reflect.Slice, reflect.Array:
		return &shape{elements: t.Elem()}
	case reflect.Map:
		return &shape{values: t.Elem()}
	case reflect.Struct:
		return &shape{fields: fieldsOf(t)}
	}
	return anything
}

// itself are what types implement that encode or decode themselves.
var itself = []reflect.Type{
	reflect.TypeFor[json.Unmarshaler](), reflect.TypeFor[json.Marshaler](),
	reflect.TypeFor[encoding.TextUnmarshaler](), reflect.TypeFor[encoding.TextMarshaler](),
}

// A Field is a field of a struct, as encoding/json sees it.
type Field struct {
	Name   string // in JSON
	Struct reflect.StructField
	Omit   bool // it is left out if it is empty or zero
	Quoted bool // its JSON is in a string

	index  []int
	tagged bool
	twice  bool
}

// fieldsOf returns the names that a struct has in JSON, and what they hold.
func fieldsOf(t reflect.Type) map[string]reflect.Type {
	fields := map[string]reflect.Type{}
	for _, f := range Fields(t) {
		fields[f.Name] = f.Struct.Type
	}
	return fields
}

// Fields returns the fields that a struct has in JSON, in the order in which they are declared, by
// the rules of encoding/json: of fields with one name the outermost counts, then the one that has
// the name from its tag; if these are several, none does.
func Fields(t reflect.Type) []Field {
	type inner struct {
		t     reflect.Type
		index []int
	}
	all := map[string]Field{}
	visited := map[reflect.Type]bool{}
	for level := []inner{{t: t}}; len(level) > 0; {
		found := map[string]Field{}
		var embedded []inner
		for _, in := range level {
			for i := range in.t.NumField() {
				f := in.t.Field(i)
				name, within, ok := nameOf(f)
				if !ok {
					continue
				}
				index := append(slices.Clone(in.index), i)
				if within != nil {
					embedded = append(embedded, inner{within, index})
					continue
				}
				c := Field{Name: name, Struct: f, index: index, tagged: name != ""}
				if !c.tagged {
					c.Name = f.Name
				}
				_, options, _ := strings.Cut(f.Tag.Get("json"), ",")
				for option := range strings.SplitSeq(options, ",") {
					c.Omit = c.Omit || option == "omitempty" || option == "omitzero"
					c.Quoted = c.Quoted || option == "string"
				}
				if other, ok := found[c.Name]; ok && (other.tagged || !c.tagged) {
					other.twice = other.twice || other.tagged == c.tagged
					c = other
				}
				found[c.Name] = c
			}
		}
		for name, c := range found {
			if _, hidden := all[name]; !hidden {
				all[name] = c
			}
		}
		for _, in := range level {
			visited[in.t] = true
		}
		level = slices.DeleteFunc(embedded, func(in inner) bool { return visited[in.t] })
	}
	fields := make([]Field, 0, len(all))
	for _, c := range all {
		if !c.twice {
			fields = append(fields, c)
		}
	}
	slices.SortFunc(fields, func(a, b Field) int { return slices.Compare(a.index, b.index) })
	return fields
}

// nameOf returns the name that a field has from its tag, if any, or the struct whose
// fields count in its place; not ok: it is not in the JSON.
func nameOf(f reflect.StructField) (name string, inner reflect.Type, ok bool) {
	tag := f.Tag.Get("json")
	name, _, _ = strings.Cut(tag, ",")
	if !validTag(name) {
		name = ""
	}
	inner = f.Type
	if inner.Kind() == reflect.Pointer && inner.Name() == "" {
		inner = inner.Elem()
	}
	embedded := f.Anonymous && inner.Kind() == reflect.Struct
	if tag == "-" || !f.IsExported() && !embedded {
		return "", nil, false
	}
	if !embedded || name != "" {
		inner = nil
	}
	return name, inner, true
}

// validTag reports whether encoding/json takes a name from a tag.
func validTag(name string) bool {
	return name != "" && !strings.ContainsFunc(name, func(r rune) bool {
		return !strings.ContainsRune("!#$%&()*+-./:;<=>?@[]^_{|}~ ", r) && !unicode.IsLetter(r) && !unicode.IsDigit(r)
	})
}

// field looks up a name, with its quotes.
func (s *shape) field(name []byte) (t reflect.Type, known bool) {
	if t, known = s.fields[string(name[1:len(name)-1])]; known {
		return t, true
	}
	text, err := unquote(name)
	t, known = s.fields[text]
	return t, err == nil && known
}

// unknown says that there is no such field, and which one is meant.
func (s *shape) unknown(name string) string {
	for known := range s.fields {
		if strings.EqualFold(known, name) {
			return fmt.Sprintf("there is no field %q: it is written %q", name, known)
		}
	}
	return fmt.Sprintf("there is no field %q", name)
}
