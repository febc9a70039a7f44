// Package watch calls functions for what they have asked to see.
package watch

import "sync"

// List is a list of functions that are called with values of a type. The zero value is empty.
// It is safe for concurrent use.
type List[T any] struct {
	mu   sync.Mutex
	next int
	fs   map[int]func(T)
}

// Add has Tell call f until stop is called.
func (l *List[T]) Add(f func(T)) (stop func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.fs == nil {
		l.fs = make(map[int]func(T))
	}
	id := l.next
	l.next++
	l.fs[id] = f
	return func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		delete(l.fs, id)
	}
}

// Tell calls all functions, without the lock, so that one may stop itself.
func (l *List[T]) Tell(v T) {
	var few [4]func(T)
	fs := few[:0]
	l.mu.Lock()
	for _, f := range l.fs {
		fs = append(fs, f)
	}
	l.mu.Unlock()
	for _, f := range fs {
		f(v)
	}
}
