package client_test

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tenter-dev/tenter/access"
	"github.com/tenter-dev/tenter/client"
	"github.com/tenter-dev/tenter/engine"
	"github.com/tenter-dev/tenter/inspect"
	"github.com/tenter-dev/tenter/internal/apicheck"
	"github.com/tenter-dev/tenter/internal/memdir"
	"github.com/tenter-dev/tenter/sender"
	"github.com/tenter-dev/tenter/server"
	"github.com/tenter-dev/tenter/store/sqlite"
	"github.com/tenter-dev/tenter/workflow"
)

// world is an engine at work on a SQLite file, and its API on loopback.
type world struct {
	*testing.T
	store *sqlite.Store
	eng   *engine.Engine
	srv   *httptest.Server
	check *apicheck.Checker
}

const (
	readKey  = "read-key-of-the-tests"
	writeKey = "write-key-of-the-tests"
	namedKey = "named-key-of-the-tests"
)

// patience is how long anything may take that should happen at once, on a busy machine too.
const patience = 5 * time.Minute

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{T: t}
	var err error
	if w.store, err = sqlite.Open(filepath.Join(memdir.TempDir(t), "a.db")); err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	w.srv = httptest.NewServer(mux)
	quiet := slog.New(slog.DiscardHandler)
	github, err := sender.GitHub("secret-of-the-tests")
	if err != nil {
		t.Fatal(err)
	}
	w.eng, err = engine.New(w.store, engine.Options{
		Workflows: definitions, Elsewhere: []string{"elsewhere"}, Hooks: []workflow.HookDefinition{approvals, sums}, Logger: quiet, MaxPayload: 1 << 20,
		PublicURL: w.srv.URL, Senders: map[string]*sender.Sender{"github": github}, KeepRefused: 10,
	})
	if err != nil {
		t.Fatal(err)
	}
	api := server.API(w.eng, server.APIOptions{Logger: quiet, Access: access.Policy{APIKeys: []access.APIKey{
		{Secret: readKey, Scope: access.Read},
		{Secret: writeKey, Scope: access.Write, NamesOthers: true},
		{Secret: namedKey, Scope: access.Write, Name: "grace"},
	}}})
	if w.check, err = apicheck.New(api, describe(t, api), func(wrong string) { t.Error(wrong) }); err != nil {
		t.Fatal(err)
	}
	mux.Handle(server.APIPath, w.check)
	mux.Handle(server.WebhookPath, server.Webhooks(w.eng, server.Options{}))
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	done := make(chan error, 1)
	go func() { done <- w.eng.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := errors.Join(<-done, w.eng.Close()); err != nil {
			t.Errorf("stop the engine: %v", err)
		}
		w.srv.Close()
		if err := w.store.Close(); err != nil {
			t.Error(err)
		}
	})
	return w
}

// describe gets the OpenAPI document of an API.
func describe(t *testing.T, api http.Handler) []byte {
	t.Helper()
	r := httptest.NewRequest(http.MethodGet, server.APIPath+"openapi.json", nil)
	r.Header.Set("Authorization", "Bearer "+readKey)
	rec := httptest.NewRecorder()
	api.ServeHTTP(rec, r)
	if rec.Code != http.StatusOK {
		t.Fatalf("openapi.json: %d %s", rec.Code, rec.Body)
	}
	return rec.Body.Bytes()
}

func (w *world) client(token string) *client.Client {
	w.Helper()
	c, err := client.New(w.srv.URL, client.Options{APIKey: token, HTTPClient: w.srv.Client()})
	if err != nil {
		w.Fatal(err)
	}
	return c
}

// both calls f with the engine and with a client of its API, which are to behave alike.
func both(t *testing.T, f func(w *world, c inspect.Client)) {
	t.Helper()
	for name, of := range map[string]func(*world) inspect.Client{
		"engine": func(w *world) inspect.Client { return w.eng },
		"client": func(w *world) inspect.Client { return w.client(writeKey) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			f(w, of(w))
		})
	}
}

func (w *world) ok(err error) {
	w.Helper()
	if err != nil {
		w.Fatal(err)
	}
}

func (w *world) is(err, want error) {
	w.Helper()
	if !errors.Is(err, want) {
		w.Errorf("error is %v, want %v", err, want)
	}
}

// until looks at a run each time it changes, until it is as it should be.
func (w *world) until(runID string, as func(workflow.RunInfo) bool) {
	w.Helper()
	ctx, cancel := context.WithTimeout(w.Context(), patience)
	defer cancel()
	var last workflow.RunInfo
	reached := false
	err := w.eng.Watch(ctx, runID, func(inspect.Change) {
		if info, err := w.eng.RunInfo(ctx, runID); err == nil {
			if last = info; as(info) {
				reached = true
				cancel()
			}
		}
	})
	if err != nil || !reached {
		w.Fatalf("run %s does not become what it should: %+v, %v", runID, last, err)
	}
}

func (w *world) untilWaiting(runID string) {
	w.Helper()
	w.until(runID, func(i workflow.RunInfo) bool { return i.Status == workflow.StatusWaiting })
}

// The workflows of the tests.

