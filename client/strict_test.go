package client_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"testing"

	"github.com/tenter-dev/tenter/inspect"
	"github.com/tenter-dev/tenter/server"
	"github.com/tenter-dev/tenter/workflow"
)

// What can't be a name is refused wherever it comes from, and nothing is written.
func TestBadNames(t *testing.T) {
	t.Parallel()
	both(t, func(w *world, c inspect.Client) {
		ctx := w.Context()
		r, err := collect.Start(ctx, c, "t")
		w.ok(err)
		w.untilWaiting(r.ID())
		for _, name := range []string{"", "\xff", "a\x00b", strings.Repeat("x", 2000)} {
			_, err := add.Start(ctx, c, nil, workflow.RunID(name))
			w.is(err, workflow.ErrInvalidName)
			_, err = workflow.Resume(ctx, c, "new", 1, workflow.OrStart(add, nil, workflow.RunID(name)))
			w.is(err, workflow.ErrInvalidName)
			_, err = workflow.Declare[string, string](name).Start(ctx, c, "")
			w.is(err, workflow.ErrInvalidName)
			_, err = workflow.Resume(ctx, c, name, 1)
			w.is(err, workflow.ErrInvalidToken)
			_, err = c.HookByToken(ctx, name)
			w.is(err, workflow.ErrInvalidToken)
			_, err = workflow.DefineHook[int](name).Resume(ctx, c, "t", 1)
			w.is(err, workflow.ErrInvalidName)
			_, err = c.RunInfo(ctx, name)
			w.is(err, workflow.ErrInvalidName)
			_, err = c.AwaitRun(ctx, name)
			w.is(err, workflow.ErrInvalidName)
			_, err = c.Journal(ctx, name, 0, 0)
			w.is(err, workflow.ErrInvalidName)
			w.is(c.CancelRun(ctx, name), workflow.ErrInvalidName)
			w.is(c.RetryRun(ctx, name), workflow.ErrInvalidName)
		}
		for _, key := range []string{"", "\xff", "k\xfe"} {
			_, err := workflow.Resume(ctx, c, "t", "x", workflow.IdempotencyKey(key))
			w.is(err, workflow.ErrInvalidName)
		}
		mail, err := c.Mailbox(ctx, r.ID())
		if err != nil || len(mail) > 0 {
			w.Errorf("mailbox: %v, %v", mail, err)
		}
	})
}

// Payloads and inputs are refused if they are not JSON, or can be read in several ways.
func TestStrictJSON(t *testing.T) {
	t.Parallel()
	both(t, func(w *world, c inspect.Client) {
		ctx := w.Context()
		r, err := collect.Start(ctx, c, "t")
		w.ok(err)
		w.untilWaiting(r.ID())
		for i, text := range []string{`"\ud800"`, "\"\xff\"", `{"a": 1, "a": 2}`, `{"\udc00": 1}`} {
			_, err := workflow.Resume(ctx, c, "t", json.RawMessage(text))
			if _, ok := errors.AsType[*workflow.PayloadError](err); !ok {
				w.Errorf("payload %q: %v", text, err)
			}
			id := fmt.Sprint("s", i)
			_, err = c.StartRun(ctx, workflow.StartRequest{Workflow: "collect", RunID: id, Input: json.RawMessage(text)})
			if err == nil {
				w.Errorf("input %q was taken", text)
			}
			_, err = c.RunInfo(ctx, id)
			w.is(err, workflow.ErrRunNotFound)
		}
	})
}

// A payload that does not fit the type of its hook is refused, whichever way it comes:
// field names are those of the type, letter for letter.
func TestMisspeltField(t *testing.T) {
	t.Parallel()
	both(t, func(w *world, c inspect.Client) {
		ctx := w.Context()
		r, err := approve.Start(ctx, c, "a")
		w.ok(err)
		w.untilWaiting(r.ID())
		for field, text := range map[string]string{
			"aproved":  `{"by": "ann", "aproved": true}`,
			"Approved": `{"by": "ann", "Approved": true}`,
		} {
			for _, token := range []string{"a", "new"} {
				start := &workflow.StartRequest{Workflow: approve.Name(), Input: json.RawMessage(strconv.Quote(token))}
				name := "approval"
				for n, req := range []workflow.ResumeRequest{{}, {OrStart: start}, {OrStart: start, Type: &name}, {OrStart: start, Type: &name, IdempotencyKey: "k"}} {
					if token == "new" && n < 2 {
						continue // nobody has the token, or nobody says of which type its hook will be
					}
					req.Token, req.Payload = token, json.RawMessage(text)
					_, err := c.ResumeHook(ctx, req)
					if _, ok := errors.AsType[*workflow.PayloadError](err); !ok || !strings.Contains(err.Error(), field) {
						w.Errorf("payload %s to %s with %d options: %v", text, token, n, err)
					}
				}
			}
		}
		if runs, err := c.Runs(ctx, inspect.RunFilter{}); err != nil || len(runs) != 1 {
			w.Errorf("runs: %v, %v", runs, err)
		}
		_, err = approvals.Resume(ctx, c, "a", decision{Approved: true, By: "ann"})
		w.ok(err)
		if got, err := r.Result(ctx); got != "true by ann" || err != nil {
			w.Errorf("result is %q, %v", got, err)
		}
	})
}

