package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strings"
	"time"

	"github.com/tenter-dev/tenter/access"
	"github.com/tenter-dev/tenter/engine"
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
	eng, err := engine.New(st, engine.Options{
		Workflows: workflows(ask), Hooks: []workflow.HookDefinition{approvals}, Build: build, Lease: lease,
		PublicURL: "https://example.com", Logger: slog.New(slog.DiscardHandler),
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
			Access: access.Policy{APIKeys: []access.APIKey{{Secret: os.Getenv("TENTER_API_KEY"), Scope: access.Write}}},
			Logger: slog.New(slog.DiscardHandler),
		})
		srv := &http.Server{Handler: api, ReadHeaderTimeout: time.Second}
		go func() { _ = srv.Serve(l) }()
		defer func() { _ = srv.Close() }()
	}
	return errors.Join(eng.Run(ctx), eng.Close(), st.Close())
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
		workflow.Define("greet", func(_ workflow.Context, name string) (string, error) { return "Hello, " + name, nil }),
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
