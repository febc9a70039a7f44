package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/tenter-dev/tenter/internal/schema"
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
func example(data json.RawMessage) string {
	s := schema.Parse(data)
	if s.Opaque && len(s.Types) == 0 {
		return "JSON"
	}
	return exampleOf(s)
}

func exampleOf(s *schema.Node) string {
	if len(s.Enum) > 0 {
		return string(s.Enum[0])
	}
	i := slices.IndexFunc(s.Types, func(t string) bool { return t != "null" })
	if i < 0 {
		return "null"
	}
	switch s.Types[i] {
	case "string":
		return `"…"`
	case "integer", "number":
		return "0"
	case "boolean":
		return "true"
	case "array":
		return "[]"
	case "object":
		var fields []string
		for _, p := range s.Properties {
			if s.Requires(p.Name) {
				key, _ := json.Marshal(p.Name) // a string never fails
				fields = append(fields, string(key)+": "+exampleOf(p.Schema))
			}
		}
		return "{" + strings.Join(fields, ", ") + "}"
	}
	return "null"
}
