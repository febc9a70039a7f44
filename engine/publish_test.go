package engine_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"zombiezen.com/go/sqlite"

	"github.com/tenter-dev/tenter/engine"
	"github.com/tenter-dev/tenter/inspect"
	sqlitestore "github.com/tenter-dev/tenter/store/sqlite"
	"github.com/tenter-dev/tenter/workflow"
)

// news is the topic of these tests.
var news = workflow.DefineTopic[string]("news")

// reader is a workflow that listens to a subject, and returns what it got up to "end".
var reader = workflow.Define("reader", func(ctx workflow.Context, subject string) ([]string, error) {
	h, err := news.Listen(ctx, subject)
	if err != nil {
		return nil, err
	}
	defer h.Close()
	var got []string
	for v, err := range h.All(ctx) {
		if err != nil {
			return got, err
		}
		got = append(got, v)
		if v == "end" {
			return got, nil
		}
	}
	return got, nil
})

func publish(l *lab, c workflow.Client, subject, payload string, opts ...workflow.PublishOption) workflow.Publication {
	l.Helper()
	p, err := news.Publish(l.Context(), c, subject, payload, opts...)
	if err != nil {
		l.Fatal(err)
	}
	return p
}

// Whoever listens gets what is published from then on, once, in order; replays and other workers do
// not matter.
func TestPublish(t *testing.T) {
	t.Parallel()
	eachCache(t, func(t *testing.T, l *lab, opts engine.Options) {
		opts.Hooks, opts.PublishAtOnce = []workflow.HookDefinition{news}, 2
		l.run(opts, reader)
		if p := publish(l, l.eng, "a", "before"); p.Listeners != 0 || p.Number != 0 {
			t.Errorf("nobody listens: %+v", p)
		}
		var readers []*workflow.Run[[]string]
		for range 5 {
			readers = append(readers, mustStart(l, reader, "a"))
		}
		other := mustStart(l, reader, "b")
		for _, r := range readers {
			wantStatus(l, r, workflow.StatusWaiting)
		}
		wantStatus(l, other, workflow.StatusWaiting)
		topics, err := l.client().Topics(l.Context(), inspect.TopicFilter{})
		if err != nil || len(topics) != 2 || topics[0].Listeners != 5 || topics[0].Subject != "a" {
			t.Errorf("topics: %+v, %v", topics, err)
		}
		first := publish(l, l.eng, "a", "1", workflow.IdempotencyKey("k"))
		again := publish(l, l.eng, "a", "1", workflow.IdempotencyKey("k"))
		if first.Listeners != 5 || first.Duplicate || again.Listeners != 5 || !again.Duplicate || again.Number != first.Number {
			t.Errorf("published %+v, and again %+v", first, again)
		}
		publish(l, l.eng, "a", "2")
		publish(l, l.eng, "b", "end")
		publish(l, l.eng, "a", "end")
		for _, r := range readers {
			if d := cmp.Diff([]string{"1", "2", "end"}, mustResult(l, r)); d != "" {
				t.Errorf("a reader got (-want +got):\n%s", d)
			}
		}
		if d := cmp.Diff([]string{"end"}, mustResult(l, other)); d != "" {
			t.Errorf("the other reader got (-want +got):\n%s", d)
		}
	})
}

// Of what is published in transactions of the application workers learn only that something has changed:
// they look soon, each time.
func TestPublishWithin(t *testing.T) {
	t.Parallel()
	inBank(t, func(t *testing.T, b *bank) {
		b.run(engine.Options{Hooks: []workflow.HookDefinition{news}, PublishAtOnce: 1}, reader)
		var readers []*workflow.Run[[]string]
		for range 3 {
			readers = append(readers, mustStart(b.lab, reader, "a"))
		}
		for i, payload := range []string{"1", "2", "end"} {
			err := b.tx(func(c *sqlite.Conn) error {
				publish(b.lab, b.eng.WithTx(sqlitestore.Tx(c)), "a", payload)
				return nil
			})
			if err != nil {
				t.Fatal(err)
			}
			b.advance(5 * time.Second)
			for _, r := range readers {
				if n := strings.Count(strings.Join(b.journal(r.ID()), "\n"), "payload_received"); n != i+1 {
					t.Errorf("5 s after %s was published, run %s has %d payloads", payload, r.ID(), n)
				}
			}
		}
	})
}

