package engine

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/tenter-dev/tenter/engine/internal/waiting"
	"github.com/tenter-dev/tenter/store"
	"github.com/tenter-dev/tenter/workflow"
)

// caller waits for the response to its request.
type caller struct {
	e       *Engine
	request string
	runID   string
	waiter  *waiting.Waiter
}

// hold begins to listen for the outcome of a request, until release.
func (e *Engine) hold(request, runID string) *caller {
	c := &caller{e: e, request: request, runID: runID, waiter: e.waits.Listen(waiting.ResponseTo(request), waiting.EndOf(runID))}
	e.waits.Elsewhere(waiting.EndOf(runID))
	return c
}

func (c *caller) release() { c.waiter.Stop() }

// wait waits for the response. now says that the run may have responded long ago.
func (c *caller) wait(ctx context.Context, now bool) (workflow.Response, error) {
	limited, cancel := context.WithTimeoutCause(ctx, c.e.opts.RespondWithin, ErrResponseTimeout)
	defer cancel()
	for {
		v, err := c.waiter.Wait(limited, c.e.Stopping(), now, c)
		r, ok := v.(*store.Response)
		switch {
		case ok:
			return decodeResponse(r)
		case err == nil: // the run has ended, and may have responded before
			now = true
			continue
		case errors.Is(err, ErrNoResponse):
			return workflow.Response{}, err
		case ctx.Err() != nil:
			return workflow.Response{}, ErrStopping
		case errors.Is(err, waiting.ErrStopped):
			err = ErrStopping
		}
		// The response may have come just as the wait ended.
		switch r, missing := c.look(ctx); {
		case missing == nil:
			return decodeResponse(r)
		case errors.Is(missing, ErrNoResponse):
			err = missing
		}
		return workflow.Response{}, err
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
	return nil, errors.Is(err, ErrNoResponse), err
}

// Describe implements waiting.Query.
func (c *caller) Describe() (verb, runID string) {
	return "look for the response to a request", c.runID
}

var errNoResponseYet = errors.New("no response yet")

// look returns the response, or errNoResponseYet, or ErrNoResponse.
func (c *caller) look(ctx context.Context) (*store.Response, error) {
	// First the run, then the response: a run's response precedes its end.
	run, err := c.e.store.Run(ctx, c.runID)
	if err != nil {
		return nil, fmt.Errorf("look up run %s: %w", c.runID, err)
	}
	r, err := c.e.store.Response(ctx, c.request)
	switch {
	case errors.Is(err, store.ErrNotFound) && run.Status.Ended():
		return nil, ErrNoResponse
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
