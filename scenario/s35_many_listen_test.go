package scenario_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tenter-dev/tenter/inspect"
	"github.com/tenter-dev/tenter/store"
	"github.com/tenter-dev/tenter/workflow"
)

// S35: many runs listen to a topic, others begin and cease to listen all the time, and it is published,
// each time again with the same key, while processes are killed. Each gets exactly what was published
// from when it listened until it closed.

// scenarioListeners makes S35 as large as it is meant to be: 10000.
var scenarioListeners = flag.Int("scenario.listeners", 300, "how many runs listen in S35")

var orderNews = workflow.DefineTopic[string]("order")

// lastNews is what ends those that listen.
const lastNews = "over"

// listener listens until the last news, and returns how many it got.
var listener = workflow.Define("listener", func(ctx workflow.Context, subject string) (n int, err error) {
	h, err := orderNews.Listen(ctx, subject)
	if err != nil {
		return 0, err
	}
	for news, err := range h.All(ctx) {
		if err != nil {
			return n, err
		}
		if n++; news == lastNews {
			h.Close()
		}
	}
	return n, nil
})

// comeAndGo has hooks that listen, one after another, and returns how much they got.
var comeAndGo = workflow.Define("come and go", func(ctx workflow.Context, subject string) (n int, err error) {
	const hooks = 8
	for i := range hooks {
		h, err := orderNews.Listen(ctx, subject, workflow.Named(strconv.Itoa(i)))
		if err != nil {
			return n, err
		}
		soon, cancel := workflow.WithTimeout(ctx, 100*time.Millisecond)
		_, err = h.Wait(soon)
		cancel()
		switch {
		case err == nil:
			n++
		case !errors.Is(err, context.DeadlineExceeded):
			return n, err
		}
		h.Close()
		for _, err := range h.All(ctx) {
			if err != nil {
				return n, err
			}
			n++
		}
	}
	return n, nil
})

func TestS35ManyListen(t *testing.T) {
	t.Parallel()
	onEachStore(t, func(t *testing.T, db *database) {
		t.Helper()
		const subject = "42"
		c := &crowd{t: t, db: db, subject: subject, listeners: *scenarioListeners, published: map[int64]workflow.Publication{}, payloads: map[int64]string{}}
		for range 3 {
			c.workers = append(c.workers, newService(t, db, workLease))
		}
		c.start("listener", c.listeners)
		waitFor(t, func() bool { return c.listen() == c.listeners })
		c.start("come and go", max(30, c.listeners/50))
		const least, most = 3, 8
		for i := 0; i < least || i < most && !c.over("come and go"); i++ {
			c.publish(fmt.Sprint("news ", i))
		}
		waitFor(t, func() bool { return c.over("come and go") })
		if p := c.publish(lastNews); p.Listeners != c.listeners {
			t.Errorf("%d listen at the end, want %d", p.Listeners, c.listeners)
		}
		waitFor(t, func() bool { return c.over("listener") })
		c.check()
	})
}

// A crowd is what listens to one subject.
type crowd struct {
	t         *testing.T
	db        *database
	subject   string
	listeners int
	workers   []*service

	runs      []string
	published map[int64]workflow.Publication // by number
	payloads  map[int64]string
}

// start starts runs of a workflow.
func (c *crowd) start(name string, n int) {
	c.t.Helper()
	var next atomic.Int64
	var all sync.WaitGroup
	for range 16 {
		all.Go(func() {
			for i := int(next.Add(1)); i <= n; i = int(next.Add(1)) {
				id := fmt.Sprint(name, " ", i)
				_, err := c.db.api.StartRun(c.t.Context(), workflow.StartRequest{Workflow: name, RunID: id, Input: encode(c.t, c.subject)})
				if err != nil {
					c.t.Error(err)
					return
				}
			}
		})
	}
	all.Wait()
	for i := range n {
		c.runs = append(c.runs, fmt.Sprint(name, " ", i+1))
	}
}

