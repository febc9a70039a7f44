package engine

import (
	"maps"
	"slices"
	"sync"
)

// answers tells who holds a caller's connection that its request has been answered.
type answers struct {
	mu      sync.Mutex
	waiting map[string][]chan struct{} // by request ID
}

// wait returns a channel that says: look for the answer.
func (a *answers) wait(request string) chan struct{} {
	ch := make(chan struct{}, 1)
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.waiting == nil {
		a.waiting = map[string][]chan struct{}{}
	}
	a.waiting[request] = append(a.waiting[request], ch)
	return ch
}

func (a *answers) forget(request string, ch chan struct{}) {
	a.mu.Lock()
	defer a.mu.Unlock()
	left := slices.DeleteFunc(a.waiting[request], func(c chan struct{}) bool { return c == ch })
	if len(left) == 0 {
		delete(a.waiting, request)
	} else {
		a.waiting[request] = left
	}
}

func (a *answers) tell(request string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	nudge(a.waiting[request])
}

// awaited are the requests that somebody holds.
func (a *answers) awaited() []string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return slices.Sorted(maps.Keys(a.waiting))
}

func nudge(chans []chan struct{}) {
	for _, ch := range chans {
		select {
		case ch <- struct{}{}:
		default:
		}
	}
}
