package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/tenter-dev/tenter/engine"
	"github.com/tenter-dev/tenter/inspect"
	"github.com/tenter-dev/tenter/store"
	"github.com/tenter-dev/tenter/workflow"
)

const (
	manyListeners  = 10_000
	publishedTimes = 5
)

var benchTopic = workflow.DefineTopic[string]("bench")

// listenWorkflow listens, and returns when its code got "end".
var listenWorkflow = workflow.Define("listen", func(ctx workflow.Context, _ string) (int, error) {
	hook, err := benchTopic.Listen(ctx, "all")
	if err != nil {
		return 0, err
	}
	for n := 1; ; n++ {
		if v, err := hook.Wait(ctx); err != nil || v == "end" {
			return n, err
		}
	}
})

// tellingStore times the commits that tell listeners.
type tellingStore struct {
	store.Store
	apart   bool // they are commits of their own: a call is one
	mu      sync.Mutex
	longest time.Duration // of one commit
	idle    chan struct{} // gets a token when nobody is left to be told
}

func (s *tellingStore) TellListeners(ctx context.Context, atOnce int) (told int, more bool, err error) {
	began := time.Now()
	told, more, err = s.Store.TellListeners(ctx, atOnce)
	if s.apart {
		s.took(time.Since(began))
	}
	if err == nil && !more {
		select {
		case s.idle <- struct{}{}:
		default:
		}
	}
	return told, more, err
}

func (s *tellingStore) Publish(ctx context.Context, p store.Publication) (store.Published, error) {
	began := time.Now()
	done, err := s.Store.Publish(ctx, p)
	if s.apart {
		s.took(time.Since(began))
	}
	return done, err
}

func (s *tellingStore) took(d time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.longest = max(s.longest, d)
}

// publishToMany publishes to many parked runs, none of which is executed meanwhile, and executes runs
// of one step beside it.
func publishToMany(ctx context.Context, e *env) (ms []metric, err error) {
	url, drop, err := e.create(ctx)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, drop()) }()
	n := e.size(manyListeners)
	ids, err := parkListeners(ctx, url, n)
	if err != nil {
		return nil, err
	}
	telling := &tellingStore{idle: make(chan struct{}, 1)}
	w, err := openEngine(ctx, url, engine.Options{Workflows: []workflow.Definition{stepsWorkflow}}, func(s store.Store) store.Store {
		telling.Store = s
		return telling
	})
	if err != nil {
		return nil, err
	}
	defer func() { err = joinClose(err, w) }()
	w.run(ctx)
	stepsUntil := func(done <-chan struct{}) (took []time.Duration, err error) {
		for err == nil {
			select {
			case <-done:
				return took, nil
			default:
			}
			began := time.Now()
			err = w.steps(ctx, 1)
			took = append(took, time.Since(began))
		}
		return nil, err
	}
	after := func(d time.Duration) <-chan struct{} {
		done := make(chan struct{})
		time.AfterFunc(d, func() { close(done) })
		return done
	}
	if _, err = stepsUntil(after(e.idle() / 5)); err != nil {
		return nil, err
	}
	idle, err := stepsUntil(after(e.idle()))
	if err != nil {
		return nil, err
	}
	if db, ok := w.db.(sqliteDatabase); ok { // they are in batches with all other operations
		defer db.WatchCommits(func(c store.Commit) { telling.took(c.Took) })()
	} else {
		telling.apart = true
	}
	var calls, all, beside []time.Duration
	for range publishedTimes {
		select {
		case <-telling.idle:
		default:
		}
		done := make(chan struct{})
		failed := make(chan error, 1)
		go func() {
			defer close(done)
			began := time.Now()
			p, err := benchTopic.Publish(ctx, w.eng, "all", "news")
			calls = append(calls, time.Since(began))
			if err == nil && p.Listeners != n {
				err = fmt.Errorf("%d listen, not %d", p.Listeners, n)
			}
			if err == nil {
				<-telling.idle
				all = append(all, time.Since(began))
			}
			failed <- err
		}()
		took, err := stepsUntil(done)
		if err := errors.Join(err, <-failed); err != nil {
			return nil, err
		}
		beside = append(beside, took...)
	}
	for i := 0; i < n; i += max(1, n/100) {
		if mail, err := w.eng.Mailbox(ctx, ids[i]); err != nil || len(mail) != publishedTimes {
			return nil, fmt.Errorf("a run has got %d payloads of %d: %w", len(mail), publishedTimes, err)
		}
	}
	const what = "publication to 10,000 parked runs"
	return []metric{
		{name: what + ": call, p50", value: milliseconds(percentile(calls, 50)), unit: "ms"},
		{name: what + ": until all have it, p50", value: milliseconds(percentile(all, 50)), unit: "ms"},
		{name: what + ": longest commit", value: milliseconds(telling.longest), unit: "ms", budget: atMost(50)},
		{name: "start → 1 step → result, one at a time, before: p99", value: milliseconds(percentile(idle, 99)), unit: "ms"},
		{name: "start → 1 step → result, one at a time, beside a " + what + ": p99", value: milliseconds(percentile(beside, 99)), unit: "ms"},
	}, nil
}

// parkListeners starts runs that listen, and returns their IDs when all do and their engine is gone.
func parkListeners(ctx context.Context, url string, n int) (ids []string, err error) {
	w, err := openEngine(ctx, url, engine.Options{Workflows: []workflow.Definition{listenWorkflow}}, same)
	if err != nil {
		return nil, err
	}
	defer func() { err = joinClose(err, w) }()
	w.run(ctx)
	ids = make([]string, n)
	err = each(n, 64, func(i int) error {
		run, err := listenWorkflow.Start(ctx, w.eng, "")
		if err == nil {
			ids[i] = run.ID()
		}
		return err
	})
	for err == nil {
		topics, err := w.eng.Topics(ctx, inspect.TopicFilter{})
		if err != nil {
			return nil, err
		}
		if len(topics) == 1 && topics[0].Listeners == n {
			return ids, nil
		}
		<-time.After(10 * time.Millisecond)
	}
	return nil, err
}
