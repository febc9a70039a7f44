package waiting_test

import (
	"context"
	"errors"
	"testing"

	"github.com/tenter-dev/tenter/engine/internal/outage"
	"github.com/tenter-dev/tenter/engine/internal/waiting"
	"github.com/tenter-dev/tenter/store"
)

// A run that responds and ends at once has both delivered before its caller wakes: the caller
// needs the response.
func TestFirstValueStays(t *testing.T) {
	r := waiting.New(silent{}, &outage.Log{})
	w := r.Listen(waiting.ResponseTo("request"), waiting.EndOf("run"))
	defer w.Stop()
	r.Deliver(waiting.ResponseTo("request"), "response", false)
	r.Deliver(waiting.EndOf("run"), "end", false)
	v, err := w.Wait(t.Context(), nil, false, noQuery{})
	if v != "response" || err != nil {
		t.Errorf("got %v, %v, want the response", v, err)
	}
}

// silent is a store that signals nothing.
type silent struct{}

func (silent) Await() (done func()) { return func() {} }

func (silent) Resync(context.Context, store.Signal) (store.Signal, error) {
	return store.Signal{}, nil
}

type noQuery struct{}

func (noQuery) Look(context.Context) (any, bool, error) { return nil, true, errors.New("no store") }
func (noQuery) Describe() (verb, runID string)          { return "look", "run" }
