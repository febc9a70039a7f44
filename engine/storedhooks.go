package engine

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/tenter-dev/tenter/internal/schema"
	"github.com/tenter-dev/tenter/store"
	"github.com/tenter-dev/tenter/workflow"
)

// storedFor is how long an engine believes what it has read of the hook types in its store. It
// refuses no payload without looking again.
const storedFor = 10 * time.Second

// storedHooks are the hook types that workers have kept in the store.
type storedHooks struct {
	mu    sync.Mutex
	read  time.Time
	types []store.HookType
}

// find returns the schema of a hook type, and whether it was read just now; nil: there is none.
func (h *storedHooks) find(ctx context.Context, from store.Catalog, name string, again bool) (payload *schema.Node, fresh bool, err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if again || h.read.IsZero() || time.Since(h.read) >= storedFor {
		types, err := from.HookTypes(ctx)
		if err != nil {
			return nil, false, err
		}
		h.types, h.read, fresh = types, time.Now(), true
	}
	i := slices.IndexFunc(h.types, func(t store.HookType) bool { return t.Name == name })
	if i < 0 {
		return nil, fresh, nil
	}
	return schema.Parse(h.types[i].Payload), fresh, nil
}

// checkStored checks a payload for a hook type that the store may have.
func (e *Engine) checkStored(ctx context.Context, hookType string, p store.Payload) error {
	for again := false; ; again = true {
		payload, fresh, err := e.stored.find(ctx, e.store, hookType, again)
		if err != nil || payload == nil {
			return err
		}
		misfit := payload.Check(p.Data)
		if misfit == nil {
			return nil
		}
		if fresh {
			return &workflow.PayloadError{Token: p.Token, Err: misfit}
		}
	}
}
