package main

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/tenter-dev/tenter/inspect"
)

type webhooksRefusedCmd struct {
	Request string `arg:"" optional:"" help:"ID of a request, to show all of it."`
	Limit   int    `short:"n" default:"50" placeholder:"N" help:"At most this many (${default}); 0 is all."`
}

func (c *webhooksRefusedCmd) Help() string {
	return `Requests to webhooks whose sender could not be verified, the newest first: the secret was wrong, say. They are kept if engine.Options.KeepRefused says so, and the oldest give way to newer ones.

  tenter webhooks refused
  tenter webhooks refused 4Q2mBz7Rk1uVc9TfXw0Ya3
  tenter webhooks redeliver 4Q2mBz7Rk1uVc9TfXw0Ya3

Values of sensitive headers are masked.

With --json each line is a request: id, token, hook_id, run_id, workflow (whose runs the route starts), sender, reason, request (method, url, header, body, body_size, received_at …).`
}

func (c *webhooksRefusedCmd) Run(a *app) error {
	cl, err := a.client()
	if err != nil {
		return err
	}
	if c.Request != "" {
		r, err := cl.RefusedRequest(a.ctx, c.Request)
		if err != nil {
			return err
		}
		return a.showRefused(r)
	}
	var f inspect.RefusedFilter
	now := time.Now()
	l := list[inspect.RefusedRequest]{
		limit: c.Limit,
		page: func(limit int) ([]inspect.RefusedRequest, error) {
			f.Limit = limit
			all, err := cl.RefusedRequests(a.ctx, f)
			if len(all) > 0 {
				f.Before = all[len(all)-1].Number
			}
			return all, err
		},
		table: table{head: []string{"REQUEST", "RECEIVED", "SENDER", "TOKEN", "RUN", "REASON"}, keep: []int{0}},
		row: func(r inspect.RefusedRequest) []cell {
			return []cell{text(r.ID).in(bold), text(ago(r.Request.ReceivedAt, now)), text(r.Sender), text(r.Token), text(r.RunID), text(r.Reason)}
		},
		none: "No refused requests are kept.",
		more: listAll,
	}
	return l.print(a)
}

func (a *app) showRefused(r inspect.RefusedRequest) error {
	if a.cli.JSON {
		return a.out.json(r)
	}
	target, err := a.target()
	if err != nil {
		return err
	}
	t := table{head: []string{"", ""}}
	t.add(text("request"), text(r.ID).in(bold))
	t.add(text("received"), text(stamp(r.Request.ReceivedAt)+", "+ago(r.Request.ReceivedAt, time.Now())))
	for _, fact := range [][2]string{
		{"reason", r.Reason}, {"sender", r.Sender}, {"token", r.Token}, {"run", r.RunID}, {"starts", r.Workflow}, {"from", r.Request.RemoteAddr},
	} {
		if fact[1] != "" {
			t.add(text(fact[0]), text(fact[1]))
		}
	}
	t.print(a.out, "")
	a.out.heading("REQUEST")
	a.out.printf("  %s %s\n", line(r.Request.Method), line(r.Request.URL))
	for _, name := range slices.Sorted(maps.Keys(r.Request.Header)) {
		for _, value := range r.Request.Header[name] {
			a.out.printf("  %s: %s\n", line(name), line(value))
		}
	}
	if len(r.Request.Body) > 0 {
		body := "(not text)"
		if utf8.Valid(r.Request.Body) {
			body = clean(strings.TrimSpace(string(r.Request.Body)))
		}
		a.out.heading(fmt.Sprintf("BODY, %d BYTES", r.Request.BodySize))
		a.out.printf("%s\n", indent(body, "  "))
	}
	a.out.heading("HOW TO DELIVER IT")
	a.out.printf("  %s\n", a.out.in(bold, clean(target.command("webhooks", "redeliver", r.ID))))
	return nil
}

type webhooksRedeliverCmd struct {
	Requests   []string `arg:"" name:"request" help:"IDs of requests."`
	Unverified bool     `help:"Deliver them without asking the sender: you vouch that they are genuine."`
}

func (c *webhooksRedeliverCmd) Help() string {
	return `Verifies refused requests again, with the secrets that the sender has now and as of the time when they were received; delivers them as if they had just come, each once; and drops them from the list.

  tenter webhooks redeliver 4Q2mBz7Rk1uVc9TfXw0Ya3

Only the program that serves the webhooks has the secrets, so this needs --server. On a database, requests can only be delivered with --unverified: look at them first, since anybody could have sent them. A delivery that the run has got meanwhile is dropped.

A request that can't be verified stays in the list; the exit code is 4. Before an ID that begins with a hyphen, write --.`
}

func (c *webhooksRedeliverCmd) Run(a *app) error {
	return a.each(c.Requests, "is delivered", func(cl inspect.Client, id string) error {
		_, err := cl.Redeliver(a.ctx, inspect.Redelivery{ID: id, Unverified: c.Unverified})
		return err
	})
}