// listen returns how many hooks listen.
func (c *crowd) listen() int {
	c.t.Helper()
	topics, err := c.db.api.Topics(c.t.Context(), inspect.TopicFilter{})
	if err != nil {
		c.t.Fatal(err)
	}
	if len(topics) == 0 {
		return 0
	}
	return topics[0].Listeners
}

// publish publishes until a process has said that it did, and again, while processes are killed: as soon
// as it begins, or once it was answered and most of those that listen have still to get it.
func (c *crowd) publish(news string) workflow.Publication {
	c.t.Helper()
	req := workflow.PublishRequest{Topic: orderNews.Name(), Subject: c.subject, Payload: encode(c.t, news), IdempotencyKey: news}
	var killing sync.WaitGroup
	killing.Go(func() {
		<-time.After(rand.N(5 * time.Millisecond))
		c.workers[0].kill()
	})
	p := c.ask(c.workers[0], req)
	c.workers[2].kill()
	c.published[p.Number], c.payloads[p.Number] = p, string(req.Payload)
	if again := c.ask(c.workers[1], req); again != p {
		c.t.Errorf("%q was published as %+v, and again as %+v", news, p, again)
	}
	killing.Wait()
	return p
}

// ask has a process publish, until one has answered. Whether it was the first to do so does not matter.
func (c *crowd) ask(s *service, req workflow.PublishRequest) (p workflow.Publication) {
	c.t.Helper()
	if err := s.call("Publish", req, &p); err != nil {
		c.t.Fatal(err)
	}
	p.Duplicate = false
	return p
}

// over reports whether all runs of a workflow have ended.
func (c *crowd) over(name string) bool {
	c.t.Helper()
	open, err := c.db.st.Runs(c.t.Context(), store.Filter{Workflow: name, Open: true, Limit: 1})
	if err != nil {
		c.t.Fatal(err)
	}
	return len(open) == 0
}

// check compares what the database has with what was published.
func (c *crowd) check() {
	c.t.Helper()
	numbers := make([]int64, 0, len(c.published))
	for n := range c.published {
		numbers = append(numbers, n)
	}
	slices.Sort(numbers)
	listened := map[int64]int{}
	hooks, got := 0, 0
	for _, id := range c.runs {
		a, err := c.db.st.(store.Archiver).Export(c.t.Context(), id) //nolint:forcetypeassert // both stores are
		if err != nil {
			c.t.Fatal(err)
		}
		if a.Run.Status != store.Completed || len(a.Mail)+len(a.Unread) > 0 {
			c.t.Errorf("%s is %s, with %d messages and %d unread", id, a.Run.Status, len(a.Mail), len(a.Unread))
		}
		came := map[string][]string{}
		for _, e := range a.Events {
			if e.Kind == store.PayloadReceived {
				came[e.Ref] = append(came[e.Ref], string(e.Data))
			}
		}
		for _, h := range a.Hooks {
			hooks++
			var want []string
			for _, n := range numbers {
				if n > h.Hook.ListensFrom && n < h.Hook.ListensTo {
					want = append(want, c.payloads[n])
					listened[n]++
				}
			}
			got += len(want)
			if !slices.Equal(came[h.Hook.ID], want) {
				c.t.Errorf("hook %s listened from %d to %d, and got %q, want %q", h.Hook.ID, h.Hook.ListensFrom, h.Hook.ListensTo, came[h.Hook.ID], want)
			}
		}
	}
	for n, p := range c.published {
		if p.Listeners != listened[n] {
			c.t.Errorf("publication %d was answered with %d listeners, and had %d", n, p.Listeners, listened[n])
		}
	}
	if n := c.listen(); n != 0 {
		c.t.Errorf("%d still listen", n)
	}
	deaths := 0
	for _, w := range c.workers {
		deaths += w.died()
	}
	c.t.Logf("%d hooks of %d runs got %d payloads of %d publications; %d kills", hooks, len(c.runs), got, len(c.published), deaths)
	if deaths < len(c.published) {
		c.t.Errorf("only %d processes were killed", deaths)
	}
}