// A hook that listens goes on in the next generation, though its token is generated.
func TestListenOverRestarts(t *testing.T) {
	t.Parallel()
	var bot *workflow.Workflow[int, string]
	bot = workflow.Define("bot", func(ctx workflow.Context, n int) (string, error) {
		h, err := news.Listen(ctx, "a")
		if err != nil {
			return "", err
		}
		v, err := h.Wait(ctx)
		if err != nil || v == "end" {
			return fmt.Sprint(n, v), err
		}
		return bot.Restart(ctx, n+1)
	})
	inLab(t, func(t *testing.T, l *lab) {
		l.run(engine.Options{}, bot)
		r := mustStart(l, bot, 0)
		wantStatus(l, r, workflow.StatusWaiting)
		publish(l, l.client(), "a", "1")
		publish(l, l.client(), "a", "2")
		if err := l.stop(); err != nil {
			t.Error(err)
		}
		publish(l, l.client(), "a", "3")
		publish(l, l.client(), "a", "end")
		l.run(engine.Options{}, bot)
		if got := mustResult(l, bot.Get(l.eng, r.ID())); got != "3end" {
			t.Errorf("got %s", got)
		}
	})
}

// What was published before a hook is closed is still delivered, though it had not come yet.
func TestCloseWhilePublishing(t *testing.T) {
	t.Parallel()
	drainer := workflow.Define("drainer", func(ctx workflow.Context, token string) ([]string, error) {
		h, err := news.Listen(ctx, "a")
		if err != nil {
			return nil, err
		}
		if _, err := waitFor(ctx, token); err != nil {
			return nil, err
		}
		h.Close()
		var got []string
		for v, err := range h.All(ctx) {
			if err != nil {
				return nil, err
			}
			got = append(got, v)
		}
		return got, nil
	})
	inLab(t, func(t *testing.T, l *lab) {
		l.run(engine.Options{}, drainer)
		l.gate.set(func(g *gate) { g.refuseListeners = true })
		a, b := mustStart(l, drainer, "ta"), mustStart(l, drainer, "tb")
		wantStatus(l, a, workflow.StatusWaiting)
		wantStatus(l, b, workflow.StatusWaiting)
		client, err := engine.New(l.store, engine.Options{PublishAtOnce: 1})
		if err != nil {
			t.Fatal(err)
		}
		for _, payload := range []string{"1", "2"} {
			if _, err := news.Publish(t.Context(), client, "a", payload); err != nil {
				t.Fatal(err)
			}
		}
		l.resume("ta", "close")
		l.resume("tb", "close")
		for _, r := range []*workflow.Run[[]string]{a, b} {
			if d := cmp.Diff([]string{"1", "2"}, mustResult(l, r)); d != "" {
				t.Errorf("got (-want +got):\n%s", d)
			}
		}
	})
}

// peeker is a workflow that listens to subject a, takes so many payloads, closes its hook, and returns
// these and what was left.
var peeker = workflow.Define("peeker", func(ctx workflow.Context, n int) ([]string, error) {
	h, err := news.Listen(ctx, "a")
	if err != nil {
		return nil, err
	}
	got := []string{}
	for v, err := range h.All(ctx) {
		if err != nil {
			return nil, err
		}
		if got = append(got, v); len(got) == n || v == "end" {
			h.Close()
		}
	}
	return got, nil
})

