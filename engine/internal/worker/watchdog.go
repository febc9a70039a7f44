package worker

import (
	"time"

	"github.com/tenter-dev/tenter/engine/internal/execution"
)

// watchdog logs where workflow code blocks on something that is not durable: a plain channel,
// a mutex, I/O. Nothing more can be done about it from outside.
type watchdog struct {
	w    *Worker
	kick chan struct{}
}

func (d *watchdog) wake() {
	select {
	case d.kick <- struct{}{}:
	default:
	}
}

// loop checks once a second while actors are at work.
func (d *watchdog) loop() {
	for {
		select {
		case <-d.kick:
		case <-d.w.ctx.Done():
			return
		}
		told := map[*actor]int64{}
		for d.w.busyActors.Load() > 0 {
			t := time.NewTimer(d.w.opts.StuckAfter / 2)
			select {
			case <-t.C:
			case <-d.w.ctx.Done():
				t.Stop()
				return
			}
			d.look(told)
		}
	}
}

func (d *watchdog) look(told map[*actor]int64) {
	d.w.mu.Lock()
	var stuck []*actor
	for _, a := range d.w.actors {
		since := a.turnSince.Load()
		if since != 0 && told[a] != since && time.Since(time.Unix(0, since)) >= d.w.opts.StuckAfter {
			told[a] = since
			stuck = append(stuck, a)
		}
	}
	d.w.mu.Unlock()
	if len(stuck) == 0 {
		return
	}
	stacks := execution.StuckStacks()
	for _, a := range stuck {
		d.w.name(a.id) // if it has mail and no owner, a claim shows who executes it
		a.logger().Error("workflow code blocks outside durable calls: in a workflow use hooks, futures and workflow.Go instead of channels, locks, goroutines and I/O",
			"for", time.Since(time.Unix(0, a.turnSince.Load())).Round(time.Millisecond), "stack", stacks)
	}
}
