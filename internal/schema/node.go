package schema

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// A Node is what a form, an example or a check can say of a JSON Schema. For what they can't, it
// is opaque: JSON is written by hand there, and anything fits.
type Node struct {
	Types            []string
	Title            string
	Description      string
	Format           string
	Pattern          string
	ContentEncoding  string
	ContentMediaType string
	Default          json.RawMessage
	Enum             []json.RawMessage
	Labels           []string   // of the values of Enum, in their order; empty: the value itself
	Properties       []Property // in the order in which they are written
	Required         []string
	Values           *Node // of the members of an object that are not properties; nil: there are none
	Items            *Node // nil: anything
	Minimum          json.Number
	Maximum          json.Number
	Above            json.Number // exclusiveMinimum
	Below            json.Number // exclusiveMaximum
	MultipleOf       json.Number
	MinLength        int
	MaxLength        int // 0: any
	MinItems         int
	MaxItems         int // 0: any
	Unique           bool
	Opaque           bool

	pattern *regexp.Regexp
	wrong   error
}

// A Property is a member of an object.
type Property struct {
	Name   string
	Schema *Node
}

// rawSchema has the keywords as they are written.
type rawSchema struct {
	Ref          string                     `json:"$ref"`
	Defs         map[string]json.RawMessage `json:"$defs"`
	Definitions  map[string]json.RawMessage `json:"definitions"`
	Type         json.RawMessage            `json:"type"`
	Title        string                     `json:"title"`
	Description  string                     `json:"description"`
	Format       string                     `json:"format"`
	Pattern      string                     `json:"pattern"`
	Encoding     string                     `json:"contentEncoding"`
	MediaType    string                     `json:"contentMediaType"`
	Default      json.RawMessage            `json:"default"`
	Const        json.RawMessage            `json:"const"`
	Enum         []json.RawMessage          `json:"enum"`
	Properties   json.RawMessage            `json:"properties"`
	Required     []string                   `json:"required"`
	Additional   json.RawMessage            `json:"additionalProperties"`
	Items        json.RawMessage            `json:"items"`
	Minimum      json.Number                `json:"minimum"`
	Maximum      json.Number                `json:"maximum"`
	ExclusiveMin json.RawMessage            `json:"exclusiveMinimum"`
	ExclusiveMax json.RawMessage            `json:"exclusiveMaximum"`
	MultipleOf   json.Number                `json:"multipleOf"`
	MinLength    int                        `json:"minLength"`
	MaxLength    int                        `json:"maxLength"`
	MinItems     int                        `json:"minItems"`
	MaxItems     int                        `json:"maxItems"`
	Unique       bool                       `json:"uniqueItems"`

	AnyOf json.RawMessage `json:"anyOf"`
	OneOf json.RawMessage `json:"oneOf"`
	AllOf json.RawMessage `json:"allOf"`
	Not   json.RawMessage `json:"not"`
	If    json.RawMessage `json:"if"`
}

const (
	maxRefs  = 6    // from a node to the root: schemas may refer to themselves
	maxDepth = 50   // of nodes
	maxNodes = 2000 // of a schema
)

// reader makes the nodes of a schema.
type reader struct {
	root  *rawSchema
	nodes int
}

// Parse reads a JSON Schema. It never fails: what it does not understand is opaque.
func Parse(data json.RawMessage) *Node {
	var root rawSchema
	if err := json.Unmarshal(data, &root); err != nil {
		return &Node{Opaque: true}
	}
	r := &reader{root: &root}
	return r.read(&root, 0, 0)
}

