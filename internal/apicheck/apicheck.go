// Package apicheck checks the behavior of the HTTP API against the OpenAPI document that it serves.
// Tests put it between a server and its callers.
//
// It knows the document alone, and neither server nor client.
package apicheck

import (
	"bytes"
	"encoding/json"
	"fmt"
	"mime"
	"net/http"
	"slices"
	"strings"
	"sync"

	"github.com/google/jsonschema-go/jsonschema"
)

// Checker is a handler that lets requests through and reports what is not as documented.
type Checker struct {
	next   http.Handler
	report func(string)
	doc    document

	mu   sync.Mutex
	seen map[string]bool // "POST /runs 201"
}

type document struct {
	Paths      map[string]map[string]json.RawMessage `json:"paths"` // by path and method; or its parameters
	Components struct {
		Schemas map[string]*jsonschema.Schema `json:"schemas"`
	} `json:"components"`
}

type operation struct {
	Responses map[string]content `json:"responses"`
}

type content struct {
	Content bodies `json:"content"`
}

// bodies are what a body may be, by its media type.
type bodies map[string]struct {
	Schema *jsonschema.Schema `json:"schema"`
}

// New returns a checker around the handler of the API.
func New(next http.Handler, doc []byte, report func(string)) (*Checker, error) {
	c := &Checker{next: next, report: report, seen: map[string]bool{}}
	if err := json.Unmarshal(doc, &c.doc); err != nil {
		return nil, fmt.Errorf("read the OpenAPI document: %w", err)
	}
	return c, nil
}

// exchange records an answer.
type exchange struct {
	http.ResponseWriter
	status int
	body   bytes.Buffer
}

func (e *exchange) WriteHeader(status int) {
	e.status = status
	e.ResponseWriter.WriteHeader(status)
}

func (e *exchange) Write(p []byte) (int, error) {
	if e.status == 0 {
		e.status = http.StatusOK
	}
	if !strings.HasPrefix(e.Header().Get("Content-Type"), "text/event-stream") {
		e.body.Write(p)
	}
	return e.ResponseWriter.Write(p)
}

// Unwrap is for http.ResponseController.
func (e *exchange) Unwrap() http.ResponseWriter { return e.ResponseWriter }

// ServeHTTP implements [http.Handler].
func (c *Checker) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	e := &exchange{ResponseWriter: w}
	c.next.ServeHTTP(e, r)
	if err := c.check(r, e); err != nil {
		c.report(fmt.Sprintf("%s %s: %d %s: %v", r.Method, r.URL.EscapedPath(), e.status, e.body.String(), err))
	}
}

func (c *Checker) check(r *http.Request, e *exchange) error {
	_, path, _ := strings.Cut(r.URL.EscapedPath(), "/api/v1")
	template, methods := c.find(path)
	op, known := methods[strings.ToLower(r.Method)]
	if !known {
		if e.status != http.StatusNotFound && e.status != http.StatusMethodNotAllowed && e.status != http.StatusUnauthorized && e.status != http.StatusForbidden {
			return fmt.Errorf("there is no such operation")
		}
		return c.fits(e, nil, true)
	}
	var o operation
	if err := json.Unmarshal(op, &o); err != nil {
		return err
	}
	answer, known := o.Responses[fmt.Sprint(e.status)]
	if !known {
		return fmt.Errorf("this status is not documented for %s", template)
	}
	c.mu.Lock()
	c.seen[fmt.Sprintf("%s %s %d", r.Method, template, e.status)] = true
	c.mu.Unlock()
	return c.fits(e, answer.Content, false)
}

// find finds the operations at a path.
func (c *Checker) find(path string) (template string, methods map[string]json.RawMessage) {
	segments := strings.Split(path, "/")
	for template, methods := range c.doc.Paths {
		pattern := strings.Split(template, "/")
		fits := len(pattern) == len(segments)
		for i := 0; fits && i < len(pattern); i++ {
			fits = strings.HasPrefix(pattern[i], "{") && segments[i] != "" || pattern[i] == segments[i]
		}
		if fits {
			return template, methods
		}
	}
	return "", nil
}

// fits checks the body of an answer. That of a problem may be undocumented.
func (c *Checker) fits(e *exchange, documented bodies, undocumented bool) error {
	if e.status == http.StatusNoContent {
		if e.body.Len() > 0 {
			return fmt.Errorf("a 204 has a body")
		}
		return nil
	}
	kind, _, err := mime.ParseMediaType(e.Header().Get("Content-Type"))
	if err != nil {
		return err
	}
	if kind == "text/event-stream" {
		return nil
	}
	as, known := documented[kind]
	schema := as.Schema
	switch {
	case undocumented && kind == "application/problem+json":
		schema = &jsonschema.Schema{Ref: "#/components/schemas/Problem"}
	case !known:
		return fmt.Errorf("a body of %s is not documented", kind)
	}
	if name, ok := strings.CutPrefix(schema.Ref, "#/components/schemas/"); ok {
		if schema = c.doc.Components.Schemas[name]; schema == nil {
			return fmt.Errorf("there is no schema %s", name)
		}
	}
	resolved, err := schema.CloneSchemas().Resolve(nil)
	if err != nil {
		return fmt.Errorf("resolve the schema: %w", err)
	}
	var body any
	if err := json.Unmarshal(e.body.Bytes(), &body); err != nil {
		return err
	}
	if err := resolved.Validate(body); err != nil {
		return fmt.Errorf("the body does not fit its schema: %w", err)
	}
	return nil
}

// Missing returns the answers that are documented and have not been seen, such as
// "POST /runs 201".
func (c *Checker) Missing() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	var missing []string
	for path, methods := range c.doc.Paths {
		for method, op := range methods {
			var o operation
			if json.Unmarshal(op, &o) != nil {
				continue // parameters of the path
			}
			for status := range o.Responses {
				if s := strings.ToUpper(method) + " " + path + " " + status; !c.seen[s] {
					missing = append(missing, s)
				}
			}
		}
	}
	slices.Sort(missing)
	return missing
}
