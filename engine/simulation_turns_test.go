package engine_test

import (
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing/synctest"
	"time"
)

// turns lets operations on the store begin one after the other, in an order that
// follows from the seed: the next one is chosen, by what it is, when nothing else can
// go on. So how the scheduler of the Go runtime interleaves goroutines matters little.
// Now and then several begin at once, so that the store has something to batch.
type turns struct {
	mu      sync.Mutex
	rand    *rand.Rand
	waiting []*turn
	idle    []chan struct{} // of callers that wait until nothing happens any more
	pausing int             // operations that take their time
	open    bool            // all may begin at once
	news    chan struct{}
}

type turn struct {
	name  string
	begin chan struct{}
}

func newTurns(seed uint64) *turns {
	t := &turns{rand: rand.New(rand.NewPCG(seed, 1)), news: make(chan struct{}, 1)}
	go t.loop()
	return t
}

// take returns when it is the turn of an operation.
func (t *turns) take(name string) {
	t.mu.Lock()
	if t.open {
		t.mu.Unlock()
		return
	}
	w := &turn{name, make(chan struct{})}
	t.waiting = append(t.waiting, w)
	t.mu.Unlock()
	t.tell()
	<-w.begin
}

// pause lets an operation take a while, at most so long.
func (t *turns) pause(most time.Duration, name string) {
	t.mu.Lock()
	if most == 0 || t.open {
		t.mu.Unlock()
		return
	}
	d := time.Duration(t.rand.Int64N(int64(most)))
	t.pausing++
	t.mu.Unlock()
	advance(d)
	t.mu.Lock()
	t.pausing--
	t.mu.Unlock()
	t.take(name)
}

// quiet returns when nothing can go on before time passes, but for what operations
// take.
func (t *turns) quiet() {
	c := make(chan struct{})
	t.mu.Lock()
	t.idle = append(t.idle, c)
	t.mu.Unlock()
	t.tell()
	<-c
}

func (t *turns) tell() {
	select {
	case t.news <- struct{}{}:
	default:
	}
}

// end lets everything begin from now on.
func (t *turns) end() {
	t.mu.Lock()
	t.open = true
	t.mu.Unlock()
	t.tell()
}

func (t *turns) loop() {
	for {
		synctest.Wait()
		t.mu.Lock()
		begin, open := t.next(), t.open
		var idle []chan struct{}
		if len(begin) == 0 && t.pausing == 0 {
			idle, t.idle = t.idle, nil
		}
		t.mu.Unlock()
		for _, w := range begin {
			close(w.begin)
		}
		switch {
		case len(begin) > 0:
		case len(idle) > 0:
			for _, c := range idle {
				close(c)
			}
		case open:
			return
		default:
			<-t.news
		}
	}
}

// next takes out those whose turn it is.
func (t *turns) next() []*turn {
	if t.open {
		all := t.waiting
		t.waiting = nil
		return all
	}
	if len(t.waiting) == 0 {
		return nil
	}
	slices.SortStableFunc(t.waiting, func(a, b *turn) int { return strings.Compare(a.name, b.name) })
	n := 1
	if t.rand.IntN(4) == 0 {
		n += t.rand.IntN(len(t.waiting))
	}
	var chosen []*turn
	for range n {
		i := t.rand.IntN(len(t.waiting))
		chosen = append(chosen, t.waiting[i])
		t.waiting = slices.Delete(t.waiting, i, i+1)
	}
	return chosen
}
