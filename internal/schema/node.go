package schema

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// A Node is what a form or an example can say of a JSON Schema. For what they can't, it is
// opaque: JSON is written by hand there.
type Node struct {
	Types       []string
	Title       string
	Description string
	Format      string
	Pattern     string
	Default     json.RawMessage
	Enum        []json.RawMessage
	Properties  []Property // in the order in which they are written
	Required    []string
	Items       *Node
	Minimum     json.Number
	Maximum     json.Number
	MinLength   int
	MaxLength   int
	MinItems    int
	Opaque      bool
}

// A Property is a member of an object.
type Property struct {
	Name   string
	Schema *Node
}

// rawSchema has the keywords as they are written.
type rawSchema struct {
	Ref         string                     `json:"$ref"`
	Defs        map[string]json.RawMessage `json:"$defs"`
	Definitions map[string]json.RawMessage `json:"definitions"`
	Type        json.RawMessage            `json:"type"`
	Title       string                     `json:"title"`
	Description string                     `json:"description"`
	Format      string                     `json:"format"`
	Pattern     string                     `json:"pattern"`
	Default     json.RawMessage            `json:"default"`
	Const       json.RawMessage            `json:"const"`
	Enum        []json.RawMessage          `json:"enum"`
	Properties  json.RawMessage            `json:"properties"`
	Required    []string                   `json:"required"`
	Additional  json.RawMessage            `json:"additionalProperties"`
	Items       json.RawMessage            `json:"items"`
	Minimum     json.Number                `json:"minimum"`
	Maximum     json.Number                `json:"maximum"`
	MinLength   int                        `json:"minLength"`
	MaxLength   int                        `json:"maxLength"`
	MinItems    int                        `json:"minItems"`

	AnyOf json.RawMessage `json:"anyOf"`
	OneOf json.RawMessage `json:"oneOf"`
	AllOf json.RawMessage `json:"allOf"`
	Not   json.RawMessage `json:"not"`
	If    json.RawMessage `json:"if"`
}

// maxDepth is how deep nodes go. Schemas may refer to themselves.
const maxDepth = 6

// Parse reads a JSON Schema. It never fails: what it does not understand is opaque.
func Parse(data json.RawMessage) *Node {
	var root rawSchema
	if err := json.Unmarshal(data, &root); err != nil {
		return &Node{Opaque: true}
	}
	return root.read(&root, 0)
}

func (raw *rawSchema) read(root *rawSchema, depth int) *Node {
	s := &Node{
		Title: raw.Title, Description: raw.Description, Format: raw.Format, Pattern: raw.Pattern, Default: raw.Default, Enum: raw.Enum,
		Required: raw.Required, Minimum: raw.Minimum, Maximum: raw.Maximum, MinLength: raw.MinLength, MaxLength: raw.MaxLength, MinItems: raw.MinItems,
	}
	if raw.Ref != "" {
		to, ok := root.resolve(raw.Ref)
		if !ok || depth >= maxDepth {
			s.Opaque = true
			return s
		}
		s = to.read(root, depth+1)
		if raw.Description != "" {
			s.Description = raw.Description
		}
		return s
	}
	s.Opaque = depth >= maxDepth || raw.AnyOf != nil || raw.OneOf != nil || raw.AllOf != nil || raw.Not != nil || raw.If != nil
	if raw.Const != nil {
		s.Enum = []json.RawMessage{raw.Const}
	}
	var one string
	if json.Unmarshal(raw.Type, &one) == nil {
		s.Types = []string{one}
	} else if json.Unmarshal(raw.Type, &s.Types) != nil {
		s.Types = nil
	}
	if raw.Items != nil {
		s.Items = readChild(raw.Items, root, depth)
	}
	if raw.Properties != nil {
		names, values, err := Members(raw.Properties)
		s.Opaque = s.Opaque || err != nil
		for i, name := range names {
			s.Properties = append(s.Properties, Property{name, readChild(values[i], root, depth)})
		}
	}
	if s.Kind() == "object" && len(s.Properties) == 0 && !closed(raw.Additional) {
		s.Opaque = true // a map
	}
	return s
}

// closed tells whether an object has no members but its properties.
func closed(additional json.RawMessage) bool {
	text := strings.Join(strings.Fields(string(additional)), "")
	return text == "false" || text == `{"not":{}}`
}

func readChild(data json.RawMessage, root *rawSchema, depth int) *Node {
	var raw rawSchema
	if err := json.Unmarshal(data, &raw); err != nil { // also true and false
		return &Node{Opaque: true}
	}
	return raw.read(root, depth+1)
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

// Kind is the only type that a value may have, besides null; or nothing if there are several.
func (s *Node) Kind() string {
	kind := ""
	for _, t := range s.Types {
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

// Nullable tells whether null is a value.
func (s *Node) Nullable() bool {
	return slices.Contains(s.Types, "null") || slices.ContainsFunc(s.Enum, func(v json.RawMessage) bool { return string(v) == "null" })
}

// Requires reports whether an object has to have a member.
func (s *Node) Requires(name string) bool { return slices.Contains(s.Required, name) }

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
