package server_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tenter-dev/tenter/access"
	"github.com/tenter-dev/tenter/inspect"
	"github.com/tenter-dev/tenter/internal/apicheck"
	"github.com/tenter-dev/tenter/server"
	"github.com/tenter-dev/tenter/workflow"
)

// puppet is an inspect.Client that answers every call with an error, or with nothing.
type puppet struct {
	err   error
	watch func(ctx context.Context, f func(inspect.Change)) error
	await func(ctx context.Context) (workflow.RunResult, error)
	stop  chan struct{}
}

func (p *puppet) StartRun(context.Context, workflow.StartRequest) (string, error) { return "r", p.err }

func (p *puppet) ResumeHook(_ context.Context, req workflow.ResumeRequest) (workflow.HookInfo, error) {
	if err := req.Validate(); err != nil {
		return workflow.HookInfo{}, err
	}
	return workflow.HookInfo{}, p.err
}

func (p *puppet) Publish(_ context.Context, req workflow.PublishRequest) (workflow.Publication, error) {
	return workflow.Publication{Topic: req.Topic, Subject: req.Subject, Listeners: 1, Number: 1}, p.err
}

func (p *puppet) Topics(context.Context, inspect.TopicFilter) ([]inspect.Topic, error) {
	return nil, p.err
}

func (p *puppet) CallHook(_ context.Context, req workflow.CallRequest) (workflow.CallAnswer, error) {
	if err := req.Validate(); err != nil {
		return workflow.CallAnswer{}, err
	}
	return workflow.CallAnswer{Request: "q", RunID: "r", Output: req.Input}, p.err
}

func (p *puppet) AwaitAnswer(_ context.Context, req workflow.AnswerRequest) (workflow.CallAnswer, error) {
	if err := req.Validate(); err != nil {
		return workflow.CallAnswer{}, err
	}
	return workflow.CallAnswer{Request: "q", RunID: "r", Output: []byte("1")}, p.err
}

func (p *puppet) HookByToken(context.Context, string) (workflow.HookInfo, error) {
	return workflow.HookInfo{}, p.err
}

func (p *puppet) RunInfo(context.Context, string) (workflow.RunInfo, error) {
	return workflow.RunInfo{Status: workflow.StatusRunning}, p.err
}

func (p *puppet) AwaitRun(ctx context.Context, _ string) (workflow.RunResult, error) {
	if p.await != nil {
		return p.await(ctx)
	}
	return workflow.RunResult{Status: workflow.StatusCompleted}, p.err
}

func (p *puppet) CancelRun(context.Context, string) error            { return p.err }
func (p *puppet) TerminateRun(context.Context, string, string) error { return p.err }
func (p *puppet) WakeRun(context.Context, string) error              { return p.err }
func (p *puppet) RetryRun(context.Context, string) error             { return p.err }
func (p *puppet) ResumeRun(context.Context, string) error            { return p.err }
func (p *puppet) ResumeWorkflow(context.Context, string) error       { return p.err }

func (p *puppet) PauseRun(context.Context, string, workflow.PauseRequest) error { return p.err }

func (p *puppet) PauseWorkflow(context.Context, string, workflow.PauseRequest) error { return p.err }

func (p *puppet) Links(context.Context, inspect.LinkFilter) ([]inspect.Link, error) {
	return nil, p.err
}

func (p *puppet) Link(context.Context, string) (inspect.Link, error) { return inspect.Link{}, p.err }

func (p *puppet) RefusedRequests(context.Context, inspect.RefusedFilter) ([]inspect.RefusedRequest, error) {
	return []inspect.RefusedRequest{{ID: "q", Request: inspect.Request{Header: http.Header{"A": {"b"}}}}}, p.err
}

func (p *puppet) RefusedRequest(context.Context, string) (inspect.RefusedRequest, error) {
	return inspect.RefusedRequest{ID: "q", Request: inspect.Request{Body: []byte("b")}}, p.err
}

func (p *puppet) Redeliver(_ context.Context, d inspect.Redelivery) (workflow.HookInfo, error) {
	if d.ID != "q" || !d.Unverified {
		return workflow.HookInfo{}, fmt.Errorf("it is asked for %+v", d)
	}
	return workflow.HookInfo{}, p.err
}

