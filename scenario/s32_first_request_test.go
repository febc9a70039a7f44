package scenario_test

import (
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/tenter-dev/tenter/engine"
	"github.com/tenter-dev/tenter/internal/pgtest"
	"github.com/tenter-dev/tenter/server"
	"github.com/tenter-dev/tenter/workflow"
)

// S32: a thousand requests at once for a hundred tokens that nobody has, to four processes that take
// requests and execute runs, and are killed meanwhile. Whoever gets no answer repeats its delivery.

// atTheWindow is how a window takes requests, its route and its runs alike.
var atTheWindow = []workflow.WebhookOption{workflow.RespondManually(), workflow.DedupeHeader("Delivery")}

// window serves three requests, or those up to "stop", and returns their deliveries.
var window = workflow.Define("window", func(ctx workflow.Context, token string) (served []string, err error) {
	w, err := workflow.NewWebhook(ctx, append([]workflow.WebhookOption{workflow.Token(token)}, atTheWindow...)...)
	if err != nil {
		return nil, err
	}
	for len(served) < 3 {
		r, err := w.Wait(ctx)
		if err != nil {
			return nil, err
		}
		answer := fmt.Sprintf("%s by %s", r.Header.Get("Delivery"), workflow.InfoOf(ctx).RunID)
		if err := r.Respond(ctx, workflow.Text(200, answer)); err != nil {
			return nil, err
		}
		served = append(served, r.Header.Get("Delivery"))
		if string(r.Body) == "stop" {
			break
		}
	}
	return served, nil
}, workflow.StartedByRequest())

func firstRequests(e *engine.Engine) http.Handler {
	return server.Webhook(e, func(r *http.Request) (string, error) { return r.PathValue("token"), nil },
		server.OrStart(window, func(token string, _ *workflow.Request) (string, error) { return token, nil }, atTheWindow...))
}

func TestS32FirstRequests(t *testing.T) {
	t.Parallel()
	const processes, tokens, requests, kills = 4, 100, 1000, 8
	db := newDatabase(t, pgtest.Database(t))
	q := &queue{t: t, answers: map[string]string{}}
	for range processes {
		q.services = append(q.services, newRole(t, db, role{Database: db.url, Lease: shortLease, Webhooks: true}))
	}
	for _, s := range q.services {
		if err := s.call("Ready", struct{}{}, &struct{}{}); err != nil {
			t.Fatal(err)
		}
	}
	watched := watchTokens(t, db.url)
	var all sync.WaitGroup
	for i := range requests {
		all.Go(func() { q.deliver(fmt.Sprint("token-", i%tokens), fmt.Sprint("delivery-", i), "") })
	}
	var killing sync.WaitGroup
	killing.Go(func() {
		for k := range kills {
			for q.answered.Load() < int64((k+1)*requests/(kills+2)) && t.Context().Err() == nil {
				<-time.After(time.Millisecond)
			}
			q.services[rand.N(processes)].kill()
		}
	})
	all.Wait()
	killing.Wait()
	for i := range tokens { // ends whoever has the token
		q.deliver(fmt.Sprint("token-", i), fmt.Sprint("stop-", i), "stop")
	}
	ctx := within(t)
	served := map[string]string{} // by which run
	started := 0
	for _, r := range runs(t, db.st) {
		deliveries, err := window.Get(db.api, r.ID).Result(ctx)
		if err != nil {
			t.Fatalf("run %s: %v", r.ID, err)
		}
		started++
		for _, d := range deliveries {
			if other, twice := served[d]; twice {
				t.Errorf("%s was served by run %s and by run %s", d, other, r.ID)
			}
			served[d] = r.ID
		}
	}
	for d, answer := range q.answers {
		if want := fmt.Sprintf("%s by %s", d, served[d]); answer != want {
			t.Errorf("%s was answered with %q, want %q", d, answer, want)
		}
	}
	if len(served) != requests+tokens || len(q.answers) != requests+tokens {
		t.Errorf("%d requests were served, %d answered, want %d", len(served), len(q.answers), requests+tokens)
	}
	watched()
	checkRuns(t, db.st, processWorkflows())
	deaths := 0
	for _, s := range q.services {
		deaths += s.died()
	}
	t.Logf("%d requests for %d tokens were served by %d runs; %d kills, %d connections that broke, %d other refusals, %d repeats of what was answered",
		requests, tokens, started, deaths, q.broken.Load(), q.refused.Load(), q.repeated.Load())
	if deaths < kills/2 {
		t.Errorf("only %d processes were killed", deaths)
	}
}

// queue sends requests to services.
type queue struct {
	t        *testing.T
	services []*service

	answered, broken, refused, repeated atomic.Int64

	mu      sync.Mutex
	answers map[string]string // by delivery
}

// deliver repeats a delivery until it is answered, and sometimes after that.
func (q *queue) deliver(token, id, body string) {
	again := rand.N(4) == 0
	for q.t.Context().Err() == nil {
		status, answer, err := q.send(token, id, body)
		switch {
		case err != nil:
			q.broken.Add(1)
			continue
		case status >= 500: // it may or may not have been taken
			q.refused.Add(1)
			continue
		case status != http.StatusOK:
			q.t.Errorf("%s: status %d: %s", id, status, answer)
			return
		}
		q.mu.Lock()
		first, known := q.answers[id]
		q.answers[id] = answer
		q.mu.Unlock()
		if known {
			q.repeated.Add(1)
			if first != answer {
				q.t.Errorf("%s was answered with %q, and then with %q", id, first, answer)
			}
			return
		}
		q.answered.Add(1)
		if !again {
			return
		}
	}
}

func (q *queue) send(token, id, body string) (status int, answer string, err error) {
	var front string
	if heard, err := q.services[rand.N(len(q.services))].try("Front", struct{}{}, &front); !heard || err != nil {
		return 0, "", fmt.Errorf("find a process: %w", err)
	}
	req, err := http.NewRequestWithContext(q.t.Context(), http.MethodPost, front+"/desk/"+token, strings.NewReader(body))
	if err != nil {
		return 0, "", err
	}
	req.Header.Set("Delivery", id)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, "", err
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	return resp.StatusCode, string(data), err
}

// watchTokens looks again and again whether two open runs have or had a hook with the same token, until
// the function is called that it returns.
func watchTokens(t *testing.T, url string) (over func()) {
	t.Helper()
	pool, err := pgxpool.New(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	stop, done := make(chan struct{}), make(chan int)
	go func() {
		defer pool.Close()
		looks := 0
		for {
			select {
			case <-stop:
				done <- looks
				return
			case <-time.After(5 * time.Millisecond):
			}
			var twice int
			err := pool.QueryRow(t.Context(), `SELECT count(*) FROM (SELECT FROM tenter.hooks h JOIN tenter.runs r ON r.id = h.run_id
				WHERE r.ended_at IS NULL GROUP BY h.token HAVING count(DISTINCT r.id) > 1) x`).Scan(&twice)
			if err != nil || twice > 0 {
				t.Errorf("%d tokens have two open runs (%v)", twice, err)
			}
			looks++
		}
	}()
	return func() {
		close(stop)
		if looks := <-done; looks < 10 {
			t.Errorf("it was looked only %d times", looks)
		}
	}
}
