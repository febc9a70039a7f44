// Package concurrency has goroutines, channels and locks.
package concurrency

import (
	"context"
	"sync"
	"time"

	"github.com/tenter-dev/tenter/workflow"
)

func goroutines(ctx workflow.Context, _ string) (string, error) {
	go func() { time.Sleep(time.Second) }() // want `a goroutine is not executed in the same order on replay: use workflow.Go\(ctx, …\)`
	var all sync.WaitGroup
	all.Go(func() {}) // want `sync.WaitGroup.Go is not executed in the same order`
	all.Wait()        // want `sync.WaitGroup.Wait waits for other goroutines and holds up the worker: leave it out, since branches of a run need no locks, or move it into a step`
	return "", nil
}

func channels(ctx workflow.Context, _ string) (string, error) {
	c := make(chan string, 1)
	c <- "sent"   // want `sending to a channel depends on other goroutines and holds up the worker: use a Future, a hook, or plain variables`
	s := <-c      // want `receiving from a channel depends on other goroutines`
	close(c)      // want `closing a channel depends on other goroutines`
	for range c { // want `ranging over a channel depends on other goroutines`
	}
	select { // want `select depends on other goroutines and holds up the worker: use workflow.Select or workflow.First`
	case c <- s:
	case s = <-c:
	case <-ctx.Done():
		s = <-c // want `receiving from a channel`
	}
	return s, nil
}

func generic[C ~chan string](ctx workflow.Context, c C) {
	for range c { // want `ranging over a channel`
	}
}

type counter struct {
	mu sync.Mutex
	rw sync.RWMutex
	n  int
}

func (k *counter) count(ctx workflow.Context, _ string) (int, error) {
	k.mu.Lock() // want `sync.Mutex.Lock waits for other goroutines`
	defer k.mu.Unlock()
	k.rw.RLock() // want `sync.RWMutex.RLock waits for other goroutines`
	defer k.rw.RUnlock()
	k.n++
	return k.n, nil
}

func (k *counter) countInStep(ctx workflow.Context, _ string) (int, error) {
	return workflow.Step(ctx, "count", func(ctx context.Context) (int, error) {
		k.mu.Lock()
		defer k.mu.Unlock()
		k.n++
		done := make(chan struct{})
		go func() { close(done) }()
		select {
		case <-done:
		case <-ctx.Done():
		}
		return k.n, nil
	})
}

func branches(ctx workflow.Context, hooks []*workflow.Hook[string]) ([]string, error) {
	var got []string
	background := workflow.Go(ctx, func(ctx workflow.Context) (string, error) {
		got = append(got, "begun")
		return hooks[0].Wait(ctx)
	})
	err := workflow.Select(ctx,
		workflow.OnDone(background, func(s string, err error) error { got = append(got, s); return err }),
		workflow.OnPayload(hooks[1], func(s string) error { got = append(got, s); return nil }),
	)
	_ = len(make(chan int, 3))
	return got, err
}
