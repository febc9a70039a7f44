package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"

	"github.com/tenter-dev/tenter/engine"
	"github.com/tenter-dev/tenter/server"
	"github.com/tenter-dev/tenter/workflow"
)

// connections is how many callers there are where there are many.
const connections = 64

// acceptedRequests has requests accepted over HTTP. The caller and the server share
// this process, and its CPU.
func acceptedRequests(to string, runs int) round {
	return onSite("", runs, func(ctx context.Context, e *env, s *site) ([]metric, error) {
		return s.accepted(ctx, e, to, atLeast(8000))
	})
}

// roundTrips times requests that a run answers, each caller with a run of its own.
func roundTrips(answer string, atATime int, p50 budget) round {
	return onSite(answer, atATime, func(ctx context.Context, e *env, s *site) ([]metric, error) {
		return s.answered(ctx, e, answer, atATime, p50)
	})
}

// onSite measures a site whose runs are executed by the process that serves it.
func onSite(answer string, runs int, measure func(context.Context, *env, *site) ([]metric, error)) round {
	return func(ctx context.Context, e *env) (ms []metric, err error) {
		s, err := newSite(ctx, e, engine.Options{}, answer, runs)
		if err != nil {
			return nil, err
		}
		defer func() { err = errors.Join(err, s.close()) }()
		return measure(ctx, e, s)
	}
}

// elsewhere measures a site whose runs worker processes execute.
func elsewhere(answer string, runs int, measure func(context.Context, *env, *site) ([]metric, error)) round {
	return onProcesses(0, func(ctx context.Context, e *env, url string, ps processes) (ms []metric, err error) {
		s, err := serve(ctx, answer, runs, func(public string) (*world, error) {
			return openEngine(ctx, url, engine.Options{PublicURL: public}, same)
		})
		if err != nil {
			return nil, err
		}
		defer func() { err = errors.Join(err, s.close()) }()
		return measure(ctx, e, s)
	})
}

// acceptedElsewhere has requests accepted by a process for runs that others execute.
func acceptedElsewhere(runs int) round {
	return elsewhere("", runs, func(ctx context.Context, e *env, s *site) ([]metric, error) {
		return s.accepted(ctx, e, fmt.Sprintf("to %d runs that 4 other processes execute", runs), budget{})
	})
}

// roundTripsElsewhere times requests to a process that runs in others answer.
func roundTripsElsewhere(answer string, atATime int) round {
	return elsewhere(answer, atATime, func(ctx context.Context, e *env, s *site) ([]metric, error) {
		return s.answered(ctx, e, answer+" in another process", atATime, budget{})
	})
}

// accepted has requests accepted.
func (s *site) accepted(ctx context.Context, e *env, to string, perSecond budget) ([]metric, error) {
	n := e.size(30_000)
	if err := each(n/5, connections, func(i int) error { return s.call(ctx, i, http.StatusAccepted) }); err != nil {
		return nil, err
	}
	before, counted := usageNow(), s.world.db.counts()
	if err := each(n, connections, func(i int) error { return s.call(ctx, i, http.StatusAccepted) }); err != nil {
		return nil, err
	}
	took := time.Since(before.at)
	used, requests := usageNow().since(before), float64(n)
	what := fmt.Sprintf("webhook requests answered 202, %d connections, %s", connections, to)
	return []metric{
		{name: what, value: requests / took.Seconds(), unit: "requests/s", budget: perSecond},
		{name: what + ": commits", value: float64(s.world.db.counts().since(counted).Commits) / requests, unit: "/request"},
		{name: what + ": CPU, the callers' too", value: float64(used.cpu.Microseconds()) / requests, unit: "µs/request"},
		{name: what + ": allocations, the callers' too", value: float64(used.allocs) / requests, unit: "/request"},
	}, nil
}

