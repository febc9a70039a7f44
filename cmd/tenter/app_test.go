package main

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/signal"
	"strings"
	"time"

	"github.com/tenter-dev/tenter/access"
	"github.com/tenter-dev/tenter/engine"
	"github.com/tenter-dev/tenter/sender"
	"github.com/tenter-dev/tenter/server"
	"github.com/tenter-dev/tenter/store"
	"github.com/tenter-dev/tenter/store/postgres"
	"github.com/tenter-dev/tenter/store/sqlite"
	"github.com/tenter-dev/tenter/workflow"
)

// appMain is the application of the scripts: a worker on the database of the environment,
// which serves the API if it is told an address.
func appMain() {
	build := flag.String("build", "1", "name of the build")
	lease := flag.Duration("lease", time.Minute, "the worker's: long enough for a busy machine, unless it is to lapse")
	renamed := flag.Bool("renamed", false, "be a build in which approve has another first step")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := work(ctx, *build, *lease, *renamed); err != nil {
		fmt.Fprintln(os.Stderr, "app:", err)
		os.Exit(1)
	}
}

func work(ctx context.Context, build string, lease time.Duration, renamed bool) error {
	st, err := openDatabase(ctx)
	if err != nil {
		return err
	}
	ask := "ask"
	if renamed {
		ask = "ask politely"
	}
	var eng *engine.Engine
	eng, err = engine.New(st, engine.Options{
		Workflows: append(workflows(ask), hub(&eng)), Hooks: []workflow.HookDefinition{approvals, quotes}, Build: build, Lease: lease,
		PublicURL: "https://example.com", Logger: slog.New(slog.DiscardHandler),
		AnswerKeys: []engine.AnswerKey{{ID: "2026-11", Key: bytes.Repeat([]byte("k"), 32)}},
		Senders:    map[string]*sender.Sender{"github": sender.Must(sender.GitHub("the secret of the app"))}, KeepRefused: 10,
	})
	if err != nil {
		return err
	}
	if addr := os.Getenv("APP_ADDR"); addr != "" {
		var config net.ListenConfig
		l, err := config.Listen(ctx, "tcp", addr)
		if err != nil {
			return err
		}
		api := server.API(eng, server.APIOptions{
			Access: access.Policy{APIKeys: []access.APIKey{{Secret: os.Getenv("TENTER_API_KEY"), Scope: access.Write, NamesOthers: true}}},
			Logger: slog.New(slog.DiscardHandler),
		})
		srv := &http.Server{Handler: api, ReadHeaderTimeout: time.Second}
		go func() { _ = srv.Serve(l) }()
		defer func() { _ = srv.Close() }()
	}
	return errors.Join(eng.Run(ctx), eng.Close(), st.Close())
}

// hub is a workflow with a webhook of GitHub's, to which it sends what GitHub has signed with another
// secret. It returns the first body that comes.
func hub(eng **engine.Engine) workflow.Definition {
	github := sender.Must(sender.GitHub("the secret of another app"))
	return workflow.Define("hub", func(ctx workflow.Context, bodies []string) (string, error) {
		w, err := workflow.NewWebhook(ctx, workflow.Token("hub"), workflow.From("github"))
		if err != nil {
			return "", err
		}
		err = workflow.Do(ctx, "send", func(ctx context.Context) error {
			for _, body := range bodies {
				r := &sender.Request{Method: http.MethodPost, Body: []byte(body), Header: http.Header{"X-Github-Event": {"push"}}}
				if err := github.Sign(r, time.Now()); err != nil {
					return err
				}
				at, err := (*eng).Webhook(ctx, "hub")
				if err != nil {
					return err
				}
				_, err = at.Deliver(ctx, &workflow.Request{Method: r.Method, URL: &url.URL{Path: "/hub"}, Header: r.Header, Body: r.Body})
				if !errors.Is(err, engine.ErrNotVerified) {
					return fmt.Errorf("the webhook says %w", err)
				}
			}
			return nil
		})
		if err != nil {
			return "", err
		}
		r, err := w.Wait(ctx)
		if err != nil {
			return "", err
		}
		return string(r.Body), nil
	})
}

func openDatabase(ctx context.Context) (store.Store, error) {
	db := os.Getenv("TENTER_DB")
	if own := os.Getenv("APP_DB"); own != "" {
		db = own
	}
	if strings.HasPrefix(db, "postgres:") {
		return postgres.OpenWith(ctx, db, postgres.Options{Schema: os.Getenv("TENTER_SCHEMA")})
	}
	return sqlite.Open(db)
}

type decision struct {
	Approved bool   `json:"approved"`
	Comment  string `json:"comment,omitempty"`
}

var approvals = workflow.DefineHook[decision]("approval")

var (
	quotes     = workflow.DefineCall[decision, string]("quote")
	errPrivate = workflow.DefineError("tenter_test: no comment")
)

// evil is what somebody would send who wants to take a terminal over.
const evil = "\x1b]0;pwned\x07\x1b[31mred \u202egnp\u009b2J"

