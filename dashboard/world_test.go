package dashboard_test

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/tenter-dev/tenter/access"
	"github.com/tenter-dev/tenter/client"
	"github.com/tenter-dev/tenter/dashboard"
	"github.com/tenter-dev/tenter/engine"
	"github.com/tenter-dev/tenter/inspect"
	"github.com/tenter-dev/tenter/internal/memdir"
	"github.com/tenter-dev/tenter/server"
	"github.com/tenter-dev/tenter/store/sqlite"
	"github.com/tenter-dev/tenter/workflow"
)

// world is an engine with runs of all kinds, and a dashboard on a real socket.
type world struct {
	*testing.T
	store  *sqlite.Store
	eng    *engine.Engine
	client inspect.Client
	dash   http.Handler // if opts say nothing of access, everybody's
	srv    *http.Server
	url    string // of the dashboard, with a slash at the end
	web    string // of webhooks
}

type (
	order struct {
		Customer string   `json:"customer"`
		Items    []string `json:"items"`
		Total    float64  `json:"total"`
	}
	decision struct {
		Approved  bool     `json:"approved" jsonschema:"May it be published?"`
		Comment   string   `json:"comment,omitempty" jsonschema:"The author reads it."`
		Amount    float64  `json:"amount,omitempty"`
		Reviewers []string `json:"reviewers,omitempty"`
		Terms     *terms   `json:"terms,omitempty"`
	}
	terms struct {
		Days int    `json:"days"`
		Note string `json:"note,omitempty"`
	}
)

func (d decision) Validate() error {
	if d.Approved && d.Amount > 1000 {
		return errors.New("amount is more than 1000: that takes a director")
	}
	return nil
}

var approvals = workflow.DefineHook[decision]("approval")

var ship = workflow.Define("ship", func(ctx workflow.Context, parcel string) (string, error) {
	return workflow.Step(ctx, "label", func(context.Context) (string, error) { return "label of " + parcel, nil })
})

var orders = workflow.Define("order", func(ctx workflow.Context, in order) (string, error) {
	reserve, err := workflow.Step(ctx, "reserve", func(context.Context) (string, error) { return "stock-17", nil })
	if err != nil {
		return "", err
	}
	if _, err := ship.Call(ctx, "pre-"+in.Customer, workflow.RunID("ship-"+in.Customer)); err != nil {
		return "", err
	}
	hook, err := approvals.New(ctx, workflow.Token("approve:"+in.Customer), workflow.Metadata(in))
	if err != nil {
		return "", err
	}
	defer hook.Close()
	charge := workflow.Go(ctx, func(ctx workflow.Context) (string, error) {
		return workflow.Step(ctx, "charge", func(context.Context) (string, error) {
			return "", errors.New("card declined: the bank says to try again later")
		}, workflow.MaxAttempts(50), workflow.Backoff(400*time.Millisecond, time.Hour))
	})
	ctx, stop := workflow.WithTimeout(ctx, 24*time.Hour)
	defer stop()
	d, err := hook.Wait(ctx)
	if err != nil {
		return "", err
	}
	if !d.Approved {
		return "rejected: " + d.Comment, nil
	}
	if d.Amount == 1 {
		return "approved: " + d.Comment + " " + reserve, nil
	}
	return charge.Wait(ctx)
})

var quick = workflow.Define("resize", func(ctx workflow.Context, n int) (map[string]any, error) {
	for range n {
		if err := workflow.Do(ctx, "resize", func(context.Context) error { return nil }); err != nil {
			return nil, err
		}
	}
	return map[string]any{"ticks": n, "ok": true, "note": nil, "list": []int{1, 2, 3}}, nil
})

var crash = workflow.Define("import", func(ctx workflow.Context, what string) (string, error) {
	return workflow.Step(ctx, "parse", func(context.Context) (string, error) { panic("no such thing: " + what) }, workflow.MaxAttempts(2), workflow.Backoff(time.Millisecond, time.Millisecond))
})

var nap = workflow.Define("reminder", func(ctx workflow.Context, d time.Duration) (string, error) {
	return "rested", workflow.Sleep(ctx, d)
})

var untyped = workflow.Define("slackbot", func(ctx workflow.Context, token string) (any, error) {
	hook, err := workflow.NewHook[any](ctx, workflow.Token(token))
	if err != nil {
		return nil, err
	}
	return hook.Wait(ctx)
})

var callback = workflow.Define("delivery", func(ctx workflow.Context, token string) (string, error) {
	hook, err := workflow.NewWebhook(ctx, workflow.Token(token))
	if err != nil {
		return "", err
	}
	for _, err := range hook.All(ctx) {
		if err != nil {
			return "", err
		}
	}
	return "", nil
})

