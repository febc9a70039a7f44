package engine

import (
	"math"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tenter-dev/tenter/store"
)

// lease is a worker's claim to be alive. It is renewed while the worker owns runs;
// if other processes may use the database always, so that they know who is there.
type lease struct {
	w       *worker
	sent    atomic.Pointer[time.Time] // when the last successful renewal was sent
	lapses  atomic.Int64              // how often it was renewed only after it had lapsed
	mu      sync.Mutex                // held while renewing
	beating atomic.Bool
	kick    chan struct{} // has one when beating has become true and loop does not know yet
}

// ensure returns when the lease has some time left.
func (l *lease) ensure() error {
	if l.age() >= l.w.e.opts.Lease*2/3 {
		if err := l.renew(); err != nil {
			return err
		}
	}
	l.beat()
	return nil
}

// age is how long ago the last successful renewal was sent: by the monotonic clock, or by
// the wall clock if that says more, because the other one may stand still while a machine
// is suspended.
func (l *lease) age() time.Duration {
	sent := l.sent.Load()
	if sent == nil {
		return math.MaxInt64
	}
	return max(time.Since(*sent), time.Now().Round(0).Sub(sent.Round(0)))
}

func (l *lease) renew() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	first := l.sent.Load() == nil
	if !first && l.age() < l.w.e.opts.Lease/4 {
		return nil // somebody else has just done it
	}
	sent := time.Now()
	err := l.w.store.Renew(l.w.ctx, store.Lease{
		Worker:      l.w.id,
		For:         l.w.e.opts.Lease,
		Build:       l.w.build,
		Definitions: l.w.e.definitions,
	})
	if err != nil {
		return err
	}
	lapsed := !first && l.age() >= l.w.e.opts.Lease
	if lapsed {
		l.lapses.Add(1)
	}
	l.sent.Store(&sent)
	if lapsed {
		l.w.pokeHeld() // somebody may have taken them
	}
	return nil
}

// beat has the lease renewed for as long as it is needed.
func (l *lease) beat() {
	if !l.beating.Load() && l.beating.CompareAndSwap(false, true) {
		l.kick <- struct{}{} // it has room for one, and beating says that it is empty
	}
}

// loop renews the lease while it is needed.
func (l *lease) loop() {
	if l.w.store.Shared() {
		l.beat()
	}
	for {
		select {
		case <-l.w.ctx.Done():
			return
		case <-l.kick:
		}
		for l.pause() {
			if err := l.renew(); err != nil && l.w.ctx.Err() == nil {
				l.w.trouble("renew the lease", "", err)
			}
		}
	}
}

// pause waits for the time of the next renewal. It returns false if none is needed.
func (l *lease) pause() bool {
	t := time.NewTimer(l.w.e.opts.Lease / 3)
	defer t.Stop()
	select {
	case <-l.w.ctx.Done():
		return false
	case <-t.C:
	}
	if l.w.holding.Load() > 0 || l.w.store.Shared() {
		return true
	}
	l.beating.Store(false)
	return l.w.holding.Load() > 0 && l.beating.CompareAndSwap(false, true)
}