// What the API refuses of requests that no client would make. Nothing is written.
func TestStrictRequests(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ctx := w.Context()
	for _, wf := range []*workflow.Workflow[string, string]{approve, workflow.Declare[string, string]("collect")} {
		r, err := wf.Start(ctx, w.eng, wf.Name(), workflow.RunID(wf.Name()))
		w.ok(err)
		w.untilWaiting(r.ID())
	}
	for _, tt := range []struct {
		method, path, body string
		status             int
		code, field        string
	}{
		{"POST", "hooks/collect/resume", `{"payload": "x", "idempotency_key": "k\ud800"}`, 400, "bad_request", "idempotency_key"},
		{"POST", "hooks/collect/resume", `{"payload": "x", "idempotency_key": "k\udfff"}`, 400, "bad_request", "idempotency_key"},
		{"POST", "hooks/collect/resume", "{\"payload\": \"x\", \"idempotency_key\": \"k\xff\"}", 400, "bad_request", "idempotency_key"},
		{"POST", "hooks/collect/resume", `{"payload": "x", "idempotency_key": ""}`, 400, "invalid_name", ""},
		{"POST", "hooks/collect/resume", `{"payload": "x", "Idempotency_Key": "k"}`, 400, "bad_request", "Idempotency_Key"},
		{"POST", "hooks/collect/resume", `{"payload": "x", "payload": "y"}`, 400, "bad_request", "payload"},
		{"POST", "hooks/collect/resume", `{"payload": "x", "idempotency_key": "a", "idempotency\u005fkey": "b"}`, 400, "bad_request", "idempotency_key"},
		{"POST", "hooks/collect/resume", `{"payload": "\udc00"}`, 400, "bad_request", "payload"},
		{"POST", "hooks/collect/resume", `{"payload": "x", "type": "\ud800"}`, 400, "bad_request", "type"},
		{"POST", "hooks/new/resume", `{"payload": "x", "or_start": {"workflow": "collect", "run_id": ""}}`, 400, "invalid_name", ""},
		{"POST", "hooks/new/resume", `{"payload": "x", "or_start": {"workflow": "collect", "RunID": "x"}}`, 400, "bad_request", "or_start.RunID"},
		{"POST", "hooks/new/resume", `{"payload": "x", "or_start": {"workflow": "collect\ud800"}}`, 400, "bad_request", "or_start.workflow"},
		{"POST", "hooks/approve/resume", `{"payload": {"aproved": true, "by": "ann"}}`, 422, "payload_invalid", "aproved"},
		{"POST", "hooks/approve/resume", `{"payload": {"Approved": true, "by": "ann"}}`, 422, "payload_invalid", "Approved"},
		{"POST", "hooks/approve/resume", `{"payload": {"by": "ann", "by": "bob"}}`, 400, "bad_request", "payload.by"},
		{"POST", "hooks/%ff/resume", `{"payload": "x"}`, 400, "invalid_token", ""},
		{"GET", "hooks/%ff", "", 400, "invalid_token", ""},
		{"GET", "hooks/~_w", "", 400, "invalid_token", ""}, // the same in base64
		{"GET", "hooks?prefix=%ff", "", 400, "bad_request", ""},
		{"POST", "runs", `{"workflow": "add", "run_id": "r\ud800"}`, 400, "bad_request", "run_id"},
		{"POST", "runs", `{"workflow": "add", "run_id": ""}`, 400, "invalid_name", ""},
		{"POST", "runs", `{"workflow": "add", "RUN_ID": "r"}`, 400, "bad_request", "RUN_ID"},
		{"POST", "runs", `{"Workflow": "add"}`, 400, "bad_request", "Workflow"},
		{"POST", "runs", `{"workflow": ""}`, 400, "invalid_name", ""},
		{"POST", "runs", `{"workflow": "sleep", "workflow": "add"}`, 400, "bad_request", "workflow"},
		{"POST", "runs", `{"workflow": "elsewhere", "input": {"a": 1, "a": 2}}`, 400, "bad_request", "input.a"},
		{"POST", "runs/collect/terminate", `{"Reason": "enough"}`, 400, "bad_request", "Reason"},
		{"POST", "runs/%ff/cancel", "", 400, "invalid_name", ""},
		{"GET", "runs/%ff", "", 400, "invalid_name", ""},
		{"GET", "runs/%00/journal", "", 400, "invalid_name", ""},
		{"GET", "runs?workflow=%ff", "", 400, "bad_request", ""},
		{"GET", "runs?parent_id=", "", 400, "bad_request", ""},
		{"GET", "events?run_id=%ff", "", 400, "invalid_name", ""},
	} {
		r, err := http.NewRequestWithContext(ctx, tt.method, w.srv.URL+server.APIPath+tt.path, strings.NewReader(tt.body))
		w.ok(err)
		r.Header.Set("Authorization", "Bearer "+writeKey)
		if tt.body != "" {
			r.Header.Set("Content-Type", "application/json")
		}
		res, err := w.srv.Client().Do(r)
		w.ok(err)
		var p struct{ Code, Field, Detail string }
		err = json.NewDecoder(res.Body).Decode(&p)
		_ = res.Body.Close()
		if err != nil || res.StatusCode != tt.status || p.Code != tt.code || p.Field != tt.field {
			t.Errorf("%s %s %q: %s, %+v, %v; want %d, %s, field %q", tt.method, tt.path, tt.body, res.Status, p, err, tt.status, tt.code, tt.field)
		}
	}
	if runs, err := w.eng.Runs(ctx, inspect.RunFilter{}); err != nil || len(runs) != 2 {
		t.Errorf("runs: %v, %v", runs, err)
	}
	for _, id := range []string{"approve", "collect"} {
		if mail, err := w.eng.Mailbox(ctx, id); err != nil || len(mail) > 0 {
			t.Errorf("mailbox of %s: %v, %v", id, mail, err)
		}
		if info, err := w.eng.RunInfo(ctx, id); err != nil || info.Status != workflow.StatusWaiting {
			t.Errorf("run %s is %s, %v", id, info.Status, err)
		}
	}
}