// Runs begin and cease to listen, and workers die, while others publish to more of them than one commit
// serves. Each gets exactly what was published from when it listened until it closed, once and in order.
func TestPublishUnderKills(t *testing.T) {
	t.Parallel()
	for seed := range uint64(12) {
		inLab(t, func(t *testing.T, l *lab) {
			rnd := rand.New(rand.NewPCG(seed, 0))
			opts := engine.Options{PublishAtOnce: 1 + rnd.IntN(3), CacheSize: noCache}
			l.run(opts, peeker)
			publisher, err := engine.New(l.store, opts)
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = publisher.Close() }()
			published := map[int64]string{}
			send := func(payload string) {
				p, err := news.Publish(t.Context(), publisher, "a", payload)
				if err != nil {
					t.Fatal(err)
				}
				if p.Number > 0 {
					published[p.Number] = payload
				}
			}
			var ids []string
			batched := 0
			for i := range 60 {
				switch n := rnd.IntN(10); {
				case n < 4:
					ids = append(ids, mustStart(l, peeker, 1+rnd.IntN(6)).ID())
				case n < 8:
					send(fmt.Sprint(i))
					if topics, err := publisher.Topics(t.Context(), inspect.TopicFilter{}); err == nil && len(topics) > 0 && topics[0].Behind {
						batched++
					}
				case n < 9:
					l.kill()
					l.run(opts, peeker)
				default:
					l.advance(time.Duration(rnd.IntN(20_000)) * time.Millisecond)
				}
			}
			l.advance(time.Minute) // all that began to listen before a kill does so
			send("end")
			got := map[string][]string{}
			for _, id := range ids {
				got[id] = mustResult(l, peeker.Get(l.eng, id))
			}
			for _, id := range ids {
				a, err := l.store.Export(t.Context(), id)
				if err != nil || len(a.Hooks) != 1 {
					t.Fatalf("run %s has %d hooks: %v", id, len(a.Hooks), err)
				}
				h, want := a.Hooks[0].Hook, []string{}
				for _, number := range slices.Sorted(maps.Keys(published)) {
					if number > h.ListensFrom && number < h.ListensTo {
						want = append(want, published[number])
					}
				}
				if d := cmp.Diff(want, got[id]); d != "" {
					t.Errorf("seed %d: run %s, which listened from %d to %d, got (-want +got):\n%s", seed, id, h.ListensFrom, h.ListensTo, d)
				}
			}
			if batched == 0 {
				t.Errorf("seed %d: no publication took more than one commit", seed)
			}
		})
	}
}

func TestPublishRefuses(t *testing.T) {
	t.Parallel()
	numbers := workflow.DefineTopic[int]("news") // another type
	confused := workflow.Define("confused", func(ctx workflow.Context, _ string) (int, error) {
		h, err := numbers.Listen(ctx, "a")
		if err != nil {
			return 0, err
		}
		return h.Wait(ctx)
	})
	inLab(t, func(t *testing.T, l *lab) {
		l.run(engine.Options{Hooks: []workflow.HookDefinition{news, workflow.DefineHook[int]("number")}}, confused, reader)
		ctx, eng := t.Context(), l.eng
		_, err := numbers.Publish(ctx, eng, "a", 7)
		if _, ok := errors.AsType[*workflow.PayloadError](err); !ok || !strings.Contains(err.Error(), "payload: ") {
			t.Errorf("a payload that does not fit: %v", err)
		}
		_, err = news.Publish(ctx, eng, "", "x")
		wantIs(l, err, workflow.ErrInvalidName)
		_, err = news.Publish(ctx, eng, "a", "x", workflow.IdempotencyKey(""))
		wantIs(l, err, workflow.ErrInvalidName)
		_, err = news.Publish(ctx, eng, "a", strings.Repeat("x", 5<<20))
		wantIs(l, err, workflow.ErrPayloadTooLarge)
		_, err = workflow.DefineTopic[int]("number").Publish(ctx, eng, "a", 1)
		wantIs(l, err, workflow.ErrInvalidName)
		var none *workflow.Topic[string]
		if _, err := none.Publish(ctx, eng, "a", "x"); err == nil {
			t.Error("a nil topic publishes")
		}
		r := mustStart(l, confused, "")
		info := wantStatus(l, r, workflow.StatusBlocked)
		if info.ReasonCode != workflow.ReasonTopicType {
			t.Errorf("blocked as %q: %s", info.ReasonCode, info.Reason)
		}
		ctx, cancel := context.WithTimeout(ctx, time.Second)
		cancel()
		_, err = news.Publish(ctx, eng, "a", "x")
		wantIs(l, err, context.Canceled)
		if _, err := engine.New(l.store, engine.Options{Hooks: []workflow.HookDefinition{news, numbers}}); err == nil {
			t.Error("a topic is defined twice")
		}
	})
}
