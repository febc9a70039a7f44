package workflow

import (
	"fmt"
	"log/slog"
	"math/rand/v2"
	"time"
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
	b := mustCheck(ctx).Derive("id")
	b[6] = b[6]&0x0f | 0x80 // version 8: vendor specific
	b[8] = b[8]&0x3f | 0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[0:4], b[4:6], b[6:8], b[8:10], b[10:16])
}

// Rand returns a new source of random numbers: each call gives another one, each
// replay the same ones. Outside the workflow's own code it panics with
// [ErrNotInWorkflow].
func Rand(ctx Context) *rand.Rand {
	return rand.New(rand.NewChaCha8(mustCheck(ctx).Derive("rand")))
}

// Logger returns the engine's logger, with the run's attributes. What workflow code
// logs with it appears once: it is silent on replay, and a line appears when what
// the code had decided by then is durable. Used outside the workflow's own code it
// logs at once.
func Logger(ctx Context) *slog.Logger {
	return scopeOf(ctx).Logger()
}
