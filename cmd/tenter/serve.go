package main

import (
	"context"
	"errors"
	"net"
	"net/http"
	"time"

	"github.com/tenter-dev/tenter/access"
	"github.com/tenter-dev/tenter/dashboard"
	"github.com/tenter-dev/tenter/server"
	"github.com/tenter-dev/tenter/workflow"
)

type dashboardCmd struct {
	Listen          string `default:"127.0.0.1:8077" placeholder:"ADDR" help:"Address to listen on (${default}); port 0 is a free one."`
	Title           string `placeholder:"TEXT" help:"Shown beside the name, to tell dashboards apart."`
	ReadOnly        bool   `help:"Leave out all that changes anything, and mask generated tokens of hooks."`
	SignInKey       string `placeholder:"FILE" help:"File with the key that people sign in with; it is created if missing. Default: a new key each time."`
	Unauthenticated bool   `help:"Ask for no API key: everybody who reaches the address may do everything, and so may every user of this machine."`
}

func (c *dashboardCmd) Help() string {
	return `Shows runs, timelines and hooks in the browser, with forms to resume and buttons to steer, until Ctrl-C. It prints a link that signs a browser in, and without it nothing is served;
it listens on this machine alone. For others, mount package dashboard in your own program, with keys or behind its own sign-in.`
}

func (c *dashboardCmd) Run(a *app) error {
	if !access.Loopback(c.Listen) {
		return usage("--listen %s: the dashboard is for this machine alone: use 127.0.0.1", c.Listen)
	}
	policy, path, err := c.access()
	if err != nil {
		return err
	}
	cl, err := a.client()
	if err != nil {
		return err
	}
	if name := workflow.ActorOf(a.ctx).Name; name != "" {
		policy.Name = func(*http.Request) string { return name }
	}
	h := dashboard.New(cl, dashboard.Options{Title: c.Title, ReadOnly: c.ReadOnly, Access: policy, Logger: a.logger()})
	return a.serve(c.Listen, h, func(url string) {
		a.out.printf("The dashboard is at %s — Ctrl-C ends it.\n", url+path)
	})
}

// access is who may use the dashboard, and the path of the link to print.
func (c *dashboardCmd) access() (access.Policy, string, error) {
	if c.Unauthenticated && c.SignInKey != "" {
		return access.Policy{}, "", usage("--unauthenticated and --sign-in-key: give one of them")
	}
	if c.Unauthenticated {
		return access.Policy{Unauthenticated: access.Write}, "/", nil
	}
	key := access.NewAPIKey(access.Write)
	if c.SignInKey != "" {
		var err error
		if key, err = access.APIKeyFile(c.SignInKey, access.Write); err != nil {
			return access.Policy{}, "", err
		}
	}
	return access.Policy{APIKeys: []access.APIKey{key}}, dashboard.SignInURL("", key), nil
}

type serveCmd struct {
	Listen          string `default:"127.0.0.1:8078" placeholder:"ADDR" help:"Address to listen on (${default}); port 0 is a free one."`
	WriteKeys       string `placeholder:"FILE" help:"File with keys that may do everything, one a line; a name before a key is who does it in journals."`
	ReadKeys        string `placeholder:"FILE" help:"File with keys that may only read, as with --write-keys."`
	Unauthenticated bool   `help:"Ask for no API key: everybody who reaches the address may do everything, and so may every user of this machine."`
}

func (c *serveCmd) Help() string {
	return `Serves Tenter's HTTP API until Ctrl-C, for "tenter --server", for package client and for programs in other languages; its description is at /api/v1/openapi.json below it. It
executes no runs and serves no webhooks: your own program does that, and can serve the API as well (server.API).

Without files of keys it makes an API key, which is good until it ends, prints the line that tells it to other commands, and listens on this machine alone. An API key has at least 16 bytes:

  openssl rand -hex 32 > keys
  tenter --db app.db serve --listen :8078 --write-keys keys`
}

func (c *serveCmd) Run(a *app) error {
	policy, err := c.access()
	if err != nil {
		return err
	}
	configured := len(policy.APIKeys) > 0
	if !configured && !access.Loopback(c.Listen) {
		return usage("--listen %s: others than this machine need keys: say --write-keys or --read-keys", c.Listen)
	}
	made := access.NewAPIKey(access.Write)
	if !configured && !c.Unauthenticated {
		policy.APIKeys = []access.APIKey{made}
	}
	cl, err := a.client()
	if err != nil {
		return err
	}
	return a.serve(c.Listen, server.API(cl, server.APIOptions{Access: policy, Logger: a.logger()}), func(url string) {
		a.out.printf("The API is at %s%s — Ctrl-C ends it.\n", url, server.APIPath)
		if !configured && !c.Unauthenticated {
			a.out.printf("It needs an API key, which it has made for as long as it lasts:\n\n  export TENTER_SERVER=%s TENTER_API_KEY=%s\n\n", url, made.Secret)
		}
	})
}

// access is who may use the API. Without keys it is still to be decided.
func (c *serveCmd) access() (policy access.Policy, err error) {
	for _, f := range []struct {
		name  string
		scope access.Scope
	}{{c.WriteKeys, access.Write}, {c.ReadKeys, access.Read}} {
		if f.name == "" {
			continue
		}
		keys, err := readKeys(f.name)
		if err != nil {
			return policy, err
		}
		for _, key := range keys {
			if len(key.Secret) < 16 {
				return policy, usage("%s: an API key in it has %d bytes, at least 16 are needed", f.name, len(key.Secret))
			}
			key.Scope = f.scope
			policy.APIKeys = append(policy.APIKeys, key)
		}
	}
	if c.Unauthenticated {
		if len(policy.APIKeys) > 0 {
			return policy, usage("--unauthenticated and keys: give one of them")
		}
		policy.Unauthenticated = access.Write
	}
	return policy, nil
}

// serve serves until the program is told to end. It announces the URL once it listens.
func (a *app) serve(addr string, h http.Handler, announce func(url string)) error {
	var config net.ListenConfig
	l, err := config.Listen(a.ctx, "tcp", addr)
	if err != nil {
		return err
	}
	streams, stop := context.WithCancel(workflow.WithActor(context.WithoutCancel(a.ctx), workflow.Actor{})) // it is others who send requests
	defer stop()
	srv := &http.Server{
		Handler: h, ReadHeaderTimeout: 10 * time.Second, IdleTimeout: 2 * time.Minute,
		BaseContext: func(net.Listener) context.Context { return streams },
	}
	announce("http://" + l.Addr().String())
	ended := make(chan error, 1)
	go func() { ended <- srv.Serve(l) }()
	select {
	case err = <-ended:
		return err
	case <-a.ctx.Done():
	}
	stop() // watchers would delay the end
	ctx, cancel := context.WithTimeout(context.WithoutCancel(a.ctx), 3*time.Second)
	defer cancel()
	if err := srv.Shutdown(ctx); err != nil {
		return errors.Join(err, srv.Close())
	}
	return nil
}