func workflows(ask string) []workflow.Definition {
	pay := workflow.Define("pay", func(ctx workflow.Context, amount int) (string, error) {
		return workflow.Step(ctx, "charge", func(context.Context) (string, error) {
			if _, err := os.Stat(os.Getenv("BANK")); err != nil {
				return "", workflow.RetryAfter(errors.New("the bank is closed"), 10*time.Millisecond)
			}
			return fmt.Sprintf("paid %d", amount), nil
		}, workflow.MaxAttempts(2))
	})
	return []workflow.Definition{
		pay,
		workflow.Define("approve", func(ctx workflow.Context, doc string) (string, error) {
			hook, err := approvals.New(ctx, workflow.Token("approval:"+doc), workflow.Metadata(map[string]string{"title": doc}))
			if err != nil {
				return "", err
			}
			defer hook.Close()
			if err := workflow.Do(ctx, ask, func(context.Context) error { return nil }); err != nil {
				return "", err
			}
			within, cancel := workflow.WithTimeout(ctx, 24*time.Hour)
			defer cancel()
			d, err := hook.Wait(within)
			if err != nil {
				return "", err
			}
			return fmt.Sprintf("approved: %t", d.Approved), nil
		}),
		workflow.Define("order", func(ctx workflow.Context, amount int) (string, error) { return pay.Call(ctx, amount) }),
		workflow.Define("nap", func(ctx workflow.Context, _ any) (string, error) {
			return "rested", workflow.Sleep(ctx, time.Hour)
		}),
		workflow.Define("crowd", crowd),
		workflow.Define("follow", func(ctx workflow.Context, run string) (string, error) {
			return workflow.Await[string](ctx, run).Wait(ctx)
		}),
		workflow.Define("quote", func(ctx workflow.Context, token string) (string, error) {
			calls, err := quotes.Open(ctx, workflow.Token(token))
			if err != nil {
				return "", err
			}
			for call, err := range calls.All(ctx) {
				switch {
				case err != nil:
				case call.Input.Comment == "":
					err = call.Refuse(ctx, errPrivate)
				case call.Input.Comment == "later":
				default:
					err = call.Return(ctx, "he said: "+call.Input.Comment)
				}
				if err != nil || call.Input.Approved {
					return "quoted", err
				}
			}
			return "", nil
		}),
		workflow.Define("sign", func(ctx workflow.Context, doc string) (bool, error) {
			hook, err := approvals.New(ctx, workflow.Token("sign:"+doc))
			if err != nil {
				return false, err
			}
			for _, who := range []string{"ada@example.com", "bob@example.com"} {
				if _, err := workflow.AnswerLink(ctx, hook, workflow.Addressee(who), workflow.PageTitle("Sign "+doc+"?")); err != nil {
					return false, err
				}
			}
			d, err := hook.Wait(ctx)
			return d.Approved, err
		}),
		workflow.Define("greet", func(ctx workflow.Context, name string) (string, error) {
			if !workflow.Patched(ctx, "politeness") {
				return name, nil
			}
			return "Hello, " + name, nil
		}),
		workflow.Define("bot", func(ctx workflow.Context, answered int) (int, error) {
			inbox, err := workflow.NewHook[string](ctx, workflow.Token("bot"))
			if err != nil {
				return 0, err
			}
			if s, err := inbox.Wait(ctx); err != nil || s == "end" {
				return answered, err
			}
			return workflow.Restart[int](ctx, answered+1)
		}),
		workflow.Define("diary", func(ctx workflow.Context, page int) (int, error) {
			aside, err := workflow.NewHook[string](ctx, workflow.Token(fmt.Sprint("aside:", page)))
			if err != nil {
				return 0, err
			}
			turn, err := workflow.NewHook[string](ctx, workflow.Token("turn"))
			if err != nil {
				return 0, err
			}
			if _, err := turn.Wait(ctx); err != nil || page > 0 {
				return page, err
			}
			aside.Close()
			return workflow.Restart[int](ctx, page+1)
		}),
		workflow.Define("panics", func(_ workflow.Context, _ any) (string, error) {
			panic("assignment to entry in nil map")
		}),
		workflow.Define("webhook", func(ctx workflow.Context, _ any) (string, error) {
			hook, err := workflow.NewWebhook(ctx, workflow.Token("in"))
			if err != nil {
				return "", err
			}
			_, err = hook.Wait(ctx)
			return "", err
		}),
		workflow.Define("evil", func(ctx workflow.Context, _ any) (string, error) {
			hook, err := workflow.NewHook[string](ctx, workflow.Metadata(map[string]string{"title": evil}))
			if err != nil {
				return "", err
			}
			err = workflow.Do(ctx, "step", func(context.Context) error { return workflow.Fatal(errors.New(evil)) })
			if err == nil {
				_, err = hook.Wait(ctx)
			}
			return "", err
		}),
	}
}

// crowd waits for n of everything.
func crowd(ctx workflow.Context, n int) (string, error) {
	greet := workflow.Declare[string, string]("greet elsewhere")
	for i := range n {
		if _, err := workflow.NewHook[string](ctx, workflow.Metadata(i)); err != nil {
			return "", err
		}
	}
	var all []*workflow.Future[string]
	for range n {
		all = append(all,
			workflow.Go(ctx, func(ctx workflow.Context) (string, error) { return "", workflow.Sleep(ctx, time.Hour) }),
			workflow.Go(ctx, func(ctx workflow.Context) (string, error) { return greet.Call(ctx, "Ada") }),
			workflow.Go(ctx, func(ctx workflow.Context) (string, error) {
				return workflow.Step(ctx, "fail", func(context.Context) (string, error) {
					return "", workflow.RetryAfter(errors.New("not now"), time.Hour)
				})
			}))
	}
	return all[0].Wait(ctx)
}
