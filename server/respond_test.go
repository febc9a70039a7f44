package server_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tenter-dev/tenter/engine"
	"github.com/tenter-dev/tenter/workflow"
)

func TestAccepted(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	wf := l.collector()
	l.run(engine.Options{}, wf)
	r, u := open(l, wf, "")
	a := l.post(u, "one")
	if wantStatus(l, a, 202); a.body != "" {
		t.Errorf("the body is %q", a.body)
	}
	if diff := cmp.Diff([]string{"one"}, collected(l, r, u)); diff != "" {
		t.Error(diff)
	}
}

func TestStaticResponse(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	resp := workflow.JSON(200, map[string]bool{"ok": true})
	resp.Header.Set("X-Answer", "42")
	wf := l.collector(workflow.RespondWith(resp))
	l.run(engine.Options{}, wf)
	r, u := open(l, wf, "")
	for range 3 {
		a := l.post(u, "x")
		wantStatus(l, a, 200)
		if a.body != "{\"ok\":true}\n" || a.header.Get("X-Answer") != "42" || a.header.Get("Content-Type") != "application/json" {
			t.Errorf("got %+v", a)
		}
	}
	l.post(u, "stop")
	if got := result(l, r); len(got) != 3 {
		t.Errorf("the run got %d requests, want 3", len(got))
	}
}

// answering answers each request, from a step or straight from the workflow.
func (l *lab) answering() *workflow.Workflow[string, int] {
	return workflow.Define("answering", func(ctx workflow.Context, token string) (int, error) {
		opts := []workflow.WebhookOption{workflow.RespondManually()}
		if token != "" {
			opts = append(opts, workflow.Token(token))
		}
		w, err := workflow.NewWebhook(ctx, opts...)
		if err != nil {
			return 0, err
		}
		if err := l.opened(ctx, w); err != nil {
			return 0, err
		}
		n := 0
		for r, err := range w.All(ctx) {
			if err != nil {
				return n, err
			}
			n++
			where, body, _ := strings.Cut(string(r.Body), " ")
			resp := workflow.Text(201, where+" "+body)
			if where == "workflow" {
				err = r.Respond(ctx, resp)
			} else {
				err = workflow.Do(ctx, "answer", func(ctx context.Context) error { return r.Respond(ctx, resp) })
			}
			if err != nil || body == "stop" {
				return n, err
			}
		}
		return n, nil
	})
}

func TestManualResponse(t *testing.T) {
	t.Parallel()
	for name, cache := range map[string]int{"live": 0, "replayed": -1} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := newLab(t)
			wf := l.answering()
			l.run(engine.Options{CacheSize: cache}, wf)
			r, u := open(l, wf, "")
			for _, body := range []string{"step a", "workflow b", "workflow c", "step d", "workflow stop"} {
				a := l.post(u, body)
				if wantStatus(l, a, 201); a.body != body {
					t.Errorf("got %q, want %q", a.body, body)
				}
			}
			if n := result(l, r); n != 5 {
				t.Errorf("the run took %d requests, want 5", n)
			}
			wantStatus(l, l.post(u, "step late"), 404)
		})
	}
}

