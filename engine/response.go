package engine

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"sync/atomic"
	"time"

	"github.com/tenter-dev/tenter/engine/internal/execution"
	"github.com/tenter-dev/tenter/engine/internal/waiting"
	"github.com/tenter-dev/tenter/internal/journal"
	"github.com/tenter-dev/tenter/internal/planted"
	"github.com/tenter-dev/tenter/internal/run"
	"github.com/tenter-dev/tenter/store"
	"github.com/tenter-dev/tenter/workflow"
)

// caller waits for the response to its request.
type caller struct {
	e       *Engine
	request string
	runID   string // that has the request, as far as it is known
	alone   bool   // the end of that run does not matter
	waiter  *waiting.Waiter
}

// hold begins to listen for the outcome of a request, until release.
func (e *Engine) hold(request, runID string) *caller {
	c := &caller{e: e, request: request, runID: runID, waiter: e.waits.Listen(waiting.ResponseTo(request), waiting.EndOf(runID))}
	e.waits.Elsewhere(waiting.EndOf(runID))
	return c
}

// holdAlone is hold for a request that may go from one run to the next before it is answered: it
// does not end with a run.
func (e *Engine) holdAlone(request string) *caller {
	key := waiting.ResponseTo(request)
	c := &caller{e: e, request: request, alone: true, waiter: e.waits.Listen(key)}
	e.waits.Elsewhere(key)
	return c
}

// pausedAfter is how long a caller waits before it looks whether the run is paused. It looks again
// whenever it has waited about twice as long.
const pausedAfter = time.Second

func (c *caller) release() { c.waiter.Stop() }

// wait waits for the response, within a time. now says that the run may have responded long ago.
func (c *caller) wait(ctx context.Context, within time.Duration, now bool) (workflow.Response, error) {
	began := time.Now()
	r, err := c.await(ctx, within, now)
	c.e.tel.Held(ctx, time.Since(began), outcomeOf(err))
	return r, err
}

// outcomeOf is what became of a caller, for the metrics.
func outcomeOf(err error) string {
	switch {
	case err == nil:
		return "answered"
	case errors.Is(err, ErrNoResponse):
		return "unanswered"
	case errors.Is(err, ErrPaused):
		return "paused"
	case errors.Is(err, ErrResponseTimeout):
		return "timed_out"
	}
	return "left"
}

func (c *caller) await(ctx context.Context, within time.Duration, now bool) (workflow.Response, error) {
	limited, cancel := context.WithTimeoutCause(ctx, within, ErrResponseTimeout)
	defer cancel()
	r, err := c.outcome(limited, now)
	switch {
	case err == nil:
		return decodeResponse(r)
	case ctx.Err() != nil:
		err = ErrStopping
	case limited.Err() != nil:
		// The response may have come just as the wait ended.
		switch r, missing := c.look(ctx); {
		case missing == nil:
			return decodeResponse(r)
		case errors.Is(missing, ErrNoResponse):
			err = missing
		}
	}
	return workflow.Response{}, err
}

// settle records an answer that is not the run's, unless there is one, and returns the one there is.
func (c *caller) settle(ctx context.Context, a workflow.Response) (workflow.Response, error) {
	r, err := execution.NewResponse(c.request, c.runID, journal.Server,
		run.Response{Status: a.Status, Header: a.Header, Body: a.Body}, c.e.store.Now(), c.e.opts.DedupeFor)
	if err != nil {
		return workflow.Response{}, err
	}
	if err := c.e.store.Respond(ctx, r); err != nil && !errors.Is(err, store.ErrExists) {
		return workflow.Response{}, fmt.Errorf("record that request %s was accepted: %w", c.request, err)
	}
	r, err = c.e.store.Response(ctx, c.request) // another process may have recorded another one
	if err != nil {
		return workflow.Response{}, fmt.Errorf("look up the response to request %s: %w", c.request, err)
	}
	return decodeResponse(&r)
}

// lookForPauses has the caller look now and then whether the run is paused, until stop is called.
func (c *caller) lookForPauses() (stop func()) {
	var over atomic.Bool
	var timer *time.Timer
	pause := pausedAfter
	timer = time.AfterFunc(math.MaxInt64, func() {
		if over.Load() {
			return
		}
		c.waiter.Look()
		pause = 2 * min(pause, math.MaxInt64/2)
		timer.Reset(pause)
	})
	timer.Reset(pause) // not before the function can see the timer
	return func() {
		over.Store(true)
		timer.Stop()
	}
}

// outcome waits for the response until ctx ends, whose cause is the error then. Others are
// ErrNoResponse, ErrPaused and ErrStopping.
func (c *caller) outcome(ctx context.Context, now bool) (*store.Response, error) {
	defer c.lookForPauses()()
	for {
		v, err := c.waiter.Wait(ctx, c.e.Stopping(), now, c)
		if r, ok := v.(*store.Response); ok {
			return r, nil
		}
		switch {
		case err == nil: // the run has ended, and may have responded before
			now = true
			continue
		case !errors.Is(err, waiting.ErrStopped):
			return nil, err
		}
		// The response may have come just as the wait ended.
		switch r, missing := c.look(ctx); {
		case missing == nil:
			return r, nil
		case errors.Is(missing, ErrNoResponse):
			return nil, missing
		}
		return nil, ErrStopping
	}
}

// Look implements waiting.Query.
func (c *caller) Look(ctx context.Context) (found any, final bool, err error) {
	r, err := c.look(ctx)
	switch {
	case err == nil:
		return r, true, nil
	case errors.Is(err, errNoResponseYet):
		return nil, false, nil
	}
	return nil, errors.Is(err, ErrNoResponse) || errors.Is(err, ErrPaused), err
}

// Describe implements waiting.Query.
func (c *caller) Describe() (verb, runID string) {
	return "look for the response to a request", c.runID
}

var errNoResponseYet = errors.New("no response yet")

// look returns the response, or errNoResponseYet, ErrNoResponse or ErrPaused.
func (c *caller) look(ctx context.Context) (*store.Response, error) {
	// First the run, then the response: a run's response precedes its end.
	holder, err := c.e.store.Run(ctx, c.runID)
	pruned := errors.Is(err, store.ErrNotFound)
	if err != nil && !pruned {
		return nil, fmt.Errorf("look up run %s: %w", c.runID, err)
	}
	r, err := c.e.store.Response(ctx, c.request)
	switch {
	case errors.Is(err, store.ErrNotFound) && (pruned || holder.Status.Ended()) && (!c.alone || planted.HeldByRun.Here()):
		return nil, ErrNoResponse
	case errors.Is(err, store.ErrNotFound) && holder.Paused != nil:
		return nil, ErrPaused
	case errors.Is(err, store.ErrNotFound):
		return nil, errNoResponseYet
	case err != nil:
		return nil, fmt.Errorf("look up response: %w", err)
	}
	return &r, nil
}

func decodeResponse(r *store.Response) (workflow.Response, error) {
	resp := workflow.Response{Status: r.Status, Body: r.Body}
	if err := json.Unmarshal(r.Header, &resp.Header); err != nil {
		return workflow.Response{}, fmt.Errorf("decode response: %w", err)
	}
	return resp, nil
}
