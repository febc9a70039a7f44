package sqlite

import (
	"sync"

	"github.com/tenter-dev/tenter/store"
)

// watchers are told after each commit.
type watchers struct {
	mu   sync.Mutex
	next int
	fs   map[int]func(store.Signal)
}

// Watch calls f after each commit that gave runs messages or ended them. For
// changes of other processes it says All, within 250 ms. f must not block.
func (s *Store) Watch(f func(store.Signal)) (stop func()) {
	ws := &s.watch
	ws.mu.Lock()
	defer ws.mu.Unlock()
	if ws.fs == nil {
		ws.fs = make(map[int]func(store.Signal))
	}
	id := ws.next
	ws.next++
	ws.fs[id] = f
	return func() {
		ws.mu.Lock()
		defer ws.mu.Unlock()
		delete(ws.fs, id)
	}
}

// tell calls the watchers. They are called without the lock, so that one may
// stop itself.
func (ws *watchers) tell(sig store.Signal) {
	if len(sig.Mail) == 0 && len(sig.Ended) == 0 && len(sig.Responded) == 0 && !sig.All {
		return
	}
	var few [4]func(store.Signal)
	fs := few[:0]
	ws.mu.Lock()
	for _, f := range ws.fs {
		fs = append(fs, f)
	}
	ws.mu.Unlock()
	for _, f := range fs {
		f(sig)
	}
}
