package server

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/tenter-dev/tenter/access"
	"github.com/tenter-dev/tenter/inspect"
	"github.com/tenter-dev/tenter/internal/api"
	"github.com/tenter-dev/tenter/internal/run"
)

// APIPath is where the API is served. Its description is at openapi.json below it.
const APIPath = api.Path

// APIOptions configure [API]. The zero value serves those who can read the log of
// the process.
type APIOptions struct {
	// Access says who may do what. With the zero value there is one key, which may do
	// everything; API makes it and logs it.
	Access access.Policy

	// Logger gets what goes wrong and is not the caller's fault. The default is
	// slog.Default().
	Logger *slog.Logger

	// ReadTimeout bounds the reading of a body, in place of http.Server.ReadTimeout. The
	// default is 30 s.
	ReadTimeout time.Duration

	// WriteTimeout bounds the writing of an answer, and of each event of a stream, in
	// place of http.Server.WriteTimeout. The default is 30 s.
	WriteTimeout time.Duration
}

// API serves what an engine can do, and all there is to see of runs, as JSON: the
// paths, bodies and errors are those of docs/api.md, and of the OpenAPI document that it
// serves. Package client speaks it. Mount it at [APIPath]; it does not mind a prefix
// before it.
//
// A request that changes something is refused if a browser sends it for a page of
// another origin.
func API(c inspect.Client, opts APIOptions) http.Handler {
	if c == nil {
		panic("server: the client is nil")
	}
	o := withDefaults(Options{Logger: opts.Logger, ReadTimeout: opts.ReadTimeout, WriteTimeout: opts.WriteTimeout})
	a := &apiHandler{client: c, reader: inspect.ReadOnly(c), guard: access.NewGuard(opts.Access), opts: o, maxBody: defaultBody}
	a.maxBody = max(a.maxBody, 2*int64(run.MaxPayload(c))) // an engine knows better what is too large
	if t, ok := a.guard.Generated(); ok {
		o.Logger.Info("the API has no keys configured, so it has made one, which is good until the program ends: send it as Authorization: Bearer KEY",
			"api_key", t.Secret)
	}
	return a
}

// defaultBody bounds the bodies of requests. There is more in them than a payload.
const defaultBody = 9 << 20

type apiHandler struct {
	client  inspect.Client
	reader  inspect.Client // the same, for those with the scope read
	guard   *access.Guard
	origins http.CrossOriginProtection
	opts    Options
	maxBody int64
}

// stopping returns a channel that is closed when waiting callers are to retry later, if the client
// of the API knows.
func (a *apiHandler) stopping() <-chan struct{} {
	if e, ok := a.client.(interface{ Stopping() <-chan struct{} }); ok {
		return e.Stopping()
	}
	return nil
}

// call is a request to the API on its way.
type call struct {
	*http.Request
	api    *apiHandler
	client inspect.Client // what the caller may see, and do
	w      http.ResponseWriter
	name   string // of the run or hook in the path
	query  url.Values
	body   []byte
}

func (a *apiHandler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	out := http.NewResponseController(w)
	_ = out.SetWriteDeadline(time.Time{}) // each answer has its own, once it is there
	c := &call{Request: traced(r), api: a, w: w}
	route, body, err := a.serve(c)
	if errors.Is(err, errStreamed) {
		return
	}
	_ = out.SetWriteDeadline(time.Now().Add(a.opts.WriteTimeout))
	defer func() { _ = out.SetWriteDeadline(time.Time{}) }() // the connection may serve other requests
	switch {
	case err != nil:
		a.fail(c, err)
	case body == nil:
		w.WriteHeader(http.StatusNoContent)
	default:
		data, err := json.Marshal(body)
		if err != nil {
			a.fail(c, fmt.Errorf("encode the answer: %w", err))
			return
		}
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(route.status)
		_, _ = w.Write(append(data, '\n'))
	}
}

// fail answers an error.
func (a *apiHandler) fail(c *call, err error) {
	p := apiProblem(err)
	switch p.Status {
	case http.StatusInternalServerError:
		if c.Context().Err() == nil {
			a.opts.Logger.ErrorContext(c.Context(), "API request failed", "method", c.Method, "error", err)
		}
	case http.StatusServiceUnavailable:
		c.w.Header().Set("Retry-After", retryAfter)
	}
	p.write(c.w)
}

// errStreamed says that an answer has been given.
var errStreamed = errors.New("streamed")

// serve finds the route of a request and checks all that can be before it is followed.
func (a *apiHandler) serve(c *call) (*route, any, error) {
	caller, err := a.guard.Check(c.Request)
	if err != nil {
		return nil, nil, refused(c.w, err)
	}
	c.client = a.reader
	if caller.Scope == access.Write {
		c.client = a.client
	}
	route, err := c.route()
	if err != nil {
		return nil, nil, err
	}
	if route.write && caller.Scope != access.Write {
		return nil, nil, &problem{Status: http.StatusForbidden, Code: codeForbidden, Detail: "this needs an API key with the scope write"}
	}
	if route.write {
		if c.Request, err = actedBy(c.Request, caller); err != nil {
			return nil, nil, err
		}
	}
	if err := a.origins.Check(c.Request); err != nil {
		return nil, nil, &problem{Status: http.StatusForbidden, Code: codeForbidden, Detail: err.Error()}
	}
	if err := c.readQuery(route); err != nil {
		return nil, nil, err
	}
	if route.body != nil {
		if err := c.readBody(); err != nil {
			return nil, nil, err
		}
	}
	body, err := route.serve(c)
	return route, body, err
}

