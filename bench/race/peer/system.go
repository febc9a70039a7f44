package peer

import (
	"context"
	"sync"
	"sync/atomic"
)

// A System is an engine at work, with its client in the same process unless its [Role]
// says otherwise: a worker is only closed, and a client is only asked to Run. Its methods
// are called by many goroutines.
type System interface {
	// Run starts a run of so many steps, each of which calls [Step], one after the
	// other, and returns when the run's result is here.
	Run(ctx context.Context, steps int) error

	// Park starts a run that calls [Waiting] and waits for an event from outside. It
	// returns when the start is durable. The returned function sends the event and
	// returns when the run's result is here.
	Park(ctx context.Context) (resume func(context.Context) error, err error)

	// Close ends the engine and its servers. Runs may still wait.
	Close() error
}

var (
	stepped atomic.Int64
	waiting atomic.Int64
	tokens  sync.Map
)

// Step is what steps do: next to nothing.
func Step() (int, error) {
	stepped.Add(1)
	return 1, nil
}

// Waiting says that the run with an ID of the system's is about to wait for the event
// that is sent to a token. Code of workflows must not do such a thing in earnest; here it
// spares all systems a look-up, and repeats are harmless.
func Waiting(run, token string) {
	if _, again := tokens.Swap(run, token); !again {
		waiting.Add(1)
	}
}

// Token is what a run that is [Waiting] has given.
func Token(run string) string {
	token, _ := tokens.Load(run)
	s, _ := token.(string)
	return s
}
