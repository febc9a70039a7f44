package dashboard

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// schema is what a form can say of a JSON Schema. For what it can't, it is opaque: JSON
// is written by hand there.
type schema struct {
	Types       []string
	Title       string
	Description string
	Format      string
	Pattern     string
	Default     json.RawMessage
	Enum        []json.RawMessage
	Properties  []property // in the order in which they are written
	Required    []string
	Items       *schema
	Minimum     json.Number
	Maximum     json.Number
	MinLength   int
	MaxLength   int
	MinItems    int
	opaque      bool
}

type property struct {
	Name   string
	Schema *schema
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

// maxDepth is how deep a form goes. Schemas may refer to themselves.
const maxDepth = 6

// parseSchema reads a JSON Schema. It never fails: what it does not understand is opaque.
func parseSchema(data json.RawMessage) *schema {
	var root rawSchema
	if err := json.Unmarshal(data, &root); err != nil {
		return &schema{opaque: true}
	}
	return root.read(&root, 0)
}

func (raw *rawSchema) read(root *rawSchema, depth int) *schema {
	s := &schema{
		Title: raw.Title, Description: raw.Description, Format: raw.Format, Pattern: raw.Pattern, Default: raw.Default, Enum: raw.Enum,
		Required: raw.Required, Minimum: raw.Minimum, Maximum: raw.Maximum, MinLength: raw.MinLength, MaxLength: raw.MaxLength, MinItems: raw.MinItems,
	}
	if raw.Ref != "" {
		to, ok := root.resolve(raw.Ref)
		if !ok || depth >= maxDepth {
			s.opaque = true
			return s
		}
		s = to.read(root, depth+1)
		if raw.Description != "" {
			s.Description = raw.Description
		}
		return s
	}
	s.opaque = depth >= maxDepth || raw.AnyOf != nil || raw.OneOf != nil || raw.AllOf != nil || raw.Not != nil || raw.If != nil
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
		names, values, err := members(raw.Properties)
		s.opaque = s.opaque || err != nil
		for i, name := range names {
			s.Properties = append(s.Properties, property{name, readChild(values[i], root, depth)})
		}
	}
	if s.Kind() == "object" && len(s.Properties) == 0 && !closed(raw.Additional) {
		s.opaque = true // a map
	}
	return s
}

// closed tells whether an object has no members but its properties.
func closed(additional json.RawMessage) bool {
	text := strings.Join(strings.Fields(string(additional)), "")
	return text == "false" || text == `{"not":{}}`
}

func readChild(data json.RawMessage, root *rawSchema, depth int) *schema {
	var raw rawSchema
	if err := json.Unmarshal(data, &raw); err != nil { // also true and false
		return &schema{opaque: true}
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

// Kind is the type that a form has a control for: the only one, but for null.
func (s *schema) Kind() string {
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

// nullable tells whether null is a value.
func (s *schema) nullable() bool {
	return slices.Contains(s.Types, "null") || slices.ContainsFunc(s.Enum, func(v json.RawMessage) bool { return string(v) == "null" })
}

func (s *schema) requires(name string) bool { return slices.Contains(s.Required, name) }

// members returns the names and values of an object, in order.
func members(data []byte) (names []string, values []json.RawMessage, err error) {
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
