package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tenter-dev/tenter/bench/race/peer"
)

// behavior, in the environment, makes the test binary the program of a fake engine. It
// says what the worker does with the runs of a client.
const behavior = "TENTER_RACE_FAKE"

const (
	executes = "executes"
	pretends = "pretends" // to have executed them
	waits    = "waits"    // and never answers
	refuses  = "refuses"
)

func TestMain(m *testing.M) {
	if how := os.Getenv(behavior); how != "" {
		peer.Main(func(ctx context.Context, c peer.Config) (peer.System, error) { return openFake(ctx, c, how) })
		return
	}
	os.Exit(m.Run())
}

// fake is an engine whose client asks the worker over HTTP.
type fake struct {
	config peer.Config
	server http.Server
	parked atomic.Int64
}

func openFake(ctx context.Context, c peer.Config, how string) (peer.System, error) {
	f := &fake{config: c}
	if c.Role != peer.RoleWorker {
		return f, nil
	}
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", f.address())
	if err != nil {
		return nil, err
	}
	f.server.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch how {
		case executes:
			n, _ := strconv.Atoi(r.URL.Query().Get("steps"))
			for range n {
				_, _ = peer.Step()
			}
		case waits:
			<-r.Context().Done()
		case refuses:
			http.Error(w, "no runs today", http.StatusServiceUnavailable)
		}
	})
	go f.server.Serve(l) //nolint:errcheck // it ends with Close
	return f, nil
}

func (f *fake) address() string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(f.config.Port)) }

func (f *fake) Run(ctx context.Context, steps int) error {
	if f.config.Role == peer.RoleAll {
		for range steps {
			_, _ = peer.Step()
		}
		return nil
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, fmt.Sprintf("http://%s/?steps=%d", f.address(), steps), nil)
	if err != nil {
		return err
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	answer, err := io.ReadAll(res.Body)
	if err == nil && res.StatusCode != http.StatusOK {
		err = errors.New(strings.TrimSpace(string(answer)))
	}
	return err
}

func (f *fake) Park(context.Context) (func(context.Context) error, error) {
	peer.Waiting(strconv.FormatInt(f.parked.Add(1), 10), "")
	return func(context.Context) error { return nil }, nil
}

func (f *fake) Close() error { return f.server.Close() }

// raceFake races an engine whose worker behaves so.
func raceFake(t *testing.T, how string, limit time.Duration) *outcome {
	t.Helper()
	t.Setenv(behavior, how)
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	r := &race{
		dir:    t.TempDir(),
		builds: map[string]build{"fake": {program: program}},
		sizes: sizes{
			warm: 50 * time.Millisecond, runs: 500 * time.Millisecond, one: 50 * time.Millisecond,
			apart: limit, parked: 20, parking: time.Minute, resuming: time.Minute,
		},
	}
	o := &outcome{contender: contender{name: "Fake", peer: "fake", apart: "over HTTP"}}
	if err := r.raceOnce(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	if len(o.values[&runsPerSecond]) != 1 || len(o.values[&resumeP50]) != 1 {
		t.Errorf("what was measured in one process is lost: %v", o.values)
	}
	return o
}

func TestRunsAreExecutedByAnotherProcess(t *testing.T) {
	o := raceFake(t, executes, time.Minute)
	if runs, _, _, ok := o.of(&apartPerSecond); !ok || runs <= 0 || len(o.notes) > 0 {
		t.Errorf("%v runs/s, with the notes %q", runs, o.notes)
	}
}

func TestTwoProcessesFail(t *testing.T) {
	for _, c := range []struct {
		how, want string
		limit     time.Duration
	}{
		{pretends, "the worker has executed 0 steps of ", time.Minute},
		{waits, "no result in 100ms", 100 * time.Millisecond},
		{refuses, "no runs today", time.Minute},
	} {
		t.Run(c.how, func(t *testing.T) {
			o := raceFake(t, c.how, c.limit)
			if _, _, _, ok := o.of(&apartPerSecond); ok || len(o.notes) != 1 || !strings.Contains(o.notes[0], c.want) {
				t.Errorf("measured: %t, with the notes %q, which should have %q", ok, o.notes, c.want)
			}
		})
	}
}
