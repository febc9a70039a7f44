package scenario_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tenter-dev/tenter/workflow"
)

// Calls go to runs in processes that are killed, through processes that are killed. Whoever gets no answer
// asks again with the same key.

var ticketsCall = workflow.DefineCall[string, string]("ticket")

var errSoldOut = workflow.DefineError("scenario: sold out")

// counterRun answers requests, in each way, until one is "stop". It returns them in its order.
var counterRun = workflow.Define("counter", func(ctx workflow.Context, token string) (served []string, err error) {
	calls, err := ticketsCall.Open(ctx, workflow.Token(token))
	if err != nil {
		return nil, err
	}
	for call, err := range calls.All(ctx) {
		if err != nil {
			return served, err
		}
		served = append(served, call.Input)
		text := ticketFor(call.Input, len(served), token)
		switch len(served) % 3 {
		case 0:
			err = call.Refuse(ctx, fmt.Errorf("%s: %w", text, errSoldOut))
		case 1:
			err = workflow.Do(ctx, "print", func(ctx context.Context) error { return call.Return(ctx, text) })
		default:
			err = call.Return(ctx, text)
		}
		if err != nil || call.Input == "stop" {
			return served, err
		}
	}
	return served, nil
})

// ticketFor is the answer to a request, which was the nth of its run.
func ticketFor(input string, n int, token string) string {
	return fmt.Sprintf("%s is number %d of %s", input, n, token)
}

// TestCallsAreAnsweredOnce: each call is answered once, and its repeats with the same key, to whichever
// process, get the same answer.
func TestCallsAreAnsweredOnce(t *testing.T) {
	t.Parallel()
	onEachStore(t, func(t *testing.T, db *database) {
		t.Helper()
		const processes, counters, requests, kills = 3, 6, 240, 8
		c := &callers{t: t, answers: map[string]string{}}
		for range processes {
			c.services = append(c.services, newService(t, db, shortLease))
		}
		token := func(i int) string { return fmt.Sprint("counter-", i%counters) }
		for i := range counters {
			c.services[0].start(counterRun.Name(), token(i), token(i))
			c.services[0].token(token(i))
		}
		var all, killing sync.WaitGroup
		for i := range requests {
			for range 1 + i%2 { // every second one has two callers at the same time
				all.Go(func() { c.call(token(i), fmt.Sprint("request-", i)) })
			}
		}
		killing.Go(func() {
			for k := range kills {
				for c.answered.Load() < int64((k+1)*requests/(kills+2)) && t.Context().Err() == nil {
					<-time.After(time.Millisecond)
				}
				c.services[rand.N(processes)].kill()
			}
		})
		all.Wait()
		killing.Wait()
		served := 0
		for i := range counters {
			c.call(token(i), "stop")
			inputs, err := counterRun.Get(db.api, token(i)).Result(within(t))
			if err != nil {
				t.Fatal(err)
			}
			for n, input := range inputs {
				served++
				want := ticketFor(input, n+1, token(i))
				if n%3 == 2 {
					want = fmt.Sprintf("%s: %v", want, errSoldOut)
				}
				if got := c.answers[token(i)+" "+input]; got != want {
					t.Errorf("%s was answered with %q, want %q", input, got, want)
				}
			}
			c.call(token(i), "stop") // long after the run has ended
		}
		if served != requests+counters || len(c.answers) != served {
			t.Errorf("%d requests were served, and %d answered, want %d", served, len(c.answers), requests+counters)
		}
		checkRuns(t, db.st, processWorkflows())
		deaths := 0
		for _, s := range c.services {
			deaths += s.died()
		}
		t.Logf("%d calls to %d runs; %d kills, %d calls whose process died", served, counters, deaths, c.broken.Load())
		if deaths < kills/2 {
			t.Errorf("only %d processes were killed", deaths)
		}
	})
}

// callers call through services.
type callers struct {
	t        *testing.T
	services []*service

	answered, broken atomic.Int64

	mu      sync.Mutex
	answers map[string]string // by token and key
}

// call calls until it is answered, and checks that there is one answer.
func (c *callers) call(token, input string) {
	var got string
	for {
		var err error
		got, err = ticketsCall.Call(c.t.Context(), elsewhere{s: c.services[rand.N(len(c.services))]}, token, input, workflow.IdempotencyKey(input))
		if refused, ok := errors.AsType[*workflow.RefusedError](err); ok && errors.Is(err, errSoldOut) {
			got, err = refused.Err.Error(), nil
		}
		if errors.Is(err, errUnheard) && c.t.Context().Err() == nil {
			c.broken.Add(1)
			continue
		}
		if err != nil {
			c.t.Errorf("%s: %v", input, err)
			return
		}
		break
	}
	c.answered.Add(1)
	c.mu.Lock()
	defer c.mu.Unlock()
	key := token + " " + input
	if first, known := c.answers[key]; known && first != got {
		c.t.Errorf("%s was answered with %q, and then with %q", input, first, got)
	}
	c.answers[key] = got
}

// elsewhere is a client in the process of a service.
type elsewhere struct {
	workflow.UnimplementedClient
	s *service
}

var errUnheard = errors.New("the process died before it answered")

func (e elsewhere) CallHook(_ context.Context, r workflow.CallRequest) (a workflow.CallAnswer, err error) {
	heard, err := e.s.try("Call", r, &a)
	if !heard {
		err = errUnheard
	}
	return a, err
}