func (p *puppet) RevokeLink(context.Context, string) error { return p.err }

func (p *puppet) PausedWorkflows(context.Context) ([]inspect.PausedWorkflow, error) {
	return nil, p.err
}

func (p *puppet) ForkRun(_ context.Context, req workflow.ForkRequest) (workflow.ForkPlan, error) {
	return workflow.ForkPlan{RunID: req.RunID, ForkID: "f", Position: 1, Again: []workflow.ForkedAgain{{Step: req.Step, Status: workflow.StatusCompleted}}}, p.err
}

func (p *puppet) Runs(context.Context, inspect.RunFilter) ([]workflow.RunInfo, error) {
	return nil, p.err
}

func (p *puppet) Failures(context.Context, inspect.FailureFilter) (inspect.Failures, error) {
	return inspect.Failures{}, p.err
}

func (p *puppet) CountRuns(context.Context) (inspect.Counts, error) { return inspect.Counts{}, p.err }

func (p *puppet) Journal(context.Context, string, int64, int) ([]inspect.Event, error) {
	return nil, p.err
}

func (p *puppet) Mailbox(context.Context, string) ([]inspect.Message, error) { return nil, p.err }

func (p *puppet) Unread(context.Context, string, int) ([]inspect.Message, error) { return nil, p.err }

func (p *puppet) Generations(context.Context, string) ([]inspect.Generation, error) {
	return nil, p.err
}
func (p *puppet) Executing(context.Context, string) ([]inspect.Attempt, error) { return nil, p.err }

func (p *puppet) Hooks(context.Context, inspect.HookFilter) ([]workflow.HookInfo, error) {
	return nil, p.err
}

func (p *puppet) Catalog(context.Context) (inspect.Catalog, error) { return inspect.Catalog{}, p.err }

func (p *puppet) Watch(ctx context.Context, _ string, f func(inspect.Change)) error {
	switch {
	case p.err != nil:
		return p.err
	case p.watch != nil:
		return p.watch(ctx, f)
	}
	f(inspect.Change{All: true})
	return nil
}

func (p *puppet) Stopping() <-chan struct{} { return p.stop }

const (
	readKey  = "read-key-of-the-tests"
	writeKey = "write-key-of-the-tests"
)

var someKeys = access.Policy{APIKeys: []access.APIKey{{Secret: readKey, Scope: access.Read}, {Secret: writeKey, Scope: access.Write}}}

// documented is an operation as the OpenAPI document has it.
type documented struct {
	method, path string
	body         bool
	write        bool
	codes        map[string]string // by status
}

// operations reads the OpenAPI document of an API.
func operations(t *testing.T, api http.Handler) (doc []byte, ops []documented) {
	t.Helper()
	doc = ask(api, http.MethodGet, "openapi.json", "", readKey).Body.Bytes()
	var read struct {
		Paths map[string]map[string]json.RawMessage
	}
	if err := json.Unmarshal(doc, &read); err != nil {
		t.Fatal(err)
	}
	for path, methods := range read.Paths {
		for method, data := range methods {
			if method == "parameters" {
				continue
			}
			var op struct {
				RequestBody *struct{}
				Responses   map[string]struct{ Description string }
				Security    []map[string][]string
			}
			if err := json.Unmarshal(data, &op); err != nil {
				t.Fatal(err)
			}
			d := documented{
				method: strings.ToUpper(method), path: path[1:], body: op.RequestBody != nil, codes: map[string]string{},
				write: op.Security[0]["bearer"][0] == "write",
			}
			for status, r := range op.Responses {
				_, d.codes[status], _ = strings.Cut(r.Description, ": ")
			}
			ops = append(ops, d)
		}
	}
	return doc, ops
}

// ask asks an API without a socket.
func ask(api http.Handler, method, path, body, token string, header ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, "/api/v1/"+path, strings.NewReader(body))
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	rec := httptest.NewRecorder()
	api.ServeHTTP(rec, r)
	return rec
}