type decision struct {
	Approved bool   `json:"approved"`
	By       string `json:"by"`
}

var errNobody = workflow.DefineError("client_test: somebody has to decide")

func (d decision) Validate() error {
	if d.By == "" {
		return errNobody
	}
	return nil
}

var (
	errCard   = workflow.DefineError("client_test: card declined")
	approvals = workflow.DefineHook[decision]("approval")

	// approve waits for a decision at the token that is its input.
	approve = workflow.Define("approve", func(ctx workflow.Context, token string) (string, error) {
		hook, err := approvals.New(ctx, workflow.Token(token), workflow.Metadata(map[string]string{"for": "tests"}))
		if err != nil {
			return "", err
		}
		d, err := hook.Wait(ctx)
		if err != nil {
			return "", err
		}
		return fmt.Sprintf("%t by %s", d.Approved, d.By), nil
	})
	// collect collects texts until "end", at its token.
	collect = workflow.Define("collect", func(ctx workflow.Context, token string) ([]string, error) {
		hook, err := workflow.NewHook[string](ctx, workflow.Token(token))
		if err != nil {
			return nil, err
		}
		var all []string
		for text, err := range hook.All(ctx) {
			if err != nil {
				return all, err
			}
			if text == "end" {
				break
			}
			all = append(all, text)
		}
		return all, nil
	})
	// add adds.
	add = workflow.Define("add", func(ctx workflow.Context, in []int) (int, error) {
		return workflow.Step(ctx, "sum", func(context.Context) (sum int, err error) {
			for _, n := range in {
				sum += n
			}
			return sum, nil
		})
	})
	// fail fails, unless it was mended.
	mended sync.Map // by run ID
	fail   = workflow.Define("fail", func(ctx workflow.Context, _ string) (string, error) {
		return workflow.Step(ctx, "charge", func(ctx context.Context) (string, error) {
			if _, ok := mended.Load(workflow.InfoOf(ctx).RunID); ok {
				return "mended", nil
			}
			return "", workflow.Fatal(fmt.Errorf("charge: %w", errCard))
		})
	})
	// sleep sleeps for a day.
	sleep = workflow.Define("sleep", func(ctx workflow.Context, _ string) (string, error) {
		return "slept", workflow.Sleep(ctx, 24*time.Hour)
	})
	// follow awaits a run that returns a text.
	follow = workflow.Define("follow", func(ctx workflow.Context, id string) (string, error) {
		return workflow.Await[string](ctx, id).Wait(ctx)
	})
	// receive takes two signed requests at a webhook and answers the first.
	receive = workflow.Define("receive", func(ctx workflow.Context, token string) (string, error) {
		hook, err := workflow.NewWebhook(ctx, workflow.Token(token), workflow.RespondManually(), workflow.Verify("github"))
		if err != nil {
			return "", err
		}
		r, err := hook.Wait(ctx)
		if err != nil {
			return "", err
		}
		if err := r.Respond(ctx, workflow.Response{Status: 200, Header: http.Header{"Set-Cookie": {"secret=1"}}, Body: []byte("thanks")}); err != nil {
			return "", err
		}
		_, err = hook.Wait(ctx)
		return "", err
	})
	// slow executes a step until it is let go on.
	goOn sync.Map // by run ID: chan struct{}
	slow = workflow.Define("slow", func(ctx workflow.Context, _ string) (string, error) {
		return workflow.Step(ctx, "work", func(ctx context.Context) (string, error) {
			ch, _ := goOn.LoadOrStore(workflow.InfoOf(ctx).RunID, make(chan struct{}))
			select {
			case <-ch.(chan struct{}): //nolint:forcetypeassert // nothing else is in it
				return "done", nil
			case <-ctx.Done():
				return "", ctx.Err()
			}
		})
	})

	// prober calls a function with its context.
	probe  atomic.Value
	prober = workflow.Define("prober", func(ctx workflow.Context, _ string) (string, error) {
		probe.Load().(func(workflow.Context))(ctx) //nolint:forcetypeassert // nothing else is in it
		return "", nil
	})

	definitions = []workflow.Definition{approve, collect, add, fail, sleep, follow, receive, slow, prober, adder, diary.Implement(keepDiary)}
)

// sign signs a request as GitHub does.
func sign(r *http.Request, body string) {
	mac := hmac.New(sha256.New, []byte("secret-of-the-tests"))
	mac.Write([]byte(body))
	r.Header.Set("X-Hub-Signature-256", "sha256="+hex.EncodeToString(mac.Sum(nil)))
}

var diary = workflow.Declare[int, int]("diary")

// keepDiary closes a hook that it does not read, and restarts, when it is told to; its second
// generation waits.
func keepDiary(ctx workflow.Context, generation int) (int, error) {
	unread, err := workflow.NewHook[string](ctx, workflow.Token(fmt.Sprint("unread ", generation)))
	if err != nil {
		return 0, err
	}
	turn, err := workflow.NewHook[string](ctx, workflow.Token("turn"))
	if err != nil {
		return 0, err
	}
	if _, err := turn.Wait(ctx); err != nil || generation > 0 {
		return generation, err
	}
	unread.Close()
	return diary.Restart(ctx, generation+1)
}
