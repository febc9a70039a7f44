package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
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
	return s.Example()
}
