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
)

type dashboardCmd struct {
	Listen   string `default:"127.0.0.1:8077" placeholder:"ADDR" help:"Address to listen on (${default}); port 0 is a free one."`
	Title    string `placeholder:"TEXT" help:"Shown beside the name, to tell dashboards apart."`
	ReadOnly bool   `help:"Leave out all that changes anything."`
}

func (c *dashboardCmd) Help() string {
	return `Shows runs, timelines and hooks in the browser, with forms to resume and buttons to steer, until Ctrl-C. Only this machine is served. For others, mount package dashboard in
your own program, behind its own sign-in.`
}

func (c *dashboardCmd) Run(a *app) error {
	if !access.Loopback(c.Listen) {
		return usage("--listen %s: the dashboard is for this machine alone: use 127.0.0.1", c.Listen)
	}
	cl, err := a.client()
	if err != nil {
		return err
	}
	h := dashboard.New(cl, dashboard.Options{Title: c.Title, ReadOnly: c.ReadOnly, Logger: a.logger()})
	return a.serve(c.Listen, h, "The dashboard is at", "/")
}

type serveCmd struct {
	Listen      string `default:"127.0.0.1:8078" placeholder:"ADDR" help:"Address to listen on (${default}); port 0 is a free one."`
	WriteTokens string `placeholder:"FILE" help:"File with tokens that may do everything, one a line."`
	ReadTokens  string `placeholder:"FILE" help:"File with tokens that may only look, one a line."`
}

func (c *serveCmd) Help() string {
	return `Serves Tenter's HTTP API until Ctrl-C, for "tenter --server", for package client and for programs in other languages; its description is at /api/v1/openapi.json below it. It
executes no runs and serves no webhooks: your own program does that, and can serve the API as well (server.API).

Without tokens only this machine is served. A token has at least 16 bytes:

  openssl rand -hex 32 > tokens
  tenter --db app.db serve --listen :8078 --write-tokens tokens`
}

func (c *serveCmd) Run(a *app) error {
	var policy access.Policy
	for _, f := range []struct {
		name  string
		scope access.Scope
	}{{c.WriteTokens, access.Write}, {c.ReadTokens, access.Read}} {
		if f.name == "" {
			continue
		}
		tokens, err := readTokens(f.name)
		if err != nil {
			return err
		}
		for _, token := range tokens {
			if len(token) < 16 {
				return usage("%s: a token in it has %d bytes, at least 16 are needed", f.name, len(token))
			}
			policy.Tokens = append(policy.Tokens, access.Token{Secret: token, Scope: f.scope})
		}
	}
	if len(policy.Tokens) == 0 && !access.Loopback(c.Listen) {
		return usage("--listen %s: others than this machine need tokens: say --write-tokens or --read-tokens", c.Listen)
	}
	cl, err := a.client()
	if err != nil {
		return err
	}
	return a.serve(c.Listen, server.API(cl, server.APIOptions{Access: policy, Logger: a.logger()}), "The API is at", server.APIPath)
}

// serve serves until the program is told to end.
func (a *app) serve(addr string, h http.Handler, what, path string) error {
	var config net.ListenConfig
	l, err := config.Listen(a.ctx, "tcp", addr)
	if err != nil {
		return err
	}
	streams, stop := context.WithCancel(context.WithoutCancel(a.ctx))
	defer stop()
	srv := &http.Server{
		Handler: h, ReadHeaderTimeout: 10 * time.Second, IdleTimeout: 2 * time.Minute,
		BaseContext: func(net.Listener) context.Context { return streams },
	}
	a.out.printf("%s http://%s%s — Ctrl-C ends it.\n", what, l.Addr(), path)
	ended := make(chan error, 1)
	go func() { ended <- srv.Serve(l) }()
	select {
	case err = <-ended:
		return err
	case <-a.ctx.Done():
	}
	stop() // who watches would hold the end up
	ctx, cancel := context.WithTimeout(context.WithoutCancel(a.ctx), 3*time.Second)
	defer cancel()
	if err := srv.Shutdown(ctx); err != nil {
		return errors.Join(err, srv.Close())
	}
	return nil
}
