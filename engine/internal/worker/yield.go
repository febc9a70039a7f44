package worker

import (
	"sync/atomic"
	"time"
)

// mostYield is how many workers look at most whether others have claimed their runs.
const mostYield = 2

// yieldTick is how often a worker looks whether it has left runs for long enough.
const yieldTick = 25 * time.Millisecond

// pace measures how long it takes here from a signal until a run is claimed. Others will take
// as long: on a busy machine, they are given more time.
type pace struct{ mean atomic.Int64 }

func (p *pace) took(d time.Duration) { p.mean.Add((int64(d) - p.mean.Load()) / 8) }

// moment returns how long to leave a run to another worker.
func (p *pace) moment() time.Duration {
	return min(yieldTick+4*time.Duration(p.mean.Load()), time.Second)
}