func (r *reader) read(raw *rawSchema, depth, refs int) *Node {
	if r.nodes++; r.nodes > maxNodes || depth > maxDepth {
		return &Node{Opaque: true}
	}
	if raw.Ref != "" {
		return r.follow(raw, depth, refs)
	}
	if n := r.alternatives(raw, depth, refs); n != nil {
		return n
	}
	n := &Node{
		Title: raw.Title, Description: raw.Description, Format: raw.Format, Pattern: raw.Pattern, Default: raw.Default, Enum: raw.Enum,
		ContentEncoding: raw.Encoding, ContentMediaType: raw.MediaType, Required: raw.Required,
		Minimum: raw.Minimum, Maximum: raw.Maximum, Above: number(raw.ExclusiveMin), Below: number(raw.ExclusiveMax), MultipleOf: raw.MultipleOf,
		MinLength: raw.MinLength, MaxLength: raw.MaxLength, MinItems: raw.MinItems, MaxItems: raw.MaxItems, Unique: raw.Unique,
	}
	n.Opaque = raw.AnyOf != nil || raw.OneOf != nil || raw.AllOf != nil || raw.Not != nil || raw.If != nil
	if raw.Pattern != "" {
		// The regular expressions of JSON Schema are those of JavaScript; a few of them Go has not.
		n.pattern, n.wrong = regexp.Compile(raw.Pattern)
	}
	if raw.Const != nil {
		n.Enum = []json.RawMessage{raw.Const}
	}
	var one string
	if json.Unmarshal(raw.Type, &one) == nil {
		n.Types = []string{one}
	} else if json.Unmarshal(raw.Type, &n.Types) != nil {
		n.Types = nil
	}
	if raw.Items != nil {
		n.Items = r.child(raw.Items, depth, refs)
	}
	if raw.Properties != nil {
		names, values, err := Members(raw.Properties)
		n.Opaque = n.Opaque || err != nil
		for i, name := range names {
			n.Properties = append(n.Properties, Property{name, r.child(values[i], depth, refs)})
		}
	}
	if n.Kind() == "object" && !closed(raw.Additional) {
		if raw.Additional == nil {
			n.Values = &Node{Opaque: true}
		} else {
			n.Values = r.child(raw.Additional, depth, refs)
		}
	}
	return n
}

// follow reads the schema that another refers to.
func (r *reader) follow(raw *rawSchema, depth, refs int) *Node {
	to, ok := r.root.resolve(raw.Ref)
	if !ok || refs >= maxRefs {
		return &Node{Title: raw.Title, Description: raw.Description, Opaque: true}
	}
	n := r.read(to, depth+1, refs+1)
	if raw.Title != "" {
		n.Title = raw.Title
	}
	if raw.Description != "" {
		n.Description = raw.Description
	}
	if raw.Default != nil {
		n.Default = raw.Default
	}
	return n
}

// alternatives reads a schema whose alternatives are values with titles, or one schema and null;
// nil: it is not one.
func (r *reader) alternatives(raw *rawSchema, depth, refs int) *Node {
	text := raw.OneOf
	if text == nil {
		text = raw.AnyOf
	}
	var all []rawSchema
	if text == nil || raw.OneOf != nil && raw.AnyOf != nil || raw.AllOf != nil || raw.Not != nil || raw.If != nil || json.Unmarshal(text, &all) != nil || len(all) == 0 {
		return nil
	}
	var n *Node
	switch nulls := slices.IndexFunc(all, func(s rawSchema) bool { return string(s.Type) == `"null"` }); {
	case !slices.ContainsFunc(all, func(s rawSchema) bool { return s.Const == nil }):
		own := *raw
		own.OneOf, own.AnyOf = nil, nil
		n = r.read(&own, depth+1, refs)
		for _, s := range all {
			n.Enum, n.Labels = append(n.Enum, s.Const), append(n.Labels, s.Title)
		}
		return n
	case len(all) == 2 && nulls >= 0 && raw.Type == nil && raw.Properties == nil:
		n = r.read(&all[1-nulls], depth+1, refs)
		if len(n.Types) > 0 && !n.Nullable() {
			n.Types = append([]string{"null"}, n.Types...)
		}
		if len(n.Enum) > 0 && !slices.ContainsFunc(n.Enum, isNull) {
			n.Enum = append(slices.Clone(n.Enum), json.RawMessage("null"))
		}
	default:
		return nil
	}
	if raw.Title != "" {
		n.Title = raw.Title
	}
	if raw.Description != "" {
		n.Description = raw.Description
	}
	if raw.Default != nil {
		n.Default = raw.Default
	}
	return n
}

// number is a limit, unless it is the boolean of early drafts.
func number(text json.RawMessage) json.Number {
	if numbers.Match(text) {
		return json.Number(text)
	}
	return ""
}

