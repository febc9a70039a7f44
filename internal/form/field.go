package form

import (
	"bytes"
	"encoding/json"
	"iter"
	"strconv"
	"strings"

	"github.com/tenter-dev/tenter/internal/schema"
)

// Field is a control, or several with a label around them.
type Field struct {
	Kind     Kind
	Name, ID string
	Path     string // of its value in the payload, such as items[0].price
	Label    string
	Help     string
	Input    string // type of the input
	Required bool   // the browser asks for it
	Optional bool   // it can be left out
	Focus    bool   // a browser begins with it
	Value    string
	Choices  []ChoiceValue
	File     *File    // that was chosen before
	Fields   []*Field // of a group, a list or a map
	Count    int      // of a list or a map
	Fixed    bool     // its number can't change
	Full     bool     // there can't be more
	Error    string
	Schema   *schema.Node

	// Of an item of a map:
	Member      string // the control of its name; empty: its item is not of a map
	MemberName  string // that name
	MemberError string

	of   string          // the label of the map
	json json.RawMessage // what it amounts to; nil: nothing
}

// Kind says what controls a field has.
type Kind string

// Kinds of fields.
const (
	Text   Kind = "text"   // an input, whose type is in Input
	Area   Kind = "area"   // several lines
	Number Kind = "number" // an input
	Choice Kind = "choice" // one of several
	Group  Kind = "group"  // the fields of an object
	List   Kind = "list"   // items, to add and remove
	Map    Kind = "map"    // items with names, to add and remove
	Upload Kind = "file"   // a file to choose
	JSON   Kind = "json"   // a text that is JSON
)

// A ChoiceValue is a possibility of a choice.
type ChoiceValue struct {
	Value, Label, ID string
	On               bool
}

// Summary is what the field is called apart from the others around it.
func (c *Field) Summary() string {
	if c.of == "" {
		return c.Label
	}
	return strings.TrimSpace(c.of + " " + c.MemberName)
}

// Invalid tells whether something is wrong with the field, for aria-invalid.
func (c *Field) Invalid() bool { return c.Error != "" }

// MaxLength is how long a text may be; 0: any.
func (c *Field) MaxLength() int { return c.Schema.MaxLength }

// Whole tells whether a number is one without decimals.
func (c *Field) Whole() bool { return c.Schema.Kind() == "integer" }

// Few tells whether a choice has so few possibilities that all are shown.
func (c *Field) Few() bool { return len(c.Choices) <= 5 }

// all are the field and those in it, in the order of the page.
func (c *Field) all() iter.Seq[*Field] {
	return func(yield func(*Field) bool) { c.walk(yield) }
}

func (c *Field) walk(yield func(*Field) bool) bool {
	if !yield(c) {
		return false
	}
	for _, child := range c.Fields {
		if !child.walk(yield) {
			return false
		}
	}
	return true
}

// leaves are the fields that have controls of their own.
func (c *Field) leaves() iter.Seq[*Field] {
	return func(yield func(*Field) bool) {
		for in := range c.all() {
			if in.Kind != Group && in.Kind != List && in.Kind != Map && !yield(in) {
				return
			}
		}
	}
}

// longText is from which length on a text gets several lines.
const longText = 200

// kindOf says what controls a schema gets.
func kindOf(s *schema.Node) Kind {
	if s.Opaque {
		return JSON
	}
	if len(s.Enum) > 0 {
		return Choice
	}
	if s.File() {
		return Upload
	}
	switch s.Kind() {
	case "string":
		if inputOf(s) == "text" && s.Pattern == "" && (s.MaxLength >= longText || strings.HasPrefix(s.ContentMediaType, "text/")) {
			return Area
		}
		return Text
	case "integer", "number":
		return Number
	case "boolean":
		return Choice
	case "object":
		switch {
		case s.Values == nil:
			return Group
		case len(s.Properties) == 0 && kindOf(s.Values) != JSON:
			return Map
		case len(s.Properties) > 0 && s.Values.Opaque:
			return Group // what else could be in it can't be asked for
		}
	case "array":
		if s.Items != nil && !s.Items.Opaque {
			return List
		}
	}
	return JSON
}

// inputOf is the type of input for a text.
func inputOf(s *schema.Node) string {
	switch s.Format {
	case "date", "email":
		return s.Format
	case "uri", "url":
		return "url"
	case "date-time", "date-time-local":
		return "datetime-local"
	case "time-local":
		return "time"
	}
	return "text"
}

// words writes a name of a program for people: dueDate and due_date become Due date.
func words(name string) string {
	var b strings.Builder
	lower := false
	for _, r := range name {
		switch upper := 'A' <= r && r <= 'Z'; {
		case r == '_' || r == '-' || r == ' ':
			b.WriteByte(' ')
			lower = false
			continue
		case upper && lower:
			b.WriteByte(' ')
			b.WriteRune(r + 'a' - 'A')
		case b.Len() == 0 && 'a' <= r && r <= 'z':
			b.WriteRune(r - 'a' + 'A')
		default:
			b.WriteRune(r)
		}
		lower = 'a' <= r && r <= 'z' || '0' <= r && r <= '9'
	}
	return b.String()
}

// encode encodes a string as JSON.
func encode(s string) json.RawMessage {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	_ = enc.Encode(s) // a string never fails
	return bytes.TrimSpace(b.Bytes())
}

func compact(data json.RawMessage) string {
	var b bytes.Buffer
	if err := json.Compact(&b, data); err != nil {
		return string(data)
	}
	return b.String()
}

func indent(data json.RawMessage) string {
	var b bytes.Buffer
	if err := json.Indent(&b, data, "", "  "); err != nil {
		return string(data)
	}
	return b.String()
}

// Escaped are JSON pointers, and the marks of lengths and names.
var (
	escaper   = strings.NewReplacer("~", "~0", "/", "~1", "#", "~2", "@", "~3")
	unescaper = strings.NewReplacer("~0", "~", "~1", "/", "~2", "#", "~3", "@")
)

func escape(name string) string { return escaper.Replace(name) }

// labelOf is what people read of a value that they can choose.
func labelOf(v json.RawMessage) string {
	var text string
	switch {
	case json.Unmarshal(v, &text) == nil && text != "":
		return text
	case string(v) == "true":
		return "Yes"
	case string(v) == "false":
		return "No"
	case string(v) == "null":
		return "None"
	case string(v) == `""`:
		return "(empty)"
	}
	return schema.Cut(compact(v), 80)
}

func pathIndex(path string, i int) string { return path + "[" + strconv.Itoa(i) + "]" }