// The first answer stands. The same step, tried again, is told that all is well.
func TestRespondTwice(t *testing.T) {
	t.Parallel()
	for name, cache := range map[string]int{"live": 0, "replayed": -1} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := newLab(t)
			type outcome struct {
				Attempts                        int
				Step, Workflow, Child, ChildToo bool // ErrAlreadyResponded
			}
			already := func(err error) (bool, error) {
				if errors.Is(err, workflow.ErrAlreadyResponded) {
					return true, nil
				}
				return false, err
			}
			child := workflow.Define("child", func(ctx workflow.Context, r *workflow.Request) (bool, error) {
				return already(r.Respond(ctx, workflow.Text(200, "child")))
			})
			wf := workflow.Define("twice", func(ctx workflow.Context, _ string) (o outcome, err error) {
				w, err := workflow.NewWebhook(ctx, workflow.RespondManually())
				if err != nil {
					return o, err
				}
				if err := l.opened(ctx, w); err != nil {
					return o, err
				}
				r, err := w.Wait(ctx)
				if err != nil {
					return o, err
				}
				o.Attempts, err = workflow.Step(ctx, "first", func(ctx context.Context) (int, error) {
					n := workflow.InfoOf(ctx).Attempt
					if err := r.Respond(ctx, workflow.Text(200+n, "attempt")); err != nil {
						return n, workflow.Fatal(err)
					}
					if n < 3 {
						return n, workflow.RetryAfter(errors.New("again"), time.Millisecond)
					}
					return n, nil
				})
				if err != nil {
					return o, err
				}
				if o.Step, err = workflow.Step(ctx, "second", func(ctx context.Context) (bool, error) {
					return already(r.Respond(ctx, workflow.Text(200, "second")))
				}); err != nil {
					return o, err
				}
				if o.Workflow, err = already(r.Respond(ctx, workflow.Text(200, "workflow"))); err != nil {
					return o, err
				}
				if o.Child, err = child.Call(ctx, r); err != nil {
					return o, err
				}
				if r, err = w.Wait(ctx); err != nil {
					return o, err
				}
				// Each run's first answer, to the same request.
				if err := r.Respond(ctx, workflow.Text(200, "parent")); err != nil {
					return o, err
				}
				o.ChildToo, err = child.Call(ctx, r)
				return o, err
			})
			l.run(engine.Options{CacheSize: cache}, wf, child)
			r, u := open(l, wf, "")
			wantStatus(l, l.post(u, ""), 201)
			if a := l.post(u, ""); a.body != "parent" {
				t.Errorf("the second answer is %+v", a)
			}
			want := outcome{Attempts: 3, Step: true, Workflow: true, Child: true, ChildToo: true}
			if diff := cmp.Diff(want, result(l, r)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// Answers are told apart by run too: a parent's first and a child's first.
// An answer that is deferred, for whatever has forgotten to give one, is harmless once
// there is one. A step that insists on a second one fails at once, and says why.
func TestDeferredResponse(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	wf := workflow.Define("deferring", func(ctx workflow.Context, _ string) (string, error) {
		w, err := workflow.NewWebhook(ctx, workflow.RespondManually())
		if err != nil {
			return "", err
		}
		if err := l.opened(ctx, w); err != nil {
			return "", err
		}
		r, err := w.Wait(ctx)
		if err != nil {
			return "", err
		}
		defer func() { _ = r.Respond(ctx, workflow.Text(500, "forgotten")) }()
		for _, name := range []string{"answer", "log"} {
			if err := workflow.Do(ctx, name, func(ctx context.Context) error {
				defer func() { _ = r.Respond(ctx, workflow.Text(501, "forgotten in "+name)) }()
				if name == "answer" {
					return r.Respond(ctx, workflow.Text(200, "fine"))
				}
				return nil
			}); err != nil {
				return "", err
			}
		}
		err = workflow.Do(ctx, "insist", func(ctx context.Context) error { return r.Respond(ctx, workflow.Text(200, "again")) })
		failed, ok := errors.AsType[*workflow.StepError](err)
		if !ok || failed.Attempts != 1 || !errors.Is(err, workflow.ErrAlreadyResponded) {
			return "", fmt.Errorf("insisting: %w", err)
		}
		return err.Error(), nil
	})
	l.run(engine.Options{}, wf)
	r, u := open(l, wf, "")
	a := l.post(u, "")
	if wantStatus(l, a, 200); a.body != "fine" {
		t.Errorf("the answer is %+v", a)
	}
	if got := result(l, r); !strings.Contains(got, "the first answer stands") {
		t.Errorf("the error is %q", got)
	}
}

func TestRespondFromParentAndChild(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	child := workflow.Define("child", func(ctx workflow.Context, r *workflow.Request) (bool, error) {
		err := r.Respond(ctx, workflow.Text(200, "child"))
		return errors.Is(err, workflow.ErrAlreadyResponded), nil
	})
	wf := workflow.Define("parent", func(ctx workflow.Context, _ string) (bool, error) {
		w, err := workflow.NewWebhook(ctx, workflow.RespondManually())
		if err != nil {
			return false, err
		}
		if err := l.opened(ctx, w); err != nil {
			return false, err
		}
		r, err := w.Wait(ctx)
		if err != nil {
			return false, err
		}
		if err := r.Respond(ctx, workflow.Text(200, "parent")); err != nil {
			return false, err
		}
		return child.Call(ctx, r)
	})
	l.run(engine.Options{}, wf, child)
	r, u := open(l, wf, "")
	if a := l.post(u, ""); a.body != "parent" {
		t.Errorf("got %+v", a)
	}
	if !result(l, r) {
		t.Error("the child was not told that its parent has answered")
	}
}

// A request survives JSON: a child, and a step of the child, can answer it.
func TestRespondFromChild(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	child := workflow.Define("child", func(ctx workflow.Context, r *workflow.Request) (string, error) {
		return r.RunID, workflow.Do(ctx, "answer", func(ctx context.Context) error {
			return r.Respond(ctx, workflow.Text(200, "child got "+string(r.Body)+" "+r.URL.RawQuery+" "+r.Header.Get("X-A")))
		})
	})
	wf := workflow.Define("parent", func(ctx workflow.Context, _ string) (string, error) {
		w, err := workflow.NewWebhook(ctx, workflow.RespondManually())
		if err != nil {
			return "", err
		}
		if err := l.opened(ctx, w); err != nil {
			return "", err
		}
		r, err := w.Wait(ctx)
		if err != nil {
			return "", err
		}
		return child.Call(ctx, r)
	})
	l.run(engine.Options{CacheSize: -1}, wf, child)
	r, u := open(l, wf, "")
	a := l.post(u+"?q=1", "\x00\xff\n", "X-A", "b")
	if a.body != "child got \x00\xff\n q=1 b" {
		t.Errorf("got %+v", a)
	}
	if got := result(l, r); got != r.ID() {
		t.Errorf("the request says it belongs to run %q, not %q", got, r.ID())
	}
}

// When a run ends without an answer, its callers are told at once, however it ends.
func TestNoResponse(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	wf := workflow.Define("silent", func(ctx workflow.Context, how string) (string, error) {
		w, err := workflow.NewWebhook(ctx, workflow.RespondManually(), workflow.Token(how))
		if err != nil {
			return "", err
		}
		if err := l.opened(ctx, w); err != nil {
			return "", err
		}
		if _, err := w.Wait(ctx); err != nil {
			return "", err
		}
		switch how {
		case "returns":
			return "", nil
		case "fails":
			return "", errors.New("no")
		}
		if err := workflow.Do(ctx, "taken", func(context.Context) error { l.urls <- "taken"; return nil }); err != nil {
			return "", err
		}
		_, err = w.Wait(ctx)
		return "", err
	})
	l.run(engine.Options{RespondWithin: time.Hour}, wf)
	for i := range 60 {
		how := []string{"returns", "fails", "canceled", "terminated"}[i%4]
		r, u := open(l, wf, how)
		got := make(chan answer, 1)
		go func() {
			a, err := try(t.Context(), "POST", u, nil)
			if err != nil {
				t.Errorf("%s: %v", how, err)
			}
			got <- a
		}()
		switch how {
		case "canceled":
			receive(l, l.urls)
			if err := r.Cancel(t.Context()); err != nil {
				t.Error(err)
			}
		case "terminated":
			receive(l, l.urls)
			if err := r.Terminate(t.Context(), "enough"); err != nil {
				t.Error(err)
			}
		}
		wantStatus(l, receive(l, got), 500)
		if t.Failed() {
			t.Fatalf("round %d: a run that %s", i, how)
		}
	}
}

// Past the limit the caller is let go. The request stays delivered, and the late
// answer harms nobody.
func TestResponseTimeout(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	release := make(chan string, 1)
	wf := workflow.Define("late", func(ctx workflow.Context, _ string) (string, error) {
		w, err := workflow.NewWebhook(ctx, workflow.RespondManually())
		if err != nil {
			return "", err
		}
		if err := l.opened(ctx, w); err != nil {
			return "", err
		}
		r, err := w.Wait(ctx)
		if err != nil {
			return "", err
		}
		if err := workflow.Do(ctx, "wait", func(context.Context) error { <-release; return nil }); err != nil {
			return "", err
		}
		return string(r.Body), r.Respond(ctx, workflow.Text(200, "late"))
	})
	l.run(engine.Options{RespondWithin: 2 * time.Second}, wf) // in which it is accepted on a busy machine, too
	r, u := open(l, wf, "")
	wantStatus(l, l.post(u, "hello"), 504)
	release <- ""
	if got := result(l, r); got != "hello" {
		t.Errorf("the run got %q", got)
	}
}

// A caller that hangs up does not fail the run.
func TestCallerHangsUp(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	taken, release := make(chan string, 1), make(chan string, 1)
	wf := workflow.Define("abandoned", func(ctx workflow.Context, _ string) (string, error) {
		w, err := workflow.NewWebhook(ctx, workflow.RespondManually())
		if err != nil {
			return "", err
		}
		if err := l.opened(ctx, w); err != nil {
			return "", err
		}
		r, err := w.Wait(ctx)
		if err != nil {
			return "", err
		}
		if err := workflow.Do(ctx, "wait", func(context.Context) error { taken <- ""; <-release; return nil }); err != nil {
			return "", err
		}
		return string(r.Body), r.Respond(ctx, workflow.Text(200, "anybody there?"))
	})
	l.run(engine.Options{}, wf)
	r, u := open(l, wf, "")
	ctx, hangUp := context.WithCancel(t.Context())
	failed := make(chan error, 1)
	go func() {
		_, err := try(ctx, "POST", u, strings.NewReader("hello"))
		failed <- err
	}()
	receive(l, taken)
	hangUp()
	if err := receive(l, failed); !errors.Is(err, context.Canceled) {
		t.Errorf("the caller got %v", err)
	}
	release <- ""
	if got := result(l, r); got != "hello" {
		t.Errorf("the run got %q", got)
	}
	if logs := l.logs.String(); strings.Contains(logs, "ERROR") {
		t.Errorf("a caller that hung up is nobody's error:\n%s", logs)
	}
}

// Callers that wait when the engine stops are told to come again, and the request
// stays delivered.
func TestEngineStopsWhileCallersWait(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	taken := make(chan string, 10)
	wf := workflow.Define("interrupted", func(ctx workflow.Context, _ string) (string, error) {
		w, err := workflow.NewWebhook(ctx, workflow.RespondManually(), workflow.Token("t"))
		if err != nil {
			return "", err
		}
		if err := l.opened(ctx, w); err != nil {
			return "", err
		}
		r, err := w.Wait(ctx)
		if err != nil {
			return "", err
		}
		if err := workflow.Do(ctx, "taken", func(context.Context) error { taken <- ""; return nil }); err != nil {
			return "", err
		}
		_, err = w.Wait(ctx)
		return string(r.Body), err
	})
	l.run(engine.Options{}, wf)
	r, u := open(l, wf, "")
	got := make(chan answer, 1)
	go func() {
		a, err := try(t.Context(), "POST", u, strings.NewReader("hello"))
		if err != nil {
			t.Error(err)
		}
		got <- a
	}()
	receive(l, taken)
	l.stop()
	a := receive(l, got)
	if wantStatus(l, a, 503); a.header.Get("Retry-After") == "" {
		t.Error("no Retry-After")
	}
	a = l.post(u, "too late")
	if wantStatus(l, a, 503); a.header.Get("Retry-After") == "" {
		t.Error("no Retry-After from a closed engine")
	}
	l.run(engine.Options{}, wf)
	wantStatus(l, l.post(u, ""), 500)
	if got := result(l, r); got != "hello" {
		t.Errorf("the run got %q", got)
	}
}

func TestBadResponses(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	wf := workflow.Define("bad", func(ctx workflow.Context, _ string) ([]string, error) {
		var errs []string
		note := func(err error) {
			text := "fine"
			if err != nil {
				text = err.Error()
			}
			errs = append(errs, text)
		}
		bad := []workflow.Response{
			{Status: 199},
			{Status: 600},
			{Status: -1},
			workflow.JSON(200, func() {}),
			{Header: http.Header{"X Y": {"1"}}},
			{Header: http.Header{"": {"1"}}},
			{Header: http.Header{"X-Y": {"1\r\nSet-Cookie: a=b"}}},
			{Body: make([]byte, 5<<20)},
		}
		for _, r := range bad {
			_, err := workflow.NewWebhook(ctx, workflow.RespondWith(r))
			note(err)
		}
		w, err := workflow.NewWebhook(ctx, workflow.RespondManually())
		if err != nil {
			return nil, err
		}
		if err := l.opened(ctx, w); err != nil {
			return nil, err
		}
		r, err := w.Wait(ctx)
		if err != nil {
			return nil, err
		}
		for _, resp := range bad {
			note(r.Respond(ctx, resp))
			if err := workflow.Do(ctx, "try", func(ctx context.Context) error {
				note(r.Respond(ctx, resp))
				return nil
			}); err != nil {
				return nil, err
			}
		}
		_, err = workflow.NewWebhook(ctx, workflow.RespondManually(), workflow.RespondWith(workflow.Text(200, "")))
		note(err)
		_, err = workflow.NewWebhook(ctx, workflow.RespondWith(workflow.Text(200, "")), workflow.RespondManually())
		note(err)
		for _, opt := range []workflow.WebhookOption{
			workflow.Methods("HEAD"), workflow.Methods("OPTIONS"), workflow.Methods("post"), workflow.Methods(""), workflow.Methods("A B"),
			workflow.DedupeHeader(""), workflow.DedupeHeader("A B"), workflow.Verify(""), workflow.Token("."), workflow.Token(".."), workflow.Token(""),
		} {
			_, err := workflow.NewWebhook(ctx, opt)
			note(err)
		}
		note((&workflow.Request{}).Respond(ctx, workflow.Text(200, "")))
		return errs, r.Respond(ctx, workflow.Response{
			Status: 299,
			Header: http.Header{
				"Connection": {"close, X-Hop"}, "X-Hop": {"1"}, "Transfer-Encoding": {"chunked"}, "Content-Length": {"7"}, "Upgrade": {"x"},
				"Trailer": {"T"}, "Keep-Alive": {"1"}, "x-lower": {"a", "b"},
			},
			Body: []byte("fine"),
		})
	})
	l.run(engine.Options{}, wf)
	r, u := open(l, wf, "")
	a := l.post(u, "")
	if a.status != 299 || a.body != "fine" {
		t.Errorf("got %+v", a)
	}
	for _, name := range []string{"X-Hop", "Upgrade", "Trailer", "Keep-Alive", "Connection"} {
		if v := a.header[name]; v != nil {
			t.Errorf("header %s: %q belongs to the connection", name, v)
		}
	}
	if diff := cmp.Diff([]string{"a", "b"}, a.header["X-Lower"]); diff != "" {
		t.Error(diff)
	}
	for i, err := range result(l, r) {
		if err == "fine" {
			t.Errorf("mistake %d was not refused", i)
		}
	}
}

// Statuses without a body have none, and the connection can be used again.
func TestResponsesWithoutBody(t *testing.T) {
	t.Parallel()
	for _, status := range []int{204, 304, 205} {
		l := newLab(t)
		wf := l.collector(workflow.RespondWith(workflow.Text(status, "not allowed")))
		l.run(engine.Options{}, wf)
		_, u := open(l, wf, "")
		for range 2 {
			if a := l.post(u, ""); a.status != status || status != 205 && a.body != "" {
				t.Errorf("got %+v, want %d without body", a, status)
			}
		}
	}
}

// late answers each request after a while.
func (l *lab) late(after time.Duration) *workflow.Workflow[string, string] {
	return workflow.Define("slow", func(ctx workflow.Context, _ string) (string, error) {
		w, err := workflow.NewWebhook(ctx, workflow.RespondManually())
		if err != nil {
			return "", err
		}
		if err := l.opened(ctx, w); err != nil {
			return "", err
		}
		for r, err := range w.All(ctx) {
			if err != nil {
				return "", err
			}
			if err := workflow.Sleep(ctx, after); err != nil {
				return "", err
			}
			if err := r.Respond(ctx, workflow.Text(200, "late")); err != nil {
				return "", err
			}
		}
		return "", nil
	})
}
