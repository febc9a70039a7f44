package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/tenter-dev/tenter/internal/strictjson"
)

// payload reads JSON that is given as an argument: itself, "@FILE", or "-" for
// standard input.
func (a *app) payload(what, arg string) (json.RawMessage, error) {
	var data []byte
	var err error
	name, isFile := strings.CutPrefix(arg, "@")
	switch {
	case arg == "-":
		data, err = io.ReadAll(a.stdin)
	case isFile:
		data, err = os.ReadFile(name)
	default:
		data = []byte(arg)
	}
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", what, err)
	}
	err = strictjson.Check(data)
	if err == nil {
		return data, nil
	}
	if len(strings.TrimSpace(string(data))) == 0 {
		return nil, usage("%s: it is empty: JSON is needed, such as {} or null", what)
	}
	if json.Valid(data) {
		return nil, usage("%s: %w", what, err)
	}
	if arg == "-" || isFile {
		return nil, usage("%s: %w", what, err)
	}
	asText, _ := json.Marshal(arg) // a string never fails
	return nil, usage("%s: %w; as a text it is %s", what, err, quote(string(asText)))
}

// example is JSON that fits a schema, more or less, to be edited; JSON if there is none.
func example(schema json.RawMessage) string {
	var s schemaNode
	if len(schema) == 0 || json.Unmarshal(schema, &s) != nil {
		return "JSON"
	}
	return s.example(0)
}

// schemaNode is what of a JSON Schema examples need.
type schemaNode struct {
	Type       json.RawMessage       `json:"type"`
	Types      []string              `json:"-"`
	Enum       []json.RawMessage     `json:"enum"`
	Properties map[string]schemaNode `json:"properties"`
	Required   []string              `json:"required"`
	Items      *schemaNode           `json:"items"`
}

func (s *schemaNode) example(depth int) string {
	if len(s.Enum) > 0 {
		return string(s.Enum[0])
	}
	var kinds []string
	var kind string
	if json.Unmarshal(s.Type, &kind) != nil {
		_ = json.Unmarshal(s.Type, &kinds) // else it is any type
	} else {
		kinds = []string{kind}
	}
	for _, k := range kinds {
		switch k {
		case "string":
			return `"…"`
		case "integer", "number":
			return "0"
		case "boolean":
			return "true"
		case "array":
			return "[]"
		case "object":
			if depth > 3 {
				return "{}"
			}
			var fields []string
			for _, name := range s.Required {
				p := s.Properties[name]
				key, _ := json.Marshal(name) // a string never fails
				fields = append(fields, string(key)+": "+p.example(depth+1))
			}
			return "{" + strings.Join(fields, ", ") + "}"
		}
	}
	return "null"
}
