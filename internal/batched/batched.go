// Package batched lets concurrent callers share what one request costs: what is asked for
// while a request is under way goes into the next one.
package batched

import (
	"context"
	"slices"
	"sync"
	"time"
)

// A Loader loads values by their keys, for many callers at once. Its fields are set before it is
// used; the methods are safe for concurrent use.
type Loader[K, V any] struct {
	// Load returns a value for each of the keys, in their order. A key may be among them twice.
	Load func(ctx context.Context, keys []K) ([]V, error)

	// Most is how many keys a batch has at most. They arrive or fail together.
	Most int

	mu      sync.Mutex
	waiting []*batch[K, V]
	loading int // batches under way that are not slow
}

// batch is what one request loads for several callers.
type batch[K, V any] struct {
	ctx     context.Context //nolint:containedctx // of the first caller, without its cancellation
	keys    []K
	callers int // that still wait
	values  []V
	err     error
	done    chan struct{}
}

// slow is how long a batch may take until the next one begins beside it.
const slow = 20 * time.Millisecond

// Get returns the value of a key.
func (l *Loader[K, V]) Get(ctx context.Context, key K) (V, error) {
	var none V
	if err := ctx.Err(); err != nil {
		return none, err
	}
	mine, place := l.join(ctx, key)
	select {
	case <-mine.done:
	case <-ctx.Done():
		l.mu.Lock()
		defer l.mu.Unlock()
		mine.callers--
		return none, ctx.Err()
	}
	if mine.err != nil {
		return none, mine.err
	}
	return mine.values[place], nil
}

// join adds a key to the last batch that waits.
func (l *Loader[K, V]) join(ctx context.Context, key K) (mine *batch[K, V], place int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	n := len(l.waiting)
	if n == 0 || len(l.waiting[n-1].keys) == l.Most {
		l.waiting = append(l.waiting, &batch[K, V]{ctx: context.WithoutCancel(ctx), done: make(chan struct{})})
		n++
	}
	mine, place = l.waiting[n-1], len(l.waiting[n-1].keys)
	mine.keys = append(mine.keys, key)
	mine.callers++
	if l.loading == 0 {
		l.loading++
		go l.loadAll()
	}
	return mine, place
}

// loadAll loads one batch after another until nobody waits.
func (l *Loader[K, V]) loadAll() {
	for b := l.next(); b != nil; b = l.next() {
		overdue := time.AfterFunc(slow, l.over)
		b.values, b.err = l.Load(b.ctx, b.keys)
		close(b.done)
		if !overdue.Stop() {
			return // another goroutine loads the rest
		}
	}
}

// next takes the first batch that somebody waits for. If there is none, this goroutine ends.
func (l *Loader[K, V]) next() *batch[K, V] {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.waiting = slices.DeleteFunc(l.waiting, func(b *batch[K, V]) bool { return b.callers == 0 })
	if len(l.waiting) == 0 {
		l.loading--
		return nil
	}
	b := l.waiting[0]
	l.waiting = slices.Delete(l.waiting, 0, 1)
	return b
}

// over replaces a goroutine whose batch is slow.
func (l *Loader[K, V]) over() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.loading--
	if len(l.waiting) > 0 && l.loading == 0 {
		l.loading++
		go l.loadAll()
	}
}
