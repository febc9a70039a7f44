package engine

import (
	"context"

	"github.com/tenter-dev/tenter/store"
)

// operations are what the verbs of a client need: the store, or the store within a
// transaction.
type operations interface {
	store.Client
	Hook(ctx context.Context, token string) (store.Hook, error)
	Run(ctx context.Context, runID string) (store.Run, error)
}

// direct returns the operations outside any transaction.
func (e *Engine) direct() operations {
	if e == nil {
		return nil // the verbs check for it
	}
	return e.store
}
