package run

import (
	"context"
	"reflect"
	"time"

	"github.com/tenter-dev/tenter/internal/journal"
)

// Workflow is an implemented workflow.
type Workflow struct {
	Name    string
	Version int
	In, Out reflect.Type
	// ByRequest: its runs are started by requests to a webhook, never by payloads to a plain hook.
	ByRequest bool
	// Check decodes an input.
	Check func(input []byte) error
	// Decodes decodes an input as Func does, which is more lenient than Check.
	Decodes func(input []byte) error
	// Func decodes the input, calls the author's function, and encodes its result.
	Func func(s Scope, input []byte) ([]byte, *journal.Failure)
}

// HookType is a defined hook, or a call.
type HookType struct {
	Name    string
	Payload reflect.Type
	Answer  reflect.Type // of a call; nil: it is a hook
	// Check decodes and validates a payload.
	Check func(payload []byte) error
	Topic bool // it is of hooks that listen
}

// Step is a step to be executed.
type Step struct {
	Name string
	Out  reflect.Type // of the result; nil: it has none
	// Func calls the author's function and encodes its result. A transactional step
	// has Transact instead.
	Func StepFunc
	// Transact begins a transaction, calls do with it, as the store knows it, and with
	// the author's function on it, and commits if do returns nil.
	Transact    func(ctx context.Context, do func(joined any, f StepFunc) error) error
	MaxAttempts int
	Timeout     time.Duration // of each attempt; 0: none
	Backoff     Backoff
}

// StepFunc is the function of a step. It does not panic.
type StepFunc func(ctx context.Context) ([]byte, *StepError)

// StepError is how an attempt of a step failed.
type StepError struct {
	Failure    journal.Failure
	Fatal      bool
	RetryAfter time.Duration // 0: by the backoff
}

// Backoff spaces the attempts of a step: the first retry comes after Initial, each
// further one after twice the time, at most Max.
type Backoff struct {
	Initial, Max time.Duration
}

// Child is a child run to be started.
type Child struct {
	Workflow string
	RunID    string // empty: derived from the parent's
	Input    []byte
}

// Hook is a hook to be opened.
type Hook struct {
	Token    string // empty: generated
	Name     string // not empty: the token derives from it, and is the same in each generation
	Type     string
	Metadata []byte
	Webhook  *Webhook // how it takes and answers requests; nil: a plain hook
	Payload  Payload
	Subject  string       // not empty: it listens to the topic Type
	Of       reflect.Type // of what is published to that
}

// Payload is what the author's code takes from a hook.
type Payload interface {
	// Check decodes and validates a payload.
	Check(payload []byte) error
}
