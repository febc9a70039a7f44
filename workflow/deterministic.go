package workflow

import (
	"log/slog"
	"math/rand/v2"
	"time"

	"github.com/tenter-dev/tenter/internal/journal"
)

// Now returns the time of the event that the run is handling: when the payload was
// accepted, the timer was due, or the step returned. It is the same on replay and
// never goes back. Outside the workflow's own code it panics with [ErrNotInWorkflow].
func Now(ctx Context) time.Time {
	return mustCheck(ctx).Now()
}

// NewID returns a new random ID, in the form of a UUID: the same on replay, and not
// to be guessed by anybody who knows the run. Outside the workflow's own code it
// panics with [ErrNotInWorkflow].
func NewID(ctx Context) string {
	return journal.ID(mustCheck(ctx).Derive(journal.LabelID))
}

// Rand returns a new source of random numbers: each call gives another one, each
// replay the same ones. Outside the workflow's own code it panics with
// [ErrNotInWorkflow].
func Rand(ctx Context) *rand.Rand {
	return journal.Rand(mustCheck(ctx).Derive(journal.LabelRand))
}

// Logger returns the engine's logger, with the run's attributes. What workflow code
// logs with it appears once: it is silent on replay, and a line appears when what
// the code had decided by then is durable. Used outside the workflow's own code it
// logs at once.
func Logger(ctx Context) *slog.Logger {
	return scopeOf(ctx).Logger()
}