// answered times requests that a run answers.
func (s *site) answered(ctx context.Context, e *env, from string, atATime int, p50 budget) ([]metric, error) {
	n := e.size(min(3000*atATime, 20_000))
	if err := each(n/5, atATime, func(i int) error { return s.call(ctx, i, http.StatusOK) }); err != nil {
		return nil, err
	}
	took := make([]time.Duration, n)
	err := each(n, atATime, func(i int) error {
		began := time.Now()
		err := s.call(ctx, i, http.StatusOK)
		took[i] = time.Since(began)
		return err
	})
	if err != nil {
		return nil, err
	}
	what := fmt.Sprintf("webhook answered from %s, %d at a time", from, atATime)
	return []metric{
		{name: what + ": p50", value: milliseconds(percentile(took, 50)), unit: "ms", budget: p50},
		{name: what + ": p99", value: milliseconds(percentile(took, 99)), unit: "ms"},
	}, nil
}

// site is a world that is served over HTTP, with runs that wait for requests.
type site struct {
	world  *world
	server *http.Server
	client *http.Client
	url    string
	urls   []string // of the runs' webhooks
}

// newSite serves a world that executes its runs itself.
func newSite(ctx context.Context, e *env, opts engine.Options, answer string, runs int) (*site, error) {
	return serve(ctx, answer, runs, func(public string) (*world, error) {
		opts.PublicURL = public
		return newWorld(ctx, e, opts)
	})
}

// serve serves a world, and starts runs in it.
func serve(ctx context.Context, answer string, runs int, open func(public string) (*world, error)) (*site, error) {
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	url := "http://" + listener.Addr().String()
	w, err := open(url)
	if err != nil {
		return nil, errors.Join(err, listener.Close())
	}
	mux := http.NewServeMux()
	mux.Handle(server.WebhookPath, server.Webhooks(w.eng, server.Options{}))
	s := &site{
		url:    url,
		world:  w,
		server: &http.Server{Handler: mux, ReadHeaderTimeout: 5 * time.Second},
		client: &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: connections, MaxConnsPerHost: connections}},
		urls:   make([]string, runs),
	}
	go func() { _ = s.server.Serve(listener) }() // if it fails, so do the calls
	for i := range s.urls {
		run, err := webhookWorkflow.Start(ctx, w.eng, answer)
		if err != nil {
			return nil, errors.Join(err, s.close())
		}
		token, err := w.tokenWhenParked(ctx, run.ID())
		if err != nil {
			return nil, errors.Join(err, s.close())
		}
		s.urls[i] = s.url + server.WebhookPath + token
	}
	return s, nil
}

// call sends the i-th request to one of the runs.
func (s *site) call(ctx context.Context, i, want int) error {
	return s.post(ctx, s.urls[i%len(s.urls)], want)
}

// post sends a request, which has a body of 100 bytes.
func (s *site) post(ctx context.Context, url string, want int) error {
	body := bytes.Repeat([]byte("x"), 100)
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		return err
	}
	res, err := s.client.Do(req)
	if err != nil {
		return err
	}
	_, err = io.Copy(io.Discard, res.Body)
	if err := errors.Join(err, res.Body.Close()); err != nil {
		return err
	}
	if res.StatusCode != want {
		return fmt.Errorf("the webhook answered %s", res.Status)
	}
	return nil
}

func (s *site) close() error {
	s.client.CloseIdleConnections()
	return errors.Join(s.server.Close(), s.world.close())
}

// Where the runs of webhookWorkflow answer.
const (
	fromWorkflow = "the workflow"
	fromStep     = "a step"
)

// webhookWorkflow takes requests forever, and answers them if it is told where.
var webhookWorkflow = workflow.Define("webhook", func(ctx workflow.Context, answer string) (int, error) {
	var opts []workflow.WebhookOption
	if answer != "" {
		opts = append(opts, workflow.RespondManually())
	}
	hook, err := workflow.NewWebhook(ctx, opts...)
	if err != nil {
		return 0, err
	}
	n := 0
	for req, err := range hook.All(ctx) {
		if err != nil {
			return n, err
		}
		n++
		switch answer {
		case fromWorkflow:
			err = req.Respond(ctx, workflow.Text(http.StatusOK, "done"))
		case fromStep:
			err = workflow.Do(ctx, "answer", func(ctx context.Context) error {
				return req.Respond(ctx, workflow.Text(http.StatusOK, "done"))
			})
		}
		if err != nil {
			return n, err
		}
	}
	return n, nil
})
