package server

import (
	"encoding/json"
	"fmt"
	"net/http"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/tenter-dev/tenter/inspect"
	"github.com/tenter-dev/tenter/internal/api"
	"github.com/tenter-dev/tenter/internal/schema"
)

// object is one of JSON.
type object = map[string]any

// description is the OpenAPI document of the API.
var description = sync.OnceValue(func() []byte {
	data, err := json.MarshalIndent(newDescription(), "", "  ")
	if err != nil {
		panic("server: describe the API: " + err.Error()) // it is the same in every process, and tested
	}
	return data
})

// common are the problems that every operation has.
var common = map[int]string{
	http.StatusBadRequest: codeBadRequest, http.StatusUnauthorized: codeUnauthorized, http.StatusForbidden: codeForbidden,
	http.StatusInternalServerError: codeInternal, http.StatusServiceUnavailable: "engine_closed",
}

// withBody are those that operations have besides, if they take a body.
var withBody = map[int]string{
	http.StatusRequestTimeout: codeTimeout, http.StatusRequestEntityTooLarge: "payload_too_large", http.StatusUnsupportedMediaType: codeMediaType,
}

func newDescription() object {
	d := &describer{schemas: object{}}
	problem := d.schema(reflect.TypeFor[api.Problem]())
	paths := object{}
	for i := range routes {
		r := &routes[i]
		p, ok := paths["/"+r.path].(object)
		if !ok {
			p = object{}
			paths["/"+r.path] = p
			if _, name, ok := strings.Cut(r.path, "{"); ok {
				name, _, _ = strings.Cut(name, "}")
				p["parameters"] = []any{object{
					"name": name, "in": "path", "required": true, "schema": object{"type": "string"},
					"description": "Percent-encoded; or ~ and its base64url form without padding, which any can have, and has to have if it begins with ~, is . or .., or has // in it.",
				}}
			}
		}
		p[strings.ToLower(r.method)] = d.operation(r, problem)
	}
	// For events, which are not responses.
	d.schema(reflect.TypeFor[inspect.Change]())
	return object{
		"openapi": "3.1.0",
		"info": object{
			"title": "Tenter", "version": "1",
			"description": "Runs of workflows, and the hooks that they wait on. Errors are application/problem+json; code says what is wrong, and error is the error in the form that journals have.",
			"license":     object{"name": "Apache 2.0", "identifier": "Apache-2.0"},
		},
		"servers": []any{object{"url": "."}},
		"paths":   paths,
		"components": object{
			"schemas": d.schemas,
			"securitySchemes": object{"bearer": object{
				"type": "http", "scheme": "bearer", "description": "An API key with the scope read or write. Without any configured, the server makes one when it starts, and its log has it.",
			}},
		},
	}
}

// describer collects the schemas that operations refer to.
type describer struct{ schemas object }

// schema refers to the schema of a type.
func (d *describer) schema(t reflect.Type) object {
	if t.Name() == "" {
		return object{"type": "object"}
	}
	if d.schemas[t.Name()] == nil {
		var s object
		if err := json.Unmarshal(schema.Of(t), &s); err != nil {
			panic("server: schema of " + t.String() + ": " + err.Error())
		}
		constrain(s)
		d.schemas[t.Name()] = s
	}
	return object{"$ref": "#/components/schemas/" + t.Name()}
}

// constrain says of a schema what types do not.
func constrain(s object) {
	props, _ := s["properties"].(object)
	for name, v := range props {
		p, ok := v.(object)
		if !ok {
			continue
		}
		if name == "status" && p["type"] == "string" {
			_ = json.Unmarshal([]byte(aStatus), &p)
		}
		if name == "reason_code" {
			p["description"] = aReasonCode
		}
		constrain(p)
	}
	if items, ok := s["items"].(object); ok {
		constrain(items)
	}
}

func (d *describer) operation(r *route, problem object) object {
	answers := object{}
	switch {
	case r.id == "watch":
		answers["200"] = object{
			"description": "events", "content": object{"text/event-stream": object{"schema": object{"type": "string"}}},
		}
	case r.answer != nil:
		answers[strconv.Itoa(r.status)] = object{
			"description": http.StatusText(r.status), "content": object{"application/json": object{"schema": d.schema(r.answer)}},
		}
	}
	if r.empty != "" {
		answers["204"] = object{"description": r.empty}
	}
	codes := map[int][]string{}
	add := func(status int, code string) {
		if !slices.Contains(codes[status], code) {
			codes[status] = append(codes[status], code)
		}
	}
	for status, code := range common {
		add(status, code)
	}
	if r.body != nil {
		for status, code := range withBody {
			add(status, code)
		}
	}
	for _, code := range append(r.nameFault(), r.faults...) {
		i := slices.IndexFunc(faults, func(f fault) bool { return f.code == code })
		if i < 0 {
			panic(fmt.Sprintf("server: operation %s has a problem %q that there is not", r.id, code))
		}
		add(faults[i].status, code)
	}
	for status, of := range codes {
		slices.Sort(of)
		answers[strconv.Itoa(status)] = object{
			"description": http.StatusText(status) + ": " + strings.Join(of, ", "),
			"content":     object{"application/problem+json": object{"schema": problem}},
		}
	}
	op := object{"operationId": r.id, "summary": r.summary, "responses": answers, "security": []any{object{"bearer": []string{scopeOf(r)}}}}
	if r.more != "" {
		op["description"] = r.more
	}
	var params []any
	for _, p := range r.query {
		params = append(params, object{"name": p.name, "in": "query", "description": p.about, "schema": json.RawMessage(p.schema)})
	}
	if r.write {
		params = append(params, object{
			"name": api.ActorHeader, "in": "header", "schema": json.RawMessage(aText),
			"description": `who sends it, for the journal: JSON such as {"name":"ada","via":"app"}, in ASCII. It needs an API key that may name others; without it, it is whom the server knows the caller as`,
		})
	}
	if params != nil {
		op["parameters"] = params
	}
	if r.body != nil {
		op["requestBody"] = object{"required": r.body != reflect.TypeFor[api.Terminate](), "content": object{"application/json": object{"schema": d.schema(r.body)}}}
	}
	return op
}

func scopeOf(r *route) string {
	if r.write {
		return "write"
	}
	return "read"
}
