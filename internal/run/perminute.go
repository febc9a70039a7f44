package run

import (
	"sync"
	"time"
)

// perMinute is what a PerMinute lets through.
const perMinute = 20

// PerMinute bounds what strangers can have written: it lets 20 through a minute. The zero value is
// ready.
type PerMinute struct {
	mu      sync.Mutex
	since   time.Time // the minute's beginning
	through int       // in this minute
	held    int       // since the last that it has let through
}

// Take reports whether one may go through now, and how many have not since the last one.
func (p *PerMinute) Take(now time.Time) (held int, ok bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if now.Sub(p.since) >= time.Minute {
		p.since, p.through = now, 0
	}
	if p.through == perMinute {
		p.held++
		return 0, false
	}
	p.through++
	held, p.held = p.held, 0
	return held, true
}
