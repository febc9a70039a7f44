package engine

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/tenter-dev/tenter/store"
)

// lease is a worker's claim to be alive. It is renewed while the worker owns runs;
// if other processes may use the database always, so that they know who is there.
type lease struct {
	w       *worker
	sent    atomic.Int64 // when the last successful renewal was sent, by time.UnixNano
	mu      sync.Mutex   // held while renewing
	beating atomic.Bool
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

func (l *lease) age() time.Duration { return time.Since(time.Unix(0, l.sent.Load())) }

func (l *lease) renew() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	first := l.sent.Load() == 0
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
	l.sent.Store(sent.UnixNano())
	if lapsed {
		l.w.pokeHeld() // somebody may have taken them
	}
	return nil
}

// beat keeps the lease alive for as long as it is needed.
func (l *lease) beat() {
	if l.beating.Load() || !l.beating.CompareAndSwap(false, true) {
		return
	}
	l.w.loops.Go(func() {
		tick := time.NewTicker(l.w.e.opts.Lease / 3)
		defer tick.Stop()
		for {
			select {
			case <-l.w.ctx.Done():
				return
			case <-tick.C:
			}
			if l.w.holding.Load() == 0 && !l.w.store.Shared() {
				l.beating.Store(false)
				if l.w.holding.Load() == 0 || !l.beating.CompareAndSwap(false, true) {
					return
				}
			}
			if err := l.renew(); err != nil && l.w.ctx.Err() == nil {
				l.w.trouble("renew the lease", "", err)
			}
		}
	})
}
