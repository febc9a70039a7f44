package engine

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/tenter-dev/tenter/store"
	"github.com/tenter-dev/tenter/workflow"
)

// caller waits for the answer to its request.
type caller struct {
	e        *Engine
	request  string
	runID    string
	answered chan struct{}
	ended    chan *workflow.RunResult
}

// hold begins to listen for what becomes of a request, until release.
func (e *Engine) hold(request, runID string) *caller {
	c := &caller{e: e, request: request, runID: runID, answered: e.answers.wait(request), ended: e.waiter(runID)}
	e.listenFor(runID)
	return c
}

func (c *caller) release() {
	c.e.answers.forget(c.request, c.answered)
	c.e.unwait(c.runID, c.ended)
}

// tell has the next wait look at once.
func (c *caller) tell() { c.e.answers.tell(c.request) }

// wait waits for the answer.
func (c *caller) wait(ctx context.Context) (workflow.Response, error) {
	limit := time.NewTimer(c.e.opts.RespondWithin)
	defer limit.Stop()
	missed, caughtUp := c.e.catchup.missed(), true
	var stalled stall
	defer stalled.quit(&c.e.troubles)
	var again <-chan time.Time // after the store has failed
	stopping := c.e.Stopping()
	look := false
	var over error
	for over == nil {
		select {
		case <-c.answered:
			look = true
		case <-c.ended:
			look = true
		case <-missed:
			missed, caughtUp = c.e.catchup.missed(), false
		case <-again:
		case <-limit.C:
			over = ErrResponseTimeout
		case <-stopping:
			over = ErrStopping
		case <-ctx.Done():
			return workflow.Response{}, ErrStopping
		}
		var err error
		if !caughtUp {
			err = c.e.catchUp(ctx)
		}
		// Also when it is over: the answer may have come in the same moment.
		if look || over != nil {
			var resp workflow.Response
			switch resp, err = c.look(ctx); {
			case err == nil:
				return resp, nil
			case errors.Is(err, ErrNoResponse):
				return workflow.Response{}, err
			case errors.Is(err, errNoAnswerYet):
				err = nil
			}
		}
		switch {
		case err == nil:
			stalled.passed(&c.e.troubles)
			look, caughtUp, again = false, true, nil
		case ctx.Err() == nil:
			again = time.After(stalled.failed(&c.e.troubles, "look for the answer to a request", c.runID, err))
		}
	}
	return workflow.Response{}, over
}

var errNoAnswerYet = errors.New("no answer yet")

// look returns the answer, or errNoAnswerYet, or ErrNoResponse.
func (c *caller) look(ctx context.Context) (workflow.Response, error) {
	// First the run, then the answer: what a run answers comes before its end.
	r, err := c.e.store.Run(ctx, c.runID)
	if err != nil {
		return workflow.Response{}, fmt.Errorf("look up run %s: %w", c.runID, err)
	}
	a, err := c.e.store.Response(ctx, c.request)
	switch {
	case errors.Is(err, store.ErrNotFound) && r.Status.Ended():
		return workflow.Response{}, ErrNoResponse
	case errors.Is(err, store.ErrNotFound):
		return workflow.Response{}, errNoAnswerYet
	case err != nil:
		return workflow.Response{}, fmt.Errorf("look up response: %w", err)
	}
	resp := workflow.Response{Status: a.Status, Body: a.Body}
	if err := json.Unmarshal(a.Header, &resp.Header); err != nil {
		return workflow.Response{}, fmt.Errorf("decode response: %w", err)
	}
	return resp, nil
}