// secretive has a token that nobody can guess.
var secretive = workflow.Define("secretive", func(ctx workflow.Context, _ string) (any, error) {
	hook, err := workflow.NewHook[any](ctx)
	if err != nil {
		return nil, err
	}
	return hook.Wait(ctx)
})

var loop = workflow.Define("loop", func(ctx workflow.Context, token string) (int, error) {
	hook, err := workflow.NewHook[string](ctx, workflow.Token(token))
	if err != nil {
		return 0, err
	}
	n := 0
	for _, err := range hook.All(ctx) {
		if err != nil {
			return n, err
		}
		n++
	}
	return n, nil
})

// crowd waits at n hooks.
var crowd = workflow.Define("crowd", func(ctx workflow.Context, n int) (string, error) {
	var cases []workflow.Case
	for i := range n {
		hook, err := approvals.New(ctx, workflow.Metadata(i))
		if err != nil {
			return "", err
		}
		cases = append(cases, workflow.OnPayload(hook, func(decision) error { return nil }))
	}
	return "", workflow.Select(ctx, cases...)
})

var echo = workflow.Define("echo", func(_ workflow.Context, text string) (string, error) { return text, nil })

// lost is started and implemented nowhere.
var lost = workflow.Declare[string, string]("legacy")

func newWorld(t *testing.T, opts dashboard.Options, more ...func(*engine.Options)) *world {
	t.Helper()
	st, err := sqlite.OpenWith(filepath.Join(memdir.TempDir(t), "world.db"), sqlite.Options{Private: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = st.Close() })
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	w := &world{T: t, store: st, url: "http://" + listener.Addr().String() + "/ops/tenter/", web: "http://" + listener.Addr().String()}
	quiet := slog.New(slog.DiscardHandler)
	engineOptions := engine.Options{
		Workflows: []workflow.Definition{ship, orders, quick, crash, nap, untyped, callback, secretive, loop, crowd, echo, travel},
		Hooks:     []workflow.HookDefinition{approvals, trips},
		Elsewhere: []string{lost.Name()},
		PublicURL: w.web,
		Logger:    quiet,
	}
	for _, m := range more {
		m(&engineOptions)
	}
	w.eng, err = engine.New(st, engineOptions)
	if err != nil {
		t.Fatal(err)
	}
	w.client = w.eng
	ctx, stop := context.WithCancel(context.WithoutCancel(t.Context()))
	done := make(chan error, 1)
	go func() { done <- w.eng.Run(ctx) }()
	if opts.Access.APIKeys == nil && opts.Access.Authorize == nil {
		opts.Access.Unauthenticated = access.Write
	}
	w.dash = dashboard.New(w.client, opts)
	mux := http.NewServeMux()
	mux.Handle("/ops/tenter/", http.StripPrefix("/ops/tenter", w.dash))
	mux.Handle(server.WebhookPath, server.Webhooks(w.eng, server.Options{}))
	mux.Handle(server.APIPath, server.API(w.eng, server.APIOptions{Access: access.Policy{Unauthenticated: access.Write}, Logger: quiet}))
	remote, err := client.New(w.web, client.Options{})
	if err != nil {
		t.Fatal(err)
	}
	mux.Handle("/remote/", http.StripPrefix("/remote", dashboard.New(remote, opts)))
	w.srv = &http.Server{Handler: mux, ReadHeaderTimeout: 5 * time.Second}
	go func() { _ = w.srv.Serve(listener) }()
	t.Cleanup(func() {
		_ = w.srv.Close()
		stop()
		if err := errors.Join(<-done, w.eng.Close()); err != nil {
			t.Error(err)
		}
	})
	return w
}

// start starts a run of a workflow.
func start[In, Out any](w *world, wf *workflow.Workflow[In, Out], in In, opts ...workflow.StartOption) *workflow.Run[Out] {
	w.Helper()
	run, err := wf.Start(w.Context(), w.eng, in, opts...)
	if err != nil {
		w.Fatal(err)
	}
	return run
}

// ended waits until a run has ended.
func ended[Out any](w *world, run *workflow.Run[Out]) {
	w.Helper()
	_, _ = run.Result(w.Context())
}

// post sends a request to a webhook.
func post(w *world, token string, header ...string) {
	w.Helper()
	r, err := http.NewRequestWithContext(w.Context(), http.MethodPost, w.web+server.WebhookPath+token+"?from=here", strings.NewReader(`{"parcel": 7}`))
	if err != nil {
		w.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/json")
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		w.Fatal(err)
	}
	defer res.Body.Close()
	if res.StatusCode >= 300 {
		w.Fatalf("the webhook says %s", res.Status)
	}
}

// eventually waits until something is so.
func (w *world) eventually(so func() bool) {
	w.Helper()
	for !so() {
		select {
		case <-time.After(5 * time.Millisecond):
		case <-w.Context().Done():
			w.Fatal("it never was")
		}
	}
}
