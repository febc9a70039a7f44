package schema

import (
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// Keywords are the tags that a field of a struct may have: each is the keyword of JSON Schema with
// the same name, save for jsonschema, which is the description. Those for single values apply to
// the elements of a slice and to the values of a map. The values of enum are separated by commas.
var Keywords = []string{
	"title", "jsonschema", "default", "enum", "format", "pattern", "minLength", "maxLength", "contentMediaType",
	"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf", "minItems", "maxItems", "uniqueItems",
}

// tagged puts what the tags of a field say into its schema.
func (m *maker) tagged(s *object, f reflect.StructField) error {
	for _, name := range Keywords {
		text, ok := f.Tag.Lookup(name)
		if !ok {
			continue
		}
		constrains, err := s.tag(name, text)
		if err != nil {
			return fmt.Errorf("tag %s:%q: %w", name, text, err)
		}
		m.declares = m.declares || constrains
	}
	whole, _ := json.Marshal(s) // what is in it has been JSON before
	n := Parse(whole)
	if err := n.invalid(""); err != nil {
		return err
	}
	if len(n.Default) > 0 {
		if err := n.Check(n.Default); err != nil {
			return fmt.Errorf("tag default:%q: %w", f.Tag.Get("default"), err)
		}
	}
	return nil
}

// tag puts what one tag says into a schema, and reports whether that constrains values.
func (s *object) tag(name, text string) (constrains bool, err error) {
	switch name {
	case "title":
		s.set(name, text)
		return false, nil
	case "jsonschema":
		s.set("description", text)
		return false, nil
	case "default":
		value, err := s.literal(text)
		if err == nil {
			s.set(name, value)
		}
		return false, err
	case "minItems", "maxItems", "uniqueItems":
		if s.kind() != "array" {
			return false, errors.New("it is for slices")
		}
		value, err := count(text)
		if name == "uniqueItems" {
			value, err = strconv.ParseBool(text)
		}
		s.set(name, value)
		return true, err
	}
	s = s.single()
	value, err := s.constraint(name, text)
	if err != nil {
		return false, err
	}
	s.set(name, value)
	return name != "contentMediaType", nil
}

// single is the schema of single values: of the elements of a list, of the values of a map.
func (s *object) single() *object {
	for {
		in, ok := s.get("items").(*object)
		if !ok {
			in, ok = s.get("additionalProperties").(*object)
		}
		if !ok {
			return s
		}
		s = in
	}
}

// constraint reads a tag for single values.
func (s *object) constraint(name, text string) (value any, err error) {
	kind := s.kind()
	number := kind == "integer" || kind == "number"
	switch name {
	case "enum":
		var values []json.RawMessage
		for one := range strings.SplitSeq(text, ",") {
			v, err := s.literal(strings.TrimSpace(one))
			if err != nil {
				return nil, err
			}
			values = append(values, v)
		}
		if s.nulls() {
			values = append(values, json.RawMessage("null"))
		}
		return values, nil
	case "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf":
		if !number {
			return nil, fmt.Errorf("it is for numbers, and this is %s", article(kind))
		}
		if !numbers.MatchString(text) {
			return nil, errors.New("it is not a number")
		}
		return json.Number(text), nil
	}
	if kind != "string" && (name != "contentMediaType" || s.get("format") == nil) {
		return nil, fmt.Errorf("it is for texts, and this is %s", article(kind))
	}
	switch name {
	case "minLength", "maxLength":
		return count(text)
	case "format":
		if formats[text] == nil {
			return nil, fmt.Errorf("there is no such format: there are %s", strings.Join(formatNames(), ", "))
		}
	case "pattern":
		if _, err := regexp.Compile(text); err != nil {
			return nil, fmt.Errorf("it is not a regular expression: %w", err)
		}
	}
	return text, nil
}

func (s *object) nulls() bool {
	several, _ := s.get("type").([]string)
	return slices.Contains(several, "null")
}

// literal is a value as a tag has it: a string without quotes, or else JSON.
func (s *object) literal(text string) (json.RawMessage, error) {
	if s.kind() == "string" {
		return json.Marshal(text)
	}
	if !json.Valid([]byte(text)) {
		return nil, fmt.Errorf("%q is not JSON", text)
	}
	return json.RawMessage(text), nil
}

func count(text string) (any, error) {
	n, err := strconv.Atoi(text)
	if err != nil || n < 0 {
		return 0, errors.New("it is not a number of them")
	}
	return n, nil
}

func article(kind string) string {
	switch kind {
	case "":
		return "of a type that encodes itself: give it a method Schema() json.RawMessage"
	case "integer", "array", "object":
		return "an " + kind
	}
	return "a " + kind
}