// Every operation answers as it is documented, with every status that is documented, and
// with no other.
func TestTheAPIIsAsDocumented(t *testing.T) {
	t.Parallel()
	p := &puppet{}
	quiet := slog.New(slog.DiscardHandler)
	api := server.API(p, server.APIOptions{Access: someKeys, Logger: quiet})
	doc, ops := operations(t, api)
	check, err := apicheck.New(api, doc, func(wrong string) { t.Error(wrong) })
	if err != nil {
		t.Fatal(err)
	}
	want := func(rec *httptest.ResponseRecorder, op documented, status int, code string) {
		t.Helper()
		var p struct{ Code, Type string }
		_ = json.Unmarshal(rec.Body.Bytes(), &p)
		if rec.Code != status || p.Code != code || p.Type != "urn:tenter:problem:"+code {
			t.Errorf("%s %s: %d %s, want %d %s", op.method, op.path, rec.Code, rec.Body, status, code)
		}
	}
	errs := map[string]error{
		"hook_conflict": &workflow.HookConflictError{Token: "t", RunID: "r"}, "run_exists": &workflow.RunExistsError{RunID: "r"},
		"hook_type": &workflow.HookTypeError{}, "retry_refused": &workflow.RetryRefusedError{}, "fork_refused": &workflow.ForkRefusedError{}, "payload_invalid": &workflow.PayloadError{Err: errors.New("x")},
		"input_invalid":     &workflow.InputError{Err: errors.New("x")},
		"payload_too_large": workflow.ErrPayloadTooLarge, "unknown_workflow": workflow.ErrUnknownWorkflow, "hook_not_found": workflow.ErrHookNotFound,
		"link_not_found": workflow.ErrLinkNotFound, "refused_not_found": inspect.ErrRefusedNotFound, "not_verified": inspect.ErrNotVerified,
		"run_not_found": workflow.ErrRunNotFound, "run_ended": workflow.ErrRunEnded, "invalid_token": workflow.ErrInvalidToken,
		"old_worker":   workflow.ErrOldWorker,
		"invalid_name": workflow.ErrInvalidName, "engine_closed": workflow.ErrEngineClosed, "internal": errors.New("the disk is full"),
		"unanswered":      &workflow.UnansweredError{Err: workflow.ErrRunEnded},
		"outcome_unknown": fmt.Errorf("%w: the disk is full", workflow.ErrOutcomeUnknown),
	}
	for _, op := range ops {
		path := strings.NewReplacer("{run_id}", "r", "{link_id}", "l", "{request_id}", "q", "{token}", "t", "{workflow}", "w", "{topic}", "paid").Replace(op.path)
		body := ""
		switch op.path {
		case "runs":
			if op.write {
				body = `{"workflow":"w"}`
			}
		case "hooks/{token}/resume":
			body = `{"payload":1}`
		case "topics/{topic}/publish":
			body = `{"subject":"s","payload":1}`
		case "hooks/{token}/call":
			body = `{"input":1}`
		case "hooks/{token}/answer":
			path += "?idempotency_key=k"
		case "webhooks/refused/{request_id}/redeliver":
			body = `{"unverified":true}`
		case "runs/{run_id}/fork":
			body = `{"step":"a#1"}`
		case "runs/{run_id}/terminate":
			body = `{"reason":"x"}`
		case "runs/{run_id}/pause", "workflows/{workflow}/pause":
			body = `{"why":"x"}`
		case "runs/{run_id}/result":
			path += "?wait=1"
		case "links":
			path += "?run_id=r"
		}
		call := func(header ...string) *httptest.ResponseRecorder {
			return ask(check, op.method, path, body, writeKey, header...)
		}
		if rec := call(); rec.Code >= 300 {
			t.Errorf("%s %s: %d %s", op.method, path, rec.Code, rec.Body)
		}
		for status, codes := range op.codes {
			for code := range strings.SplitSeq(codes, ", ") {
				if err := errs[code]; err != nil && op.path != "openapi.json" {
					p.err = fmt.Errorf("do: %w", err)
					rec := call()
					var n int
					_, _ = fmt.Sscan(status, &n)
					want(rec, op, n, code)
					if n == http.StatusInternalServerError && strings.Contains(rec.Body.String(), "disk") {
						t.Errorf("%s %s tells what is nobody's business: %s", op.method, path, rec.Body)
					}
					p.err = nil
				}
			}
		}
		want(ask(check, op.method, path, body, ""), op, 401, "unauthorized")
		want(ask(check, op.method, path, body, "a-key-that-nobody-has"), op, 401, "unauthorized")
		if op.write {
			want(ask(check, op.method, path, body, readKey), op, 403, "forbidden")
			want(call("Sec-Fetch-Site", "cross-site"), op, 403, "forbidden")
			want(call("Origin", "https://evil.example"), op, 403, "forbidden")
		}
		if op.body {
			want(ask(check, op.method, path, "{", writeKey), op, 400, "bad_request")
			want(ask(check, op.method, path, `{"unknown":1}`, writeKey), op, 400, "bad_request")
			want(call("Content-Type", "text/plain"), op, 415, "unsupported_media_type")
			want(ask(check, op.method, path, `{"reason":"`+strings.Repeat("x", 10<<20)+`"}`, writeKey), op, 413, "payload_too_large")
		}
		sep := "?"
		if strings.Contains(path, "?") {
			sep = "&"
		}
		want(ask(check, op.method, path+sep+"unknown=1", body, writeKey), op, 400, "bad_request")
	}

	// What it takes to get the others.
	nobody := &puppet{}
	nothingAllowed := server.API(nobody, server.APIOptions{Access: access.Policy{Authorize: func(*http.Request) access.Scope { return access.None }}, Logger: quiet})
	elsewhere, err := apicheck.New(nothingAllowed, doc, func(wrong string) { t.Error(wrong) })
	if err != nil {
		t.Fatal(err)
	}
	missing := check.Missing()
	for _, op := range ops {
		path := strings.NewReplacer("{run_id}", "r", "{link_id}", "l", "{request_id}", "q", "{token}", "t").Replace(op.path)
		want(ask(elsewhere, op.method, path, "", ""), op, 403, "forbidden") // the app allows nothing
		missing = slices.DeleteFunc(missing, func(m string) bool { return m == op.method+" /"+op.path+" 403" })
	}
	// 408 takes a real connection: see TestAPIBodies; what is in no body of an answer
	// does not depend on the engine.
	missing = slices.DeleteFunc(missing, func(m string) bool {
		return strings.HasSuffix(m, " 408") || m == "GET /openapi.json 500" || m == "GET /openapi.json 503" || m == "GET /runs/{run_id}/result 204"
	})
	if len(missing) > 0 {
		t.Errorf("documented, and never seen: %q", missing)
	}
}

