package execution

import (
	"time"

	"github.com/tenter-dev/tenter/internal/journal"
)

// Span is something in a run that took time and has ended. Live code leaves spans for the
// transition that makes them durable.
type Span struct {
	Kind     SpanKind
	Name     string // of the step or hook type
	Ref      string // step or hook ID
	From, To time.Time
	Failure  *journal.Failure // of the step or the attempt
	Until    time.Time        // when the next attempt begins
	Trace    string           // of the payload
	Actor    string           // of the payload, as it is stored
}

// SpanKind says what took time.
type SpanKind uint8

// What took time.
const (
	StepDone SpanKind = iota
	StepRetry
	HookWaited
	Slept
	TimedOut
)
