package worker

import (
	"slices"
	"time"
)

const (
	suspicious = 2 // take-overs from a lapsed lease without progress that put a run in quarantine
	maxCrashes = 3 // crashes in quarantine that block the run

	// quarantineFor is how long an attempt in quarantine keeps other runs out.
	quarantineFor = 10 * time.Second
)

// quarantine is a run in quarantine. Something, maybe this run, has killed its worker more
// than once. So at most one run at a time, and one of its suspect steps at a time, executes
// under a durable mark. A crash then convicts exactly what was marked, and nothing else.
type quarantine struct {
	suspects []string // steps that were outstanding
	leave    func()
	timer    *time.Timer
}

// probation waits for the run's turn in quarantine. A run that has been convicted first waits
// for the lease time: if something else is killing workers, that shows while the run is not
// executing and bears no mark. It returns false if the worker ends first.
func (a *actor) probation() bool {
	if a.head.Crashes > 0 {
		wait := time.NewTimer(a.w.opts.Lease)
		defer wait.Stop()
		select {
		case <-wait.C:
		case <-a.w.ending:
			return false
		}
	}
	select {
	case a.w.quarantineSlot <- struct{}{}:
		return true
	case <-a.w.ending:
		return false
	}
}

// leaveQuarantine lets the next run in.
func (a *actor) leaveQuarantine() {
	if a.quarantine != nil {
		if a.quarantine.timer != nil {
			a.quarantine.timer.Stop()
		}
		a.quarantine.leave()
		a.quarantine = nil
	}
}

// suspicion returns what is to be recorded: progress clears a run, but in quarantine only once
// all its suspect steps have an outcome.
func (a *actor) suspicion(progress bool) (suspicion, crashes int32) {
	if a.quarantine != nil {
		progress = !slices.ContainsFunc(a.quarantine.suspects, func(ref string) bool { return a.schedule.get(ref) != nil })
	}
	if progress {
		return 0, 0
	}
	return a.head.Suspicion, a.head.Crashes
}
