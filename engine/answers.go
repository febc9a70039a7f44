package engine

import (
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

// tellAll is for when nobody knows which requests were answered.
func (a *answers) tellAll() {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, chans := range a.waiting {
		nudge(chans)
	}
}

func nudge(chans []chan struct{}) {
	for _, ch := range chans {
		select {
		case ch <- struct{}{}:
		default:
		}
	}
}