// refused says why a caller is not served.
func refused(w http.ResponseWriter, err error) *problem {
	if errors.Is(err, access.ErrNoAPIKey) || errors.Is(err, access.ErrWrongAPIKey) {
		w.Header().Set("WWW-Authenticate", "Bearer")
		return &problem{Status: http.StatusUnauthorized, Code: codeUnauthorized, Detail: err.Error()}
	}
	return &problem{Status: http.StatusForbidden, Code: codeForbidden, Detail: err.Error()}
}

// route finds the route of a request.
func (c *call) route() (*route, error) {
	none := &problem{Status: http.StatusNotFound, Code: codeNoSuchPath, Detail: "there is nothing at this path: see openapi.json"}
	_, path, ok := strings.Cut(c.URL.EscapedPath(), api.Path)
	if !ok {
		return nil, none
	}
	segments := strings.Split(path, "/")
	var methods []string
	for i := range routes {
		r := &routes[i]
		name, ok := r.match(segments)
		switch {
		case !ok:
			continue
		case r.method != c.Method:
			methods = append(methods, r.method)
			continue
		}
		var err error
		if c.name, err = api.Name(name); err != nil {
			return nil, badRequest("path", err.Error())
		}
		return r, r.checkName(c.name)
	}
	if methods == nil {
		return nil, none
	}
	slices.Sort(methods)
	c.w.Header().Set("Allow", strings.Join(methods, ", "))
	return nil, &problem{Status: http.StatusMethodNotAllowed, Code: codeMethod, Detail: "the methods of this path are " + strings.Join(methods, ", ")}
}

func badRequest(what, detail string) *problem {
	return &problem{Status: http.StatusBadRequest, Code: codeBadRequest, Title: "The request does not fit", Detail: what + ": " + detail}
}

// readQuery refuses parameters that the route does not have, and what is given twice.
func (c *call) readQuery(r *route) error {
	var err error
	if c.query, err = url.ParseQuery(c.URL.RawQuery); err != nil {
		return badRequest("query", err.Error())
	}
	for name, values := range c.query {
		if !slices.ContainsFunc(r.query, func(p param) bool { return p.name == name }) {
			return badRequest("query", fmt.Sprintf("there is no parameter %q", name))
		}
		if len(values) > 1 {
			return badRequest("query", fmt.Sprintf("%q is given %d times", name, len(values)))
		}
		if values[0] == "" {
			return badRequest("query", fmt.Sprintf("%q is empty: leave it out to ask for all", name))
		}
	}
	return nil
}

// number reads a parameter that is a number; missing, it is 0.
func (c *call) number(name string) (int64, error) {
	text := c.query.Get(name)
	if text == "" {
		return 0, nil
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil || n < 0 {
		return 0, badRequest(name, fmt.Sprintf("%q is not a whole number of at least 0", text))
	}
	return n, nil
}

// time reads a parameter that is a time; missing, it is the zero time.
func (c *call) time(name string) (time.Time, error) {
	text := c.query.Get(name)
	if text == "" {
		return time.Time{}, nil
	}
	t, err := time.Parse(time.RFC3339Nano, text)
	if err != nil {
		return t, badRequest(name, fmt.Sprintf("%q is not a time such as 2026-01-31T12:00:00Z", text))
	}
	return t, nil
}

// limit reads the length of a page.
func (c *call) limit() (int, error) {
	n, err := c.number("limit")
	if err == nil && n > inspect.MaxLimit {
		err = badRequest("limit", fmt.Sprintf("%d is more than %d", n, inspect.MaxLimit))
	}
	return int(n), err
}

// readBody reads the body.
func (c *call) readBody() error {
	in := newIntake(c.w, c.Request, c.api.maxBody, c.api.opts.ReadTimeout)
	if in == nil {
		return errStreamed
	}
	var ok bool
	if c.body, ok = in.all(); !ok {
		p := in.problem()
		return &p
	}
	c.body = bytes.TrimSpace(c.body)
	if kind, _, err := mime.ParseMediaType(c.Header.Get("Content-Type")); len(c.body) > 0 && (err != nil || kind != "application/json") {
		return &problem{Status: http.StatusUnsupportedMediaType, Code: codeMediaType, Detail: "the body has to be JSON, and the Content-Type application/json"}
	}
	return nil
}

// decode reads the body as a T.
func decode[T any](c *call) (T, error) {
	v, wrong := decodeStrictly[T](c.body)
	if wrong != nil {
		wrong.Title, wrong.Code = "The request does not fit", codeBadRequest
		return v, wrong
	}
	return v, nil
}