func TestAPIPathsAndMethods(t *testing.T) {
	t.Parallel()
	api := server.API(&puppet{}, server.APIOptions{Access: someKeys, Logger: slog.New(slog.DiscardHandler)})
	for _, tt := range []struct {
		method, path string
		status       int
		allow        string
	}{
		{"GET", "", 404, ""},
		{"GET", "run", 404, ""},
		{"GET", "runs/", 404, ""},
		{"GET", "runs/r/", 404, ""},
		{"GET", "runs/r/journal/1", 404, ""},
		{"GET", "runs//journal", 404, ""},
		{"PUT", "runs", 405, "GET, POST"},
		{"DELETE", "runs/r", 405, "GET"},
		{"HEAD", "runs", 405, "GET, POST"},
		{"GET", "runs/r/cancel", 405, "POST"},
		{"GET", "runs/~!", 400, ""},
		{"GET", "runs/%zz", 400, ""},
		{"GET", "runs?limit=x", 400, ""},
		{"GET", "runs?limit=1001", 400, ""},
		{"GET", "runs?limit=-1", 400, ""},
		{"GET", "runs?limit=1&limit=2", 400, ""},
		{"GET", "runs?since=yesterday", 400, ""},
		{"GET", "runs?status=lazy", 400, ""},
		{"GET", "runs?prefix=%ff", 400, ""},
		{"GET", "runs?%zz", 400, ""},
		{"GET", "runs/r/result?wait=61", 400, ""},
		{"GET", "runs/r/journal?after=9999999999999999999", 400, ""},
		{"GET", "hooks/a%2Fb", 200, ""},
		{"GET", "hooks/~Li4", 200, ""},
	} {
		if strings.Contains(tt.path, "%zz") && !strings.Contains(tt.path, "?") {
			continue // net/http refuses it before
		}
		rec := ask(api, tt.method, tt.path, "", writeKey)
		if rec.Code != tt.status || rec.Header().Get("Allow") != tt.allow {
			t.Errorf("%s %s: %d, allow %q: %s", tt.method, tt.path, rec.Code, rec.Header().Get("Allow"), rec.Body)
		}
	}
	rec := ask(api, "POST", "runs", `{"workflow":"w"}`, writeKey)
	if rec.Code != 201 || rec.Header().Get("Location") != "runs/r" {
		t.Errorf("start: %d, location %q", rec.Code, rec.Header().Get("Location"))
	}
	for _, h := range []string{"Cache-Control: no-store", "X-Content-Type-Options: nosniff", "Content-Type: application/json"} {
		if name, value, _ := strings.Cut(h, ": "); rec.Header().Get(name) != value {
			t.Errorf("%s is %q", name, rec.Header().Get(name))
		}
	}
}

