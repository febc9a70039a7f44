package client_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tenter-dev/tenter/inspect"
	"github.com/tenter-dev/tenter/workflow"
)

// odd are names that paths and queries could spoil.
var odd = []string{
	"plain", "a/b", "a//b", "/", ".", "..", "a/../b", "~", "~YQ", "a b", "a+b", "a%2Fb", "%", "?x=1&y", "#", "é", "日本", "a;b", `"\`, "slack:#general",
	strings.Repeat("long", 128), "journal", "resume", "api/v1/runs",
}

func TestStartAndResult(t *testing.T) {
	t.Parallel()
	both(t, func(w *world, c inspect.Client) {
		ctx := w.Context()
		r, err := add.Start(ctx, c, []int{1, 2, 3})
		w.ok(err)
		if got, err := r.Result(ctx); got != 6 || err != nil {
			w.Errorf("result is %d, %v", got, err)
		}
		for _, id := range odd {
			r, err := add.Start(ctx, c, []int{len(id)}, workflow.RunID(id))
			w.ok(err)
			if r.ID() != id {
				w.Errorf("run %q has the ID %q", id, r.ID())
			}
			if got, err := r.Result(ctx); got != len(id) || err != nil {
				w.Errorf("run %q: result is %d, %v", id, got, err)
			}
			info, err := r.Info(ctx)
			if err != nil || info.ID != id || info.Workflow != "add" || info.Status != workflow.StatusCompleted || info.Version != 1 || info.EndedAt.IsZero() {
				w.Errorf("run %q: info is %+v, %v", id, info, err)
			}
			_, err = add.Start(ctx, c, nil, workflow.RunID(id))
			if exists, ok := errors.AsType[*workflow.RunExistsError](err); !ok || exists.RunID != id || !errors.Is(err, workflow.ErrRunExists) {
				w.Errorf("run %q started again: %v", id, err)
			}
		}
	})
}

func TestErrorsOfRuns(t *testing.T) {
	t.Parallel()
	both(t, func(w *world, c inspect.Client) {
		ctx := w.Context()
		nobody := workflow.Get[string](c, "nobody")
		_, err := nobody.Result(ctx)
		w.is(err, workflow.ErrRunNotFound)
		_, err = nobody.Info(ctx)
		w.is(err, workflow.ErrRunNotFound)
		w.is(nobody.Cancel(ctx), workflow.ErrRunNotFound)
		w.is(nobody.Terminate(ctx, ""), workflow.ErrRunNotFound)
		w.is(nobody.Wake(ctx), workflow.ErrRunNotFound)
		w.is(nobody.Retry(ctx), workflow.ErrRunNotFound)
		_, err = c.Journal(ctx, "nobody", 0, 0)
		w.is(err, workflow.ErrRunNotFound)
		_, err = c.Mailbox(ctx, "nobody")
		w.is(err, workflow.ErrRunNotFound)
		_, err = c.Executing(ctx, "nobody")
		w.is(err, workflow.ErrRunNotFound)
		w.is(c.Watch(ctx, "nobody", func(inspect.Change) { w.Error("a change of nobody") }), workflow.ErrRunNotFound)
		// Old cursors were IDs.
		for _, cursor := range []string{"nobody", "nobody.h1", "01k5d8x0jyxh3j0q8v5t2m4r6n", "aG9va3MgMQ", "cnVucyAx", "cnVucyB4IHk", "%", "\"", " "} {
			if cursor != "aG9va3MgMQ" { // which is that of a hook
				_, err = c.Hooks(ctx, inspect.HookFilter{After: cursor})
				w.is(err, inspect.ErrInvalidCursor)
			}
			_, err = c.Hooks(ctx, inspect.HookFilter{After: cursor, Prefix: "x"})
			w.is(err, inspect.ErrInvalidCursor)
			_, err = c.Runs(ctx, inspect.RunFilter{Before: cursor})
			w.is(err, inspect.ErrInvalidCursor)
		}

		_, err = workflow.Declare[string, string]("unknown").Start(ctx, c, "")
		w.is(err, workflow.ErrUnknownWorkflow)
		_, err = workflow.Declare[string, string]("add").Start(ctx, c, "no numbers", workflow.RunID("bad"))
		if wrong, ok := errors.AsType[*workflow.InputError](err); !ok || wrong.Workflow != "add" || !strings.Contains(err.Error(), "cannot unmarshal string") {
			w.Errorf("an input of another type: %v", err)
		}
		_, err = c.StartRun(ctx, workflow.StartRequest{Workflow: "add", RunID: "bad", Input: []byte("{")})
		if _, ok := errors.AsType[*workflow.InputError](err); !ok && !strings.Contains(err.Error(), "JSON") {
			w.Errorf("an input that is not JSON: %v", err)
		}
		_, err = workflow.Resume(ctx, c, "bad", "x", workflow.OrStart(workflow.Declare[string, string]("add"), "no numbers", workflow.RunID("bad")))
		if _, ok := errors.AsType[*workflow.InputError](err); !ok {
			w.Errorf("an input of another type, of a run that a payload starts: %v", err)
		}
		_, err = workflow.Get[int](c, "bad").Info(ctx)
		w.is(err, workflow.ErrRunNotFound)
		_, err = add.Start(ctx, c, nil, workflow.RunID("a\nb"))
		w.is(err, workflow.ErrInvalidName)
		_, err = approve.Start(ctx, c, strings.Repeat("x", 1<<20))
		w.is(err, workflow.ErrPayloadTooLarge)
		for _, f := range []inspect.RunFilter{{Status: "lazy"}, {Limit: -1}, {Limit: 1001}, {Prefix: "\xff"}} {
			if _, err := c.Runs(ctx, f); err == nil {
				w.Errorf("%+v is accepted", f)
			}
		}
		if _, err := c.Hooks(ctx, inspect.HookFilter{Type: "a\x00b"}); err == nil {
			w.Error("a type that is not text is accepted")
		}

		r, err := add.Start(ctx, c, nil)
		w.ok(err)
		_, err = r.Result(ctx)
		w.ok(err)
		w.is(r.Cancel(ctx), workflow.ErrRunEnded)
		w.is(r.Terminate(ctx, "why"), workflow.ErrRunEnded)
		w.is(r.Wake(ctx), workflow.ErrRunEnded)
		err = r.Retry(ctx)
		if refused, ok := errors.AsType[*workflow.RetryRefusedError](err); !ok || refused.RunID != r.ID() || !strings.Contains(refused.Reason, "completed") {
			w.Errorf("retry of a run that has completed: %v", err)
		}
	})
}

func TestFailureAndRetry(t *testing.T) {
	t.Parallel()
	both(t, func(w *world, c inspect.Client) {
		ctx := w.Context()
		r, err := fail.Start(ctx, c, "")
		w.ok(err)
		_, err = r.Result(ctx)
		w.is(err, errCard)
		failed, ok := errors.AsType[*workflow.RunError](err)
		step, ok2 := errors.AsType[*workflow.StepError](err)
		if !ok || !ok2 || failed.RunID != r.ID() || step.Step != "charge#1" || step.Attempts != 1 {
			w.Errorf("the run fails with %v", err)
		}
		mended.Store(r.ID(), true)
		w.ok(r.Retry(ctx))
		if got, err := r.Result(ctx); got != "mended" || err != nil {
			w.Errorf("after a retry: %q, %v", got, err)
		}
	})
}

func TestRetryWhileTheTokenIsTaken(t *testing.T) {
	t.Parallel()
	both(t, func(w *world, c inspect.Client) {
		ctx := w.Context()
		r, err := collect.Start(ctx, c, "t")
		w.ok(err)
		w.untilWaiting(r.ID())
		_, err = workflow.Resume(ctx, c, "t", 7) // no text: the run fails
		w.ok(err)
		if _, err := r.Result(ctx); err == nil {
			w.Fatal("the run has not failed")
		}
		other, err := collect.Start(ctx, c, "t")
		w.ok(err)
		w.untilWaiting(other.ID())
		err = r.Retry(ctx)
		if taken, ok := errors.AsType[*workflow.HookConflictError](err); !ok || taken.Token != "t" || taken.RunID != other.ID() {
			w.Errorf("retry while the token is taken: %v", err)
		}
	})
}

func TestCancelTerminateWake(t *testing.T) {
	t.Parallel()
	both(t, func(w *world, c inspect.Client) {
		ctx := w.Context()
		start := func() *workflow.Run[string] {
			r, err := sleep.Start(ctx, c, "")
			w.ok(err)
			w.untilWaiting(r.ID())
			return r
		}
		r := start()
		w.ok(r.Cancel(ctx))
		_, err := r.Result(ctx)
		w.is(err, workflow.ErrCanceled)
		r = start()
		w.ok(r.Terminate(ctx, "it is late"))
		_, err = r.Result(ctx)
		w.is(err, workflow.ErrTerminated)
		if !strings.Contains(err.Error(), "it is late") {
			w.Errorf("terminated: %v", err)
		}
		r = start()
		w.ok(r.Wake(ctx))
		if got, err := r.Result(ctx); got != "slept" || err != nil {
			w.Errorf("woken: %q, %v", got, err)
		}
	})
}

func TestResume(t *testing.T) {
	t.Parallel()
	both(t, func(w *world, c inspect.Client) {
		ctx := w.Context()
		for _, token := range odd {
			r, err := approve.Start(ctx, c, token)
			w.ok(err)
			w.untilWaiting(r.ID())
			info, err := c.HookByToken(ctx, token)
			if err != nil || info.Token != token || info.RunID != r.ID() || info.Type != "approval" || string(info.Metadata) != `{"for":"tests"}` || info.Webhook {
				w.Errorf("hook %q is %+v, %v", token, info, err)
			}
			got, err := approvals.Resume(ctx, c, token, decision{Approved: true, By: "Ann"}, workflow.IdempotencyKey("key\n"+token))
			if diff := cmp.Diff(info, got); diff != "" || err != nil {
				w.Errorf("resume %q: %v (-look-up +resume)\n%s", token, err, diff)
			}
			if got, err := r.Result(ctx); got != "true by Ann" || err != nil {
				w.Errorf("result is %q, %v", got, err)
			}
			got, err = approvals.Resume(ctx, c, token, decision{By: "again"}, workflow.IdempotencyKey("key\n"+token))
			if !got.Duplicate || got.RunID != r.ID() || err != nil {
				w.Errorf("resumed %q again: %+v, %v", token, got, err)
			}
		}
	})
}

func TestErrorsOfHooks(t *testing.T) {
	t.Parallel()
	both(t, func(w *world, c inspect.Client) {
		ctx := w.Context()
		_, err := workflow.Resume(ctx, c, "none", 1)
		w.is(err, workflow.ErrHookNotFound)
		_, err = c.HookByToken(ctx, "none")
		w.is(err, workflow.ErrHookNotFound)
		_, err = c.HookByToken(ctx, "")
		w.is(err, workflow.ErrInvalidToken)
		_, err = workflow.Resume(ctx, c, "", 1)
		w.is(err, workflow.ErrInvalidToken)
		_, err = workflow.Resume(ctx, c, "a\nb", 1)
		w.is(err, workflow.ErrInvalidToken)

		// A generated token is a secret, and errors end in logs.
		const generated = "Xk3dAbCdEfGhIjKlMnOpQrStUvWxYz01"
		_, err = workflow.Resume(ctx, c, generated, 1)
		errs := []error{err}
		_, err = c.HookByToken(ctx, generated)
		errs = append(errs, err)
		_, err = c.CallHook(ctx, workflow.CallRequest{Token: generated, Input: []byte("1")})
		errs = append(errs, err)
		_, err = c.AwaitAnswer(ctx, workflow.AnswerRequest{Token: generated, IdempotencyKey: "k"})
		for _, err := range append(errs, err) {
			if err == nil || strings.Contains(err.Error(), generated) || !strings.Contains(err.Error(), `"***"`) {
				w.Errorf("the error of an unknown token is %v", err)
			}
		}

		r, err := approve.Start(ctx, c, "t")
		w.ok(err)
		w.untilWaiting(r.ID())
		_, err = workflow.Resume(ctx, c, "t", map[string]any{"approved": "yes"})
		if bad, ok := errors.AsType[*workflow.PayloadError](err); !ok || bad.Token != "t" {
			w.Errorf("a payload of the wrong type: %v", err)
		}
		_, err = workflow.Resume(ctx, c, "t", map[string]any{"approved": true})
		w.is(err, errNobody)
		if bad, ok := errors.AsType[*workflow.PayloadError](err); !ok || bad.Token != "t" {
			w.Errorf("a payload that is not valid: %v", err)
		}
		_, err = workflow.Resume(ctx, c, "t", strings.Repeat("x", 1<<20))
		w.is(err, workflow.ErrPayloadTooLarge)
		_, err = workflow.DefineHook[string]("another").Resume(ctx, c, "t", "x")
		if wrong, ok := errors.AsType[*workflow.HookTypeError](err); !ok || *wrong != (workflow.HookTypeError{Token: "t", Want: "another", Got: "approval"}) {
			w.Errorf("resumed as another type: %v", err)
		}
	})
}

func TestOrStart(t *testing.T) {
	t.Parallel()
	both(t, func(w *world, c inspect.Client) {
		ctx := w.Context()
		info, err := workflow.Resume(ctx, c, "chat", "one", workflow.OrStart(collect, "chat"), workflow.IdempotencyKey("1"))
		w.ok(err)
		again, err := workflow.Resume(ctx, c, "chat", "one", workflow.OrStart(collect, "chat"), workflow.IdempotencyKey("1"))
		if !info.Started || !again.Duplicate || again.Started || again.RunID != info.RunID || err != nil {
			w.Errorf("started %+v, repeated %+v, %v", info, again, err)
		}
		for _, text := range []string{"two", "end"} {
			info, err := workflow.Resume(ctx, c, "chat", text, workflow.OrStart(collect, "chat"))
			if info.Started || err != nil {
				w.Errorf("%s: %+v, %v", text, info, err)
			}
		}
		if got, err := collect.Get(c, info.RunID).Result(ctx); err != nil || !slices.Equal(got, []string{"one", "two"}) {
			w.Errorf("result is %v, %v", got, err)
		}
		_, err = workflow.Resume(ctx, c, "new", "x", workflow.OrStart(collect, "new", workflow.RunID(info.RunID)))
		w.is(err, workflow.ErrRunExists)
		_, err = workflow.Resume(ctx, c, "new", "x", workflow.OrStart(workflow.Declare[string, string]("unknown"), ""))
		w.is(err, workflow.ErrUnknownWorkflow)
	})
}

func TestLists(t *testing.T) {
	t.Parallel()
	both(t, func(w *world, c inspect.Client) {
		ctx := w.Context()
		began := time.Now().Add(-time.Minute)
		for i := range 7 {
			_, err := collect.Start(ctx, c, fmt.Sprint("token/", i), workflow.RunID(fmt.Sprint("run/", i)))
			w.ok(err)
			w.untilWaiting(fmt.Sprint("run/", i))
		}
		r, err := add.Start(ctx, c, nil)
		w.ok(err)
		_, err = r.Result(ctx)
		w.ok(err)
		cursors := map[string]string{}
		list := func(f inspect.RunFilter) (ids []string) {
			w.Helper()
			runs, err := c.Runs(ctx, f)
			w.ok(err)
			for _, r := range runs {
				cursors[r.ID] = r.Cursor
				ids = append(ids, strings.TrimPrefix(r.ID, "run/"))
			}
			return ids
		}
		list(inspect.RunFilter{})
		for _, tt := range []struct {
			f    inspect.RunFilter
			want string
		}{
			{inspect.RunFilter{Status: workflow.StatusWaiting}, "6 5 4 3 2 1 0"},
			{inspect.RunFilter{Prefix: "run/", Limit: 3}, "6 5 4"},
			{inspect.RunFilter{Prefix: "run/", Limit: 3, Before: cursors["run/4"]}, "3 2 1"},
			{inspect.RunFilter{Workflow: "collect", Before: cursors["run/2"]}, "1 0"},
			{inspect.RunFilter{Status: workflow.StatusCompleted}, r.ID()},
			{inspect.RunFilter{Since: began, Limit: 2}, r.ID() + " 6"},
			{inspect.RunFilter{Until: began}, ""},
			{inspect.RunFilter{ParentID: "run/1"}, ""},
		} {
			if got := strings.Join(list(tt.f), " "); got != tt.want {
				w.Errorf("%+v: %s, want %s", tt.f, got, tt.want)
			}
		}
		counts, err := c.CountRuns(ctx)
		if err != nil || counts[workflow.StatusWaiting] != 7 || counts[workflow.StatusCompleted] != 1 {
			w.Errorf("counts are %v, %v", counts, err)
		}

		hooks := func(f inspect.HookFilter) (tokens string, last string) {
			w.Helper()
			found, err := c.Hooks(ctx, f)
			w.ok(err)
			for _, h := range found {
				if data, err := base64.RawURLEncoding.DecodeString(h.Cursor); err != nil || bytes.Contains(data, []byte(h.Token)) {
					w.Errorf("cursor %s has the token in it, %v", data, err)
				}
				tokens += strings.TrimPrefix(h.Token, "token/")
				last = h.Cursor
			}
			return tokens, last
		}
		page, last := hooks(inspect.HookFilter{Limit: 4})
		rest, _ := hooks(inspect.HookFilter{After: last})
		first, last := hooks(inspect.HookFilter{Prefix: "token/", Limit: 3})
		last3, _ := hooks(inspect.HookFilter{Prefix: "token/", After: last})
		of, _ := hooks(inspect.HookFilter{RunID: "run/3"})
		with, _ := hooks(inspect.HookFilter{Prefix: "token/2"})
		typed, _ := hooks(inspect.HookFilter{Type: "approval"})
		if got := []string{page, rest, first, last3, of, with, typed}; !slices.Equal(got, []string{"0123", "456", "012", "3456", "3", "2", ""}) {
			w.Errorf("hooks: %q", got)
		}
	})
}

func TestJournalAndMailbox(t *testing.T) {
	t.Parallel()
	both(t, func(w *world, c inspect.Client) {
		ctx := w.Context()
		r, err := collect.Start(ctx, c, "t")
		w.ok(err)
		w.untilWaiting(r.ID())
		for _, text := range []string{"one", "two", "end", "three"} {
			if _, err = workflow.Resume(ctx, c, "t", text); err != nil && text != "three" {
				w.Fatal(err)
			}
		}
		_, err = r.Result(ctx)
		w.ok(err)
		all, err := c.Journal(ctx, r.ID(), 0, 0)
		w.ok(err)
		var page []inspect.Event
		for after := int64(0); ; after = page[len(page)-1].Position {
			more, err := c.Journal(ctx, r.ID(), after, 2)
			w.ok(err)
			if len(more) == 0 {
				break
			}
			if page = append(page, more...); len(more) > 2 {
				w.Fatalf("a page has %d events", len(more))
			}
		}
		if diff := cmp.Diff(all, page); diff != "" {
			w.Errorf("page by page it is another journal:\n%s", diff)
		}
		first, last := all[0], all[len(all)-1]
		if first.Kind != "started" || string(first.Data) != `"t"` || first.Position != 1 || !slices.Equal(first.Asked, []string{"hook 1 token t"}) ||
			last.Kind != "completed" || string(last.Data) != `["one","two"]` {
			w.Errorf("journal: %+v … %+v", first, last)
		}

		// What a run has not taken in is in its mailbox, while it can't be executed and after its end.
		elsewhere, err := workflow.Declare[string, string]("elsewhere").Start(ctx, c, "input")
		w.ok(err)
		mail, err := c.Mailbox(ctx, elsewhere.ID())
		if err != nil || len(mail) != 1 || mail[0].Kind != "started" || string(mail[0].Data) != `"input"` || mail[0].At.IsZero() {
			w.Errorf("mailbox of a run that nobody executes: %+v, %v", mail, err)
		}
		info, err := elsewhere.Info(ctx)
		if err != nil || info.Status != workflow.StatusBlocked || !strings.Contains(info.Reason, "elsewhere") {
			w.Errorf("a run that nobody executes: %+v, %v", info, err)
		}
	})
}

func TestUnreadOfAGeneration(t *testing.T) {
	t.Parallel()
	both(t, func(w *world, c inspect.Client) {
		ctx := w.Context()
		r, err := diary.Start(ctx, c, 0)
		w.ok(err)
		w.untilWaiting(r.ID())
		for _, text := range []string{"one", "two"} {
			_, err = workflow.Resume(ctx, c, "unread 0", text)
			w.ok(err)
		}
		_, err = workflow.Resume(ctx, c, "turn", "now")
		w.ok(err)
		w.until(r.ID(), func(info workflow.RunInfo) bool { return info.Generation == 1 })
		unread, err := c.Unread(ctx, r.ID(), 0)
		w.ok(err)
		if len(unread) != 2 || string(unread[0].Data) != `"one"` || string(unread[1].Data) != `"two"` || unread[0].Kind != "payload_received" || unread[0].Ref != r.ID()+".h1" {
			w.Errorf("unread payloads of the first generation: %+v", unread)
		}
		for _, generation := range []int{1, 7} {
			if unread, err = c.Unread(ctx, r.ID(), generation); err != nil || len(unread) != 0 {
				w.Errorf("unread payloads of generation %d: %+v, %v", generation, unread, err)
			}
		}
		d, err := inspect.LoadGeneration(ctx, c, r.ID(), 0)
		if err != nil || len(d.Mail) != 2 {
			w.Errorf("the first generation: %+v, %v", d, err)
		}
		_, err = c.Unread(ctx, "nobody", 0)
		w.is(err, workflow.ErrRunNotFound)
	})
}

// Requests are shown without secrets, and answers too.
func TestRequestsInJournals(t *testing.T) {
	t.Parallel()
	both(t, func(w *world, c inspect.Client) {
		ctx := w.Context()
		r, err := receive.Start(ctx, c, "in")
		w.ok(err)
		w.untilWaiting(r.ID())
		hook, err := c.HookByToken(ctx, "in")
		if err != nil || !hook.Webhook {
			w.Errorf("the webhook is %+v, %v", hook, err)
		}
		_, err = workflow.Resume(ctx, c, "in", 1)
		if _, ok := errors.AsType[*workflow.PayloadError](err); !ok {
			w.Errorf("a webhook is resumed with JSON: %v", err)
		}
		body := strings.Repeat("x", inspect.MaxBody+1)
		req, err := http.NewRequestWithContext(ctx, http.MethodPost, w.srv.URL+"/.well-known/workflow/v1/webhook/in?q=1", strings.NewReader(body))
		w.ok(err)
		sign(req, body)
		req.Header.Set("Authorization", "Bearer secret")
		req.Header.Set("X-Plain", "plain")
		resp, err := w.srv.Client().Do(req)
		w.ok(err)
		_ = resp.Body.Close()
		if resp.StatusCode != 200 {
			w.Fatalf("the webhook answers %s", resp.Status)
		}
		w.untilWaiting(r.ID())
		events, err := c.Journal(ctx, r.ID(), 0, 0)
		w.ok(err)
		i := slices.IndexFunc(events, func(e inspect.Event) bool { return e.Request != nil })
		if i < 0 || events[i].Kind != "payload_received" || events[i].Data != nil {
			w.Fatalf("journal: %+v", events)
		}
		got := events[i].Request
		if got.Method != "POST" || !strings.HasSuffix(got.URL, "/in?q=1") || got.Header.Get("X-Plain") != "plain" || got.BodySize != len(body) ||
			string(got.Body) != body[:inspect.MaxBody] || got.ReceivedAt.IsZero() {
			w.Errorf("the request is shown as %+v", got)
		}
		if got.Response == nil || got.Response.Status != 200 || string(got.Response.Body) != "thanks" || got.Response.BodySize != 6 {
			w.Errorf("the response is shown as %+v", got.Response)
		}
		shown, err := json.Marshal(events)
		w.ok(err)
		for _, secret := range []string{"Bearer secret", "sha256=", "secret=1"} {
			if strings.Contains(string(shown), secret) {
				w.Errorf("%q is shown", secret)
			}
		}
	})
}

func TestExecuting(t *testing.T) {
	t.Parallel()
	both(t, func(w *world, c inspect.Client) {
		ctx, cancel := context.WithTimeout(w.Context(), patience)
		defer cancel()
		r, err := slow.Start(ctx, c, "")
		w.ok(err)
		var attempts []inspect.Attempt
		watching, stop := context.WithCancel(ctx)
		defer stop()
		w.ok(c.Watch(watching, r.ID(), func(inspect.Change) {
			if found, err := c.Executing(ctx, r.ID()); err != nil || len(found) > 0 {
				w.ok(err)
				attempts = found
				stop()
			}
		}))
		if len(attempts) != 1 || attempts[0].Step != "work#1" || attempts[0].Number != 1 || attempts[0].Begin.IsZero() || attempts[0].Worker == "" {
			w.Errorf("executing: %+v", attempts)
		}
		ch, _ := goOn.Load(r.ID())
		close(ch.(chan struct{})) //nolint:forcetypeassert // nothing else is in it
		if got, err := r.Result(ctx); got != "done" || err != nil {
			w.Errorf("result is %q, %v", got, err)
		}
	})
}

func TestCatalog(t *testing.T) {
	t.Parallel()
	both(t, func(w *world, c inspect.Client) {
		ctx := w.Context()
		r, err := add.Start(ctx, c, nil) // once it has run, the worker is known
		w.ok(err)
		_, err = r.Result(ctx)
		w.ok(err)
		cat, err := c.Catalog(ctx)
		w.ok(err)
		var names []string
		for _, info := range cat.Workflows {
			names = append(names, info.Name)
			if info.Name == "elsewhere" {
				if len(info.Versions) > 0 || info.Input != nil {
					w.Errorf("what is elsewhere is known here: %+v", info)
				}
				continue
			}
			if !slices.Equal(info.Versions, []int{1}) || info.Input == nil || info.Output == nil {
				w.Errorf("%+v", info)
			}
		}
		if got := strings.Join(names, " "); got != "add adder approve collect diary elsewhere fail follow prober receive sleep slow" {
			w.Errorf("workflows: %s", got)
		}
		if len(cat.HookTypes) != 2 || cat.HookTypes[0].Name != "approval" || cat.HookTypes[0].Answer != nil || cat.HookTypes[1].Name != "sum" {
			w.Fatalf("hook types: %+v", cat.HookTypes)
		}
		if got := string(cat.HookTypes[1].Answer); got != `{"type":"integer"}` {
			w.Errorf("the schema of an answer: %s", got)
		}
		var schema struct {
			Type       string
			Properties map[string]struct{ Type string }
			Required   []string
		}
		w.ok(json.Unmarshal(cat.HookTypes[0].Payload, &schema))
		if schema.Type != "object" || schema.Properties["approved"].Type != "boolean" || !slices.Equal(schema.Required, []string{"approved", "by"}) {
			w.Errorf("schema: %s", cat.HookTypes[0].Payload)
		}
	})
}

// A watcher that reads after each notification misses nothing.
func TestWatch(t *testing.T) {
	t.Parallel()
	both(t, func(w *world, c inspect.Client) {
		ctx, cancel := context.WithTimeout(w.Context(), patience)
		defer cancel()
		r, err := collect.Start(ctx, c, "t")
		w.ok(err)
		w.untilWaiting(r.ID())
		for _, runID := range []string{r.ID(), ""} {
			watching, stop := context.WithCancel(ctx)
			told := make(chan inspect.Change, 100)
			done := make(chan error, 1)
			go func() { done <- c.Watch(watching, runID, func(ch inspect.Change) { told <- ch }) }()
			first := <-told
			if want := (inspect.Change{All: true}); runID == "" && !cmp.Equal(first, want) {
				w.Errorf("the first change is %+v, want %+v", first, want)
			}
			if want := (inspect.Change{Runs: []string{runID}}); runID != "" && !cmp.Equal(first, want) {
				w.Errorf("the first change is %+v, want %+v", first, want)
			}
			for _, text := range []string{"a", "b"} {
				_, err := workflow.Resume(ctx, c, "t", text)
				w.ok(err)
				select {
				case ch := <-told:
					if !ch.All && !slices.Contains(ch.Runs, r.ID()) {
						w.Errorf("notified of %+v", ch)
					}
				case <-ctx.Done():
					w.Fatal("not told")
				}
			}
			stop()
			w.ok(<-done)
		}
	})
}

// The end of its context ends a call at once, and is its error.
func TestContextEnds(t *testing.T) {
	t.Parallel()
	both(t, func(w *world, c inspect.Client) {
		r, err := sleep.Start(w.Context(), c, "")
		w.ok(err)
		ctx, cancel := context.WithTimeout(w.Context(), 50*time.Millisecond)
		defer cancel()
		began := time.Now()
		_, err = r.Result(ctx)
		w.is(err, context.DeadlineExceeded)
		if took := time.Since(began); took > 10*time.Second {
			w.Errorf("it takes %v", took)
		}
		_, err = c.Runs(ctx, inspect.RunFilter{})
		w.is(err, context.DeadlineExceeded)
		ended, cancel := context.WithCancel(w.Context())
		cancel()
		_, err = sleep.Start(ended, c, "")
		w.is(err, context.Canceled)
		if err := c.Watch(ended, r.ID(), func(inspect.Change) {}); err != nil {
			w.Errorf("watch: %v", err)
		}
	})
}

func TestPauses(t *testing.T) {
	t.Parallel()
	both(t, func(w *world, c inspect.Client) {
		ctx := w.Context()
		w.ok(add.Pause(workflow.WithActor(ctx, workflow.Actor{Name: "ada"}), c, workflow.PauseRequest{Why: "a bad deploy"}))
		for _, name := range odd {
			w.ok(c.PauseWorkflow(ctx, name, workflow.PauseRequest{Why: name}))
		}
		paused, err := c.PausedWorkflows(ctx)
		w.ok(err)
		if len(paused) != len(odd)+1 {
			w.Errorf("%d workflows are paused, want %d: %+v", len(paused), len(odd)+1, paused)
		}
		for _, p := range paused {
			if p.Why != p.Workflow && (p.Workflow != "add" || p.By.Name != "ada" || p.Why != "a bad deploy") || p.At.IsZero() {
				w.Errorf("a pause is %+v", p)
			}
		}
		r, err := add.Start(ctx, c, []int{1, 2})
		w.ok(err)
		w.ok(r.Pause(workflow.WithActor(ctx, workflow.Actor{Name: "bob"}), workflow.PauseRequest{}))
		info, err := r.Info(ctx)
		w.ok(err)
		if p := info.Paused; p == nil || p.By.Name != "bob" || p.Why != "" || p.Workflow || p.At.IsZero() {
			w.Errorf("the pause of the run is %+v", p)
		}
		w.ok(r.Resume(ctx))
		runs, err := c.Runs(ctx, inspect.RunFilter{Paused: true})
		w.ok(err)
		if len(runs) != 1 || runs[0].ID != r.ID() || !runs[0].Paused.Workflow || runs[0].Paused.By.Name != "ada" {
			w.Errorf("paused runs are %+v", runs)
		}
		for _, name := range append([]string{"add"}, odd...) {
			w.ok(c.ResumeWorkflow(ctx, name))
		}
		if got, err := r.Result(ctx); got != 3 || err != nil {
			w.Errorf("result is %d, %v", got, err)
		}
		w.is(r.Pause(ctx, workflow.PauseRequest{}), workflow.ErrRunEnded)
		w.is(r.Resume(ctx), workflow.ErrRunEnded)
		w.is(c.PauseRun(ctx, "nobody", workflow.PauseRequest{}), workflow.ErrRunNotFound)
		w.is(c.PauseRun(ctx, r.ID(), workflow.PauseRequest{Why: strings.Repeat("x", workflow.MaxErrorText+1)}), workflow.ErrPayloadTooLarge)
		w.is(c.PauseWorkflow(ctx, "", workflow.PauseRequest{}), workflow.ErrInvalidName)
	})
}

// What awaits a run is listed, by its ID, whatever that is.
func TestAwaiting(t *testing.T) {
	t.Parallel()
	both(t, func(w *world, c inspect.Client) {
		ctx := w.Context()
		for _, id := range odd {
			_, err := approve.Start(ctx, c, "for "+id, workflow.RunID(id))
			w.ok(err)
			r, err := follow.Start(ctx, c, id)
			w.ok(err)
			w.untilWaiting(r.ID())
			runs, err := c.Runs(ctx, inspect.RunFilter{Awaits: id})
			w.ok(err)
			if len(runs) != 1 || runs[0].ID != r.ID() {
				w.Errorf("run %q is awaited by %+v, want %s", id, runs, r.ID())
			}
			w.ok(c.TerminateRun(ctx, id, ""))
			_, err = r.Result(ctx)
			w.is(err, workflow.ErrTerminated)
		}
	})
}