// closed tells whether an object has no members but its properties.
func closed(additional json.RawMessage) bool {
	text := strings.Join(strings.Fields(string(additional)), "")
	return text == "false" || text == `{"not":{}}`
}

func (r *reader) child(data json.RawMessage, depth, refs int) *Node {
	var raw rawSchema
	if err := json.Unmarshal(data, &raw); err != nil { // also true and false
		return &Node{Opaque: true}
	}
	return r.read(&raw, depth+1, refs)
}

func (raw *rawSchema) resolve(ref string) (*rawSchema, bool) {
	if ref == "#" {
		return raw, true
	}
	var data json.RawMessage
	if name, ok := strings.CutPrefix(ref, "#/$defs/"); ok {
		data = raw.Defs[name]
	} else if name, ok := strings.CutPrefix(ref, "#/definitions/"); ok {
		data = raw.Definitions[name]
	}
	var to rawSchema
	if len(data) == 0 || json.Unmarshal(data, &to) != nil {
		return nil, false
	}
	return &to, true
}

// invalid returns what nobody can mean in a schema, which is at a path of another.
func (n *Node) invalid(path string) error {
	at := func(format string, args ...any) error {
		text := fmt.Sprintf(format, args...)
		if path != "" {
			text = path + ": " + text
		}
		return errors.New(text)
	}
	for _, t := range n.Types {
		if !slices.Contains([]string{"null", "boolean", "integer", "number", "string", "array", "object"}, t) {
			return at("there is no type %q", t)
		}
	}
	switch {
	case n.wrong != nil:
		return at("pattern: %v", n.wrong)
	case n.MaxLength > 0 && n.MaxLength < n.MinLength:
		return at("maxLength %d is less than minLength %d", n.MaxLength, n.MinLength)
	case n.MaxItems > 0 && n.MaxItems < n.MinItems:
		return at("maxItems %d is less than minItems %d", n.MaxItems, n.MinItems)
	case n.Minimum != "" && n.Maximum != "" && rational(string(n.Minimum)).Cmp(rational(string(n.Maximum))) > 0:
		return at("minimum %s is more than maximum %s", n.Minimum, n.Maximum)
	case n.MultipleOf != "" && rational(string(n.MultipleOf)).Sign() <= 0:
		return at("multipleOf %s is not more than 0", n.MultipleOf)
	}
	for _, p := range n.Properties {
		if err := p.Schema.invalid(Within(path, p.Name)); err != nil {
			return err
		}
	}
	for _, in := range []*Node{n.Items, n.Values} {
		if in != nil {
			if err := in.invalid(path); err != nil {
				return err
			}
		}
	}
	return nil
}

// Kind is the only type that a value may have, besides null; or nothing if there are several.
func (n *Node) Kind() string {
	kind := ""
	for _, t := range n.Types {
		switch {
		case t == "null":
		case kind != "":
			return ""
		default:
			kind = t
		}
	}
	return kind
}

// File tells whether a value is a file: the bytes of one, or an object like workflow.File.
func (n *Node) File() bool {
	return n.ContentEncoding == "base64" && n.Kind() == "string" || n.Format == "file" && n.Kind() == "object"
}

// Nullable tells whether null is a value.
func (n *Node) Nullable() bool {
	return slices.Contains(n.Types, "null") || slices.ContainsFunc(n.Enum, isNull)
}

func isNull(v json.RawMessage) bool { return string(v) == "null" }

// Requires reports whether an object has to have a member.
func (n *Node) Requires(name string) bool { return slices.Contains(n.Required, name) }

// Members returns the names and values of an object, in order.
func Members(data []byte) (names []string, values []json.RawMessage, err error) {
	dec := json.NewDecoder(bytes.NewReader(data))
	if t, err := dec.Token(); err != nil || t != json.Delim('{') {
		return nil, nil, errors.New("it is not an object")
	}
	for dec.More() {
		t, err := dec.Token()
		if err != nil {
			return nil, nil, fmt.Errorf("name: %w", err)
		}
		var v json.RawMessage
		if err := dec.Decode(&v); err != nil {
			return nil, nil, fmt.Errorf("member %v: %w", t, err)
		}
		names, values = append(names, fmt.Sprint(t)), append(values, v)
	}
	return names, values, nil
}