// Without keys there is one that the API has made, and the log has it, once.
func TestAPIWithoutKeys(t *testing.T) {
	t.Parallel()
	logs := &logbook{}
	api := server.API(&puppet{}, server.APIOptions{Logger: slog.New(slog.NewTextHandler(logs, nil))})
	made := regexp.MustCompile(`api_key=([A-Z2-7]{26})\n`).FindAllStringSubmatch(logs.String(), -1)
	if len(made) != 1 {
		t.Fatalf("the log is %s", logs)
	}
	for _, tt := range []struct {
		from, host, key string
		status          int
	}{
		{"127.0.0.1:5000", "localhost:8080", "", 401},
		{"[::1]:5000", "[::1]:8080", "", 401},
		{"192.0.2.7:5000", "example.com", "", 401},
		{"127.0.0.1:5000", "localhost:8080", "a-key-that-nobody-has", 401},
		{"127.0.0.1:5000", "localhost:8080", made[0][1], 204},
		{"192.0.2.7:5000", "example.com", made[0][1], 204},
	} {
		r := httptest.NewRequest(http.MethodPost, "/api/v1/runs/r/cancel", nil)
		r.RemoteAddr, r.Host = tt.from, tt.host
		if tt.key != "" {
			r.Header.Set("Authorization", "Bearer "+tt.key)
		}
		rec := httptest.NewRecorder()
		api.ServeHTTP(rec, r)
		if rec.Code != tt.status || tt.key == "" && !strings.Contains(rec.Body.String(), "its log has it") {
			t.Errorf("%s asks %s with token %q: %d %s", tt.from, tt.host, tt.key, rec.Code, rec.Body)
		}
	}
	if n := strings.Count(logs.String(), made[0][1]); n != 1 {
		t.Errorf("the log has it %d times", n)
	}
}

// A body that comes slowly is given up.
func TestAPIBodies(t *testing.T) {
	t.Parallel()
	srv := httptest.NewServer(server.API(&puppet{}, server.APIOptions{
		Access: someKeys, Logger: slog.New(slog.DiscardHandler), ReadTimeout: 50 * time.Millisecond,
	}))
	defer srv.Close()
	conn, err := new(net.Dialer).DialContext(t.Context(), "tcp", srv.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	_, err = fmt.Fprintf(conn, "POST /api/v1/runs HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\nContent-Type: application/json\r\nContent-Length: 99\r\n\r\n{", writeKey)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	var p struct{ Code string }
	if err := json.NewDecoder(resp.Body).Decode(&p); err != nil || resp.StatusCode != http.StatusRequestTimeout || p.Code != "request_timeout" {
		t.Errorf("%s, code %s, %v", resp.Status, p.Code, err)
	}
}

// A request for a result waits as long as it asks for, or until the engine stops.
func TestLongPoll(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := &puppet{stop: make(chan struct{}), await: func(ctx context.Context) (workflow.RunResult, error) {
			<-ctx.Done()
			return workflow.RunResult{}, ctx.Err()
		}}
		api := server.API(p, server.APIOptions{Access: someKeys, Logger: slog.New(slog.DiscardHandler)})
		began := time.Now()
		for query, wait := range map[string]time.Duration{"": 0, "?wait=0": 0, "?wait=7": 7 * time.Second, "?wait=60": time.Minute} {
			rec := ask(api, "GET", "runs/r/result"+query, "", readKey)
			if took := time.Since(began); rec.Code != 204 || took != wait {
				t.Errorf("%s: %d after %v", query, rec.Code, took)
			}
			began = time.Now()
		}
		time.AfterFunc(time.Second, func() { close(p.stop) })
		rec := ask(api, "GET", "runs/r/result?wait=60", "", readKey)
		if took := time.Since(began); rec.Code != 503 || took != time.Second || rec.Header().Get("Retry-After") == "" {
			t.Errorf("when the engine stops: %d after %v", rec.Code, took)
		}
	})
}

