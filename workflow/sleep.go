package workflow

import (
	"time"

	"github.com/tenter-dev/tenter/internal/run"
)

// Sleep pauses the branch for d, even if it is a year: a sleeping run costs nothing but its rows in
// the store. It returns early with ctx.Err() if ctx ends, and with nil if the run is woken
// ([Run.Wake]). With d of 0 or less it returns at once.
func Sleep(ctx Context, d time.Duration) error {
	if err := scopeOf(ctx).Check(); err != nil {
		return err
	}
	return SleepUntil(ctx, scopeOf(ctx).Now().Add(d))
}

// SleepUntil pauses the branch until t, as [Sleep] does.
func SleepUntil(ctx Context, t time.Time) error {
	s := scopeOf(ctx)
	if err := s.Check(); err != nil {
		return err
	}
	if err := s.Err(); err != nil {
		return err
	}
	timer := s.Timer(run.Sleep, t)
	defer timer.Stop()
	_, err := s.Await(timer)
	return err
}
