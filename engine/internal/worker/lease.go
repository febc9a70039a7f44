package worker

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"github.com/tenter-dev/tenter/engine/internal/outage"
	"github.com/tenter-dev/tenter/internal/planted"
	"github.com/tenter-dev/tenter/store"
)

// lease is a worker's proof of being alive. It is renewed while the worker owns runs; always,
// if other processes may use the database, so that they know which workers are live.
//
// What a lease allows is counted from when the renewal was sent, by this process's own clock;
// what others may do, from when it arrived, by the store's. So clocks need not agree, and a
// worker that was frozen knows that it has to ask first before others could have taken its
// runs.
type lease struct {
	w      *Worker
	sent   atomic.Pointer[time.Time] // when the last successful renewal was
	lapses atomic.Int32              // how often it was renewed too late
	tries  atomic.Int64              // renewals that have an answer
	busy   chan struct{}             // full while a goroutine renews

	// Of the goroutine that renews.
	err     error     // of the last try
	failing time.Time // since when renewals have failed; zero: the last one succeeded
	truce   atomic.Pointer[time.Time]

	backoff outage.Backoff // of loop
	beating atomic.Bool
	kick    chan struct{} // full when beating has become true and loop does not know yet
}

// ensure renews the lease unless it has some time left, and returns how often it had lapsed: a
// caller that learned before the last lapse that it owns a run has to ask the store.
func (l *lease) ensure() (lapses int32, err error) {
	if l.age() >= l.w.opts.Lease/3*2 && !planted.LeaseUnchecked.Here() {
		if err := l.renew(); err != nil {
			return 0, err
		}
	}
	l.beat()
	return l.lapses.Load(), nil
}

// RefreshLease renews the lease if it has not been renewed for some time.
func (w *Worker) RefreshLease() {
	_, _ = w.lease.ensure() // if it fails, so will what comes next
}

// never is the age of a lease that has not been granted yet.
const never = time.Duration(1<<63 - 1)

// age is how long ago the last successful renewal was sent. A clock that is set back must not
// make it younger, and the monotonic clock may stand still while the machine sleeps, so age is
// the larger of the two readings.
func (l *lease) age() time.Duration {
	sent := l.sent.Load()
	if sent == nil {
		return never
	}
	now := time.Now()
	return max(now.Sub(*sent), now.Round(0).Sub(sent.Round(0)))
}

// renew renews the lease, unless another goroutine has just done or tried that.
func (l *lease) renew() error {
	asked := l.tries.Load()
	select {
	case l.busy <- struct{}{}:
	case <-l.w.ctx.Done():
		return l.w.ctx.Err()
	}
	defer func() { <-l.busy }()
	switch {
	case l.age() < l.w.opts.Lease/4:
		return nil
	case l.tries.Load() != asked:
		return l.err
	}
	l.err = l.try()
	l.tries.Add(1)
	return l.err
}

func (l *lease) try() error {
	most := l.w.opts.Lease
	sent := time.Now()
	// A later answer is worth nothing.
	ctx, cancel := context.WithTimeout(l.w.ctx, most)
	defer cancel()
	err := l.w.store.Renew(ctx, store.Lease{
		Worker:      l.w.id,
		For:         most,
		Build:       l.w.opts.Build,
		Definitions: l.w.definitions,
		LinkKeys:    l.w.opts.LinkKeys,
	})
	if err != nil {
		if l.failing.IsZero() {
			l.failing = sent
		}
		return err
	}
	had := l.age()
	over := had != never && had >= most
	lapsed := over && l.beating.Load() // else nothing is known to have needed the lease
	// What kept this worker from renewing may have kept all others from it too. Each live
	// worker gets time to renew before its runs count as those of a dead one.
	if lapsed || !l.failing.IsZero() && time.Since(l.failing) >= most/2 {
		until := time.Now().Add(most / 2)
		l.truce.Store(&until)
	}
	l.failing = time.Time{}
	if over {
		// Before sent: whoever finds the lease renewed has to know that it had lapsed. Nothing may
		// seem to need it: a run may be about to be born, or to be owned again.
		l.lapses.Add(1)
	}
	l.sent.Store(&sent)
	if lapsed {
		l.w.tel.Lapsed(l.w.ctx)
		if owned := l.w.owned.Load(); owned > 0 {
			l.w.log.Warn("the lease had lapsed: others may have taken runs over", "for", (had - most).Round(time.Millisecond), "runs", owned)
		}
		l.w.notifyOwned() // each has to check
	}
	return nil
}

// truceFor returns how long no runs are to be claimed.
func (l *lease) truceFor() time.Duration {
	until := l.truce.Load()
	if until == nil {
		return 0
	}
	return time.Until(*until)
}

// beat makes loop renew the lease for as long as it is needed.
func (l *lease) beat() {
	if !l.beating.Load() && l.beating.CompareAndSwap(false, true) {
		l.kick <- struct{}{} // never blocks: beating was false, so kick is empty
	}
}

// loop renews the lease while it is needed.
func (l *lease) loop() {
	t := l.w.outages
	defer l.backoff.Quit(t)
	if l.w.store.Shared() {
		l.beat()
	}
	for {
		select {
		case <-l.w.ctx.Done():
			return
		case <-l.kick:
		}
		for wait := l.w.opts.Lease / 3; l.pause(wait); {
			l.w.tellLost()
			wait = l.w.opts.Lease / 3
			switch err := l.renew(); {
			case err == nil:
				l.backoff.Passed(t)
			case l.w.ctx.Err() == nil:
				wait = min(wait, l.backoff.Failed(t, "renew the lease", "", err))
			}
		}
		l.w.tellLost()
		l.backoff.Quit(t)
	}
}

// pause waits for the time of the next renewal. It returns false if none is needed.
func (l *lease) pause(d time.Duration) bool {
	if !outage.Sleep(l.w.ctx, d) {
		return false
	}
	if l.w.owned.Load() > 0 || l.w.store.Shared() {
		return true
	}
	l.beating.Store(false)
	return l.w.owned.Load() > 0 && l.beating.CompareAndSwap(false, true)
}

// errUnleased is the error of an operation that was not tried because the lease could not be
// renewed.
var errUnleased = errors.New("the lease can't be renewed")