func TestEvents(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := &puppet{stop: make(chan struct{}), watch: func(ctx context.Context, f func(inspect.Change)) error {
			f(inspect.Change{All: true})
			f(inspect.Change{Runs: []string{"a", "b\n"}})
			<-ctx.Done()
			return nil
		}}
		api := server.API(p, server.APIOptions{Access: someKeys, Logger: slog.New(slog.DiscardHandler)})
		time.AfterFunc(35*time.Second, func() { close(p.stop) })
		rec := ask(api, "GET", "events", "", readKey)
		want := "retry: 2000\n\nevent: change\ndata: {\"all\":true}\n\nevent: change\ndata: {\"runs\":[\"a\",\"b\\n\"]}\n\n: still here\n\n: still here\n\n"
		if got := rec.Body.String(); got != want || rec.Header().Get("Content-Type") != "text/event-stream" {
			t.Errorf("%s\n%s", rec.Header(), got)
		}
	})
}

// A client that does not read its response is dropped, and delays nobody.
func TestEventsThatNobodyReads(t *testing.T) {
	t.Parallel()
	left := make(chan struct{})
	var told atomic.Int64
	p := &puppet{watch: func(ctx context.Context, f func(inspect.Change)) error {
		defer close(left)
		for ctx.Err() == nil {
			f(inspect.Change{Runs: slices.Repeat([]string{"01jd0000000000000000000000"}, 1000)})
			told.Add(1)
		}
		return nil
	}}
	srv := httptest.NewServer(server.API(p, server.APIOptions{
		Access: someKeys, Logger: slog.New(slog.DiscardHandler), WriteTimeout: 100 * time.Millisecond,
	}))
	defer srv.Close()
	conn, err := new(net.Dialer).DialContext(t.Context(), "tcp", srv.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	if _, err := fmt.Fprintf(conn, "GET /api/v1/events HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\n\r\n", readKey); err != nil {
		t.Fatal(err)
	}
	select {
	case <-left:
	case <-time.After(patience):
		t.Errorf("it is still being told, after %d changes", told.Load())
	}
}

// FuzzAPI sends anything to the API: it answers, as JSON, and is never at fault.
func FuzzAPI(f *testing.F) {
	for _, seed := range [][4]string{
		{"GET", "runs", "status=waiting&limit=3&before=x", ""},
		{"POST", "runs", "", `{"workflow":"w","input":{"a":[1,null]},"run_id":"é"}`},
		{"GET", "runs/~YS9i/journal", "after=1&limit=2", ""},
		{"POST", "hooks/a%2Fb/resume", "", `{"payload":null,"or_start":{"workflow":"w"},"type":"t","idempotency_key":"k"}`},
		{"POST", "runs/r/terminate", "", `{"reason":"` + strings.Repeat("[", 99) + `"}`},
		{"GET", "events", "run_id=r", ""},
	} {
		f.Add(seed[0], seed[1], seed[2], []byte(seed[3]))
	}
	api := server.API(&puppet{}, server.APIOptions{Access: someKeys, Logger: slog.New(slog.DiscardHandler)})
	f.Fuzz(func(t *testing.T, method, path, query string, body []byte) {
		r, err := http.NewRequestWithContext(t.Context(), method, "http://x/api/v1/"+path+"?"+query, bytes.NewReader(body))
		if err != nil {
			return
		}
		r.Header.Set("Authorization", "Bearer "+writeKey)
		r.Header.Set("Content-Type", "application/json")
		rec := httptest.NewRecorder()
		api.ServeHTTP(rec, r)
		if rec.Code >= 500 {
			t.Errorf("%d %s", rec.Code, rec.Body)
		}
		if kind := rec.Header().Get("Content-Type"); strings.Contains(kind, "json") && !json.Valid(rec.Body.Bytes()) {
			t.Errorf("no JSON: %s", rec.Body)
		}
	})
}
