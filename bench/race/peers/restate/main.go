// Command restate races Restate: its server with its own storage, and services of the Go
// SDK in this process. As a client it only calls the ingress of a server.
package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"strconv"
	"sync/atomic"

	restate "github.com/restatedev/sdk-go"
	"github.com/restatedev/sdk-go/ingress"
	"github.com/restatedev/sdk-go/server"

	"github.com/tenter-dev/tenter/bench/race/peer"
)

func main() { peer.Main(open) }

// Race is the service.
type Race struct{}

// Steps executes n steps.
func (Race) Steps(ctx restate.Context, n int) (int, error) {
	sum := 0
	for range n {
		one, err := restate.Run(ctx, func(restate.RunContext) (int, error) { return peer.Step() }, restate.WithName("step"))
		if err != nil {
			return 0, err
		}
		sum += one
	}
	return sum, nil
}

// Parked returns its input with what resolves its awakeable. The key is how we call the
// run.
func (Race) Parked(ctx restate.Context, key string) (string, error) {
	awakeable := restate.Awakeable[string](ctx)
	peer.Waiting(key, awakeable.Id())
	payload, err := awakeable.Result()
	if err != nil {
		return "", err
	}
	return key + payload, nil
}

type system struct {
	services *services // nil in a client
	client   *ingress.Client
	http     *http.Client
	url      string // of the ingress
	keys     atomic.Int64
}

func open(ctx context.Context, c peer.Config) (_ peer.System, err error) {
	s := &system{url: "http://" + addressOf(c.Port)}
	// As many connections stay open as there are callers.
	s.http = &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 64}}
	s.client = ingress.NewClient(s.url, ingress.WithHttpClient(s.http))
	if c.Role == peer.RoleClient {
		return s, nil
	}
	s.services, err = startServices(ctx, c)
	return s, err
}

// services are the service, in this process, and the server that calls it.
type services struct {
	server *serverProcess
	stop   context.CancelFunc
	ended  chan error
}

func startServices(ctx context.Context, c peer.Config) (_ *services, err error) {
	srv, err := startServer(ctx, c)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, srv.stop())
		}
	}()
	address, err := freeAddress(ctx)
	if err != nil {
		return nil, err
	}
	serving, stop := context.WithCancel(ctx)
	s := &services{server: srv, stop: stop, ended: make(chan error, 1)}
	go func() {
		s.ended <- server.NewRestate().
			WithLogger(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn}), true).
			Bind(restate.Reflect(Race{})).
			Start(serving, address)
	}()
	if err := srv.register(ctx, "http://"+address); err != nil {
		stop()
		return nil, err
	}
	return s, nil
}

func (s *services) close() error {
	s.stop()
	return errors.Join(s.server.stop(), <-s.ended)
}

func (s *system) Run(ctx context.Context, n int) error {
	got, err := ingress.Service[int, int](s.client, "Race", "Steps").Request(ctx, n)
	if err == nil && got != n {
		err = fmt.Errorf("a run of %d steps returned %d", n, got)
	}
	return err
}

func (s *system) Park(ctx context.Context) (func(context.Context) error, error) {
	key := "parked" + strconv.FormatInt(s.keys.Add(1), 10)
	// Only what has an idempotency key can be attached to.
	run, err := ingress.Service[string, string](s.client, "Race", "Parked").Send(ctx, key, restate.WithIdempotencyKey(key))
	if err != nil {
		return nil, err
	}
	return func(ctx context.Context) error {
		if err := s.resolve(ctx, peer.Token(key)); err != nil {
			return err
		}
		got, err := run.Attach(ctx)
		if err == nil && got != key+"!" {
			err = fmt.Errorf("parked run %s returned %q", key, got)
		}
		return err
	}, nil
}

func (s *system) resolve(ctx context.Context, awakeable string) error {
	return post(ctx, s.http, s.url+"/restate/awakeables/"+awakeable+"/resolve", []byte(`"!"`))
}

func (s *system) Close() error {
	if s.services == nil {
		return nil
	}
	return s.services.close()
}

// post posts JSON.
func post(ctx context.Context, c *http.Client, url string, body []byte) (err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	res, err := c.Do(req)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, res.Body.Close()) }()
	var answer bytes.Buffer
	if _, err := answer.ReadFrom(res.Body); err != nil {
		return err
	}
	if res.StatusCode/100 != 2 {
		return fmt.Errorf("POST %s: %s: %s", url, res.Status, answer.String())
	}
	return nil
}
