package scenario_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tenter-dev/tenter/server"
	"github.com/tenter-dev/tenter/workflow"
)

// S18: the HTTP request arrives at one process, the run is executed by another, and the
// caller gets its answer.

// desk answers requests with what they say and the process that answers, from the
// workflow or from a step, up to stop.
var desk = workflow.Define("desk", serveDesk)

func serveDesk(ctx workflow.Context, t task) (int, error) {
	counter, err := workflow.NewWebhook(ctx, workflow.Token("desk:"+t.Channel), workflow.RespondManually())
	if err != nil {
		return 0, err
	}
	defer counter.Close()
	n := 0
	for r, err := range counter.All(ctx) {
		if err != nil {
			return n, err
		}
		n++
		text := string(r.Body)
		// On a busy machine a lease of 200 ms lapses though nobody has died, and after four
		// such deaths the step would fail.
		by, err := workflow.Step(ctx, "think", func(ctx context.Context) (int, error) {
			think := time.Duration(t.N) * time.Millisecond
			return os.Getpid(), act(ctx, t.Log, func() error { return busy(ctx, think) })
		}, workflow.MaxAttempts(0))
		if err != nil {
			return n, err
		}
		answer := workflow.Text(http.StatusOK, fmt.Sprintf("%d: %s", by, text))
		if strings.HasPrefix(text, "step") {
			err = workflow.Do(ctx, "answer", func(ctx context.Context) error { return r.Respond(ctx, answer) })
		} else {
			err = r.Respond(ctx, answer)
		}
		if err != nil || text == "stop" {
			return n, err
		}
	}
	return n, nil
}

// newFront starts a process that takes requests and executes nothing. It returns where.
func newFront(t *testing.T, db *database) (url string) {
	t.Helper()
	s := newRole(t, db, role{Database: db.url, Webhooks: true})
	if err := s.call("Front", struct{}{}, &url); err != nil {
		t.Fatal(err)
	}
	return url
}

// ask sends a request to a desk through a process. It returns the answer and the
// process that gave it.
func ask(ctx context.Context, front, desk, text string) (by int, answer string, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, front+server.WebhookPath+"desk:"+desk, strings.NewReader(text))
	if err != nil {
		return 0, "", err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, "", err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		return 0, "", fmt.Errorf("got %s: %s, %w", resp.Status, body, err)
	}
	pid, answer, _ := strings.Cut(string(body), ": ")
	_, err = fmt.Sscan(pid, &by)
	return by, answer, err
}

// openDesk starts a run and waits until it takes requests.
func openDesk(t *testing.T, db *database, name string, in task) {
	t.Helper()
	in.Channel = name
	if _, err := desk.Start(t.Context(), db.api, in, workflow.RunID("desk-"+name)); err != nil {
		t.Fatal(err)
	}
	waitFor(t, func() bool {
		_, err := db.api.HookByToken(t.Context(), "desk:"+name)
		return err == nil
	})
}

func TestS18OtherMachine(t *testing.T) {
	t.Parallel()
	onEachStore(t, otherMachine)
}

func otherMachine(t *testing.T, db *database) {
	t.Helper()
	const desks, requests = 8, 64
	var fronts [2]string
	for i := range fronts {
		fronts[i] = newFront(t, db)
	}
	workers := []*service{newService(t, db, longLease), newService(t, db, longLease)}
	log := filepath.Join(t.TempDir(), "effects")
	for i := range desks {
		openDesk(t, db, fmt.Sprint(i), task{Log: log})
	}
	ctx := within(t)
	var all sync.WaitGroup
	for i := range requests {
		all.Go(func() {
			text := fmt.Sprint("request ", i)
			if i%2 == 0 {
				text = "step of " + text
			}
			by, answer, err := ask(ctx, fronts[i/2%len(fronts)], fmt.Sprint(i%desks), text)
			if err != nil || answer != text {
				t.Errorf("%s was answered with %q, %v", text, answer, err)
			}
			if !slices.ContainsFunc(workers, func(w *service) bool { return w.id() == by }) {
				t.Errorf("%s was answered by process %d, which is not a worker", text, by)
			}
		})
	}
	all.Wait()
	for i := range desks {
		name := fmt.Sprint(i)
		if _, _, err := ask(ctx, fronts[0], name, "stop"); err != nil {
			t.Error(err)
		}
		if n, err := workflow.Get[int](db.api, "desk-"+name).Result(ctx); err != nil || n != requests/desks+1 {
			t.Errorf("desk %d has answered %d requests, %v", i, n, err)
		}
	}
}

// TestS18WorkerDies: the worker that was about to answer dies, and the caller, who has
// been waiting at another process, gets the answer of the next.
func TestS18WorkerDies(t *testing.T) {
	t.Parallel()
	onEachStore(t, workerDies)
}

func workerDies(t *testing.T, db *database) {
	t.Helper()
	front := newFront(t, db)
	workers := []*service{newService(t, db, shortLease), newService(t, db, shortLease)}
	log := filepath.Join(t.TempDir(), "effects")
	openDesk(t, db, "0", task{Log: log, N: 300})
	for round, text := range []string{"step", "workflow", "stop"} {
		type answer struct {
			by   int
			text string
			err  error
		}
		answered := make(chan answer, 1)
		asked := time.Now()
		go func() {
			by, got, err := ask(t.Context(), front, "0", text)
			answered <- answer{by, got, err}
		}()
		var victim int
		waitFor(t, func() bool {
			acts, err := effects(log)
			if err != nil {
				t.Fatal(err)
			}
			if last := len(acts) - 1; len(acts) > 2*round { // two executions in each round
				victim = acts[last].Process
			}
			return victim != 0
		})
		began := time.Now()
		for _, w := range workers {
			if w.id() == victim {
				w.kill()
			}
		}
		got := <-answered
		if got.err != nil || got.text != text || got.by == victim {
			t.Fatalf("%s was answered by process %d (%d was killed) with %q, %v", text, got.by, victim, got.text, got.err)
		}
		t.Logf("%s: process %d executed it after %v, was killed, and process %d answered after %v",
			text, victim, began.Sub(asked).Round(time.Millisecond), got.by, time.Since(began).Round(time.Millisecond))
	}
	if n, err := workflow.Get[int](db.api, "desk-0").Result(within(t)); err != nil || n != 3 {
		t.Errorf("the desk has answered %d requests, %v", n, err)
	}
}
