package engine

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/tenter-dev/tenter/engine/internal/execution"
	"github.com/tenter-dev/tenter/engine/internal/worker"
	"github.com/tenter-dev/tenter/internal/planted"
	"github.com/tenter-dev/tenter/internal/run"
	"github.com/tenter-dev/tenter/store"
	"github.com/tenter-dev/tenter/workflow"
)

var errNotCall = errors.New("it belongs to a hook that answers nothing: use Resume")

// CallHook sends a request of a call to a hook, and waits for the run's answer until ctx ends. Use
// [workflow.CallType.Call], which documents the errors.
func (e *Engine) CallHook(ctx context.Context, req workflow.CallRequest) (workflow.CallAnswer, error) {
	if err := e.usable(ctx); err != nil {
		return workflow.CallAnswer{}, fmt.Errorf("call: %w", err)
	}
	if err := req.Validate(); err != nil {
		return workflow.CallAnswer{}, fmt.Errorf("call: %w", err)
	}
	a, err := e.callHook(ctx, req)
	if errors.Is(err, store.ErrNotFound) {
		err = workflow.ErrHookNotFound
	}
	if err != nil {
		return workflow.CallAnswer{}, fmt.Errorf("call %s: %w", run.QuoteToken(req.Token), err)
	}
	return a, nil
}

func (e *Engine) callHook(ctx context.Context, req workflow.CallRequest) (workflow.CallAnswer, error) {
	if err := execution.CheckSize("the input", req.Input, e.opts.MaxPayload); err != nil {
		return workflow.CallAnswer{}, err
	}
	actor, err := actorOf(ctx)
	if err != nil {
		return workflow.CallAnswer{}, err
	}
	if e.isStopping() {
		return workflow.CallAnswer{}, workflow.ErrEngineClosed // don't take a request that nobody would answer
	}
	for live := true; ; live = false {
		h, err := e.callee(ctx, req, live)
		if err != nil {
			return e.calledBefore(ctx, req, err)
		}
		p := store.Payload{
			Token: req.Token, Hook: h.ID, Key: storeKey(req.IdempotencyKey), KeepFor: e.opts.DedupeFor, Request: newID(), Actor: actor,
		}
		if p.Data, err = run.EncodeCall(p.Request, h.RunID, microseconds(e.store.Now()), req.Input); err != nil {
			return workflow.CallAnswer{}, err
		}
		if planted.CallKeyForgotten.Here() {
			p.Key = ""
		}
		// A caller that listens only after the request is durable may miss its outcome.
		held := e.hold(p.Request, h.RunID)
		receipt, err := e.acceptCall(ctx, h, p)
		if err == nil && !receipt.Duplicate {
			defer held.release()
			began := time.Now()
			a, err := e.awaitAnswer(ctx, held, req.Token, false)
			e.tel.Called(ctx, h.Type, time.Since(began), callOutcome(&a, err))
			return a, err
		}
		held.release()
		switch {
		case err == nil:
			return e.repeatCall(ctx, receipt, req.Type)
		case !errors.Is(err, store.ErrNotFound):
			return workflow.CallAnswer{}, err
		}
		// It was closed meanwhile. Another one may have the token.
	}
}

// callOutcome says in a word what has become of a call.
func callOutcome(a *workflow.CallAnswer, err error) string {
	switch {
	case err != nil:
		return "unanswered"
	case a.Error != nil:
		return "refused"
	}
	return "returned"
}

// callee returns the open hook that a request is for. live says that it may be one of a run that this
// process executes, as far as it knows.
func (e *Engine) callee(ctx context.Context, req workflow.CallRequest, live bool) (store.Hook, error) {
	var h store.Hook
	if w, at := e.liveHook(req.Token); live && w != nil {
		h = at.Hook
	} else {
		var err error
		if h, err = e.store.Hook(ctx, req.Token); err != nil {
			return h, err
		}
	}
	if err := fitsCall(&h, req.Type); err != nil {
		return h, err
	}
	return h, e.checkPayload(ctx, h.Type, store.Payload{Token: req.Token, Data: req.Input})
}

// fitsCall says why a hook takes no requests of a call, of any if name is nil.
func fitsCall(h *store.Hook, name *string) error {
	switch {
	case name != nil && *name != h.Type:
		return &workflow.HookTypeError{Token: h.Token, Want: *name, Got: h.Type}
	case !isCall(h):
		return &workflow.PayloadError{Token: h.Token, Err: errNotCall}
	}
	return nil
}

// acceptCall makes a request durable.
func (e *Engine) acceptCall(ctx context.Context, h store.Hook, p store.Payload) (store.Receipt, error) {
	sent := e.tel.Sending(ctx, "call", &p)
	_, err := e.deliver(ctx, p, func(live *store.Hook) error {
		if live.ID != p.Hook {
			return worker.ErrDeclined
		}
		return nil
	})
	receipt := store.Receipt{Hook: h}
	if errors.Is(err, worker.ErrDeclined) {
		receipt, err = e.store.Accept(ctx, p)
	}
	info := hookInfo(receipt.Hook)
	info.Duplicate = receipt.Duplicate
	sent(info, err)
	return receipt, err
}

// calledBefore answers a request that is known by its key, else fails with err: one that was accepted
// earlier need not fit the hook that has the token now.
func (e *Engine) calledBefore(ctx context.Context, req workflow.CallRequest, err error) (workflow.CallAnswer, error) {
	if req.IdempotencyKey == "" {
		return workflow.CallAnswer{}, err
	}
	receipt, missing := e.callReceipt(ctx, req.Token, req.IdempotencyKey)
	if missing != nil {
		return workflow.CallAnswer{}, err
	}
	return e.repeatCall(ctx, receipt, req.Type)
}

// callReceipt returns the receipt of a payload by its key.
func (e *Engine) callReceipt(ctx context.Context, token, key string) (store.Receipt, error) {
	// No hook has this ID: receipts are all that can be found.
	return e.store.Accept(ctx, store.Payload{Token: token, Key: storeKey(key), Hook: "none", KeepFor: e.opts.DedupeFor})
}

// repeatCall answers a repeated request as the first is, or was.
func (e *Engine) repeatCall(ctx context.Context, r store.Receipt, name *string) (workflow.CallAnswer, error) {
	if err := fitsCall(&r.Hook, name); err != nil {
		return workflow.CallAnswer{}, err // the key is that of a payload
	}
	held := e.hold(r.Request, r.Hook.RunID)
	defer held.release()
	a, err := e.awaitAnswer(ctx, held, r.Hook.Token, true)
	a.Duplicate = true
	return a, err
}

// AwaitAnswer waits for the answer to a request that was sent before. Use [workflow.CallType.Answer],
// which documents the errors.
func (e *Engine) AwaitAnswer(ctx context.Context, req workflow.AnswerRequest) (workflow.CallAnswer, error) {
	if err := e.usable(ctx); err != nil {
		return workflow.CallAnswer{}, fmt.Errorf("await answer: %w", err)
	}
	if err := req.Validate(); err != nil {
		return workflow.CallAnswer{}, fmt.Errorf("await answer: %w", err)
	}
	if req.Request == "" {
		return e.answerByKey(ctx, req)
	}
	if _, err := e.store.Run(ctx, req.RunID); err != nil {
		return workflow.CallAnswer{}, e.runError("await answer of", req.RunID, err)
	}
	held := e.hold(req.Request, req.RunID)
	defer held.release()
	a, err := e.awaitAnswer(ctx, held, req.Token, true)
	if err != nil {
		return workflow.CallAnswer{}, fmt.Errorf("await answer: %w", err)
	}
	return a, nil
}

func (e *Engine) answerByKey(ctx context.Context, req workflow.AnswerRequest) (workflow.CallAnswer, error) {
	receipt, err := e.callReceipt(ctx, req.Token, req.IdempotencyKey)
	if errors.Is(err, store.ErrNotFound) {
		err = workflow.ErrHookNotFound
	}
	var a workflow.CallAnswer
	if err == nil {
		a, err = e.repeatCall(ctx, receipt, nil)
	}
	if err != nil {
		return workflow.CallAnswer{}, fmt.Errorf("await answer of %s: %w", run.QuoteToken(req.Token), err)
	}
	return a, nil
}

// awaitAnswer waits for the answer to a request that is durable. now says that the run may have
// answered long ago.
func (e *Engine) awaitAnswer(ctx context.Context, held *caller, token string, now bool) (workflow.CallAnswer, error) {
	a := workflow.CallAnswer{Request: held.request, RunID: held.runID}
	r, err := held.outcome(ctx, now)
	switch {
	case err == nil && r.Status < 300:
		a.Output = r.Body
		return a, nil
	case err == nil:
		a.Error = r.Body
		return a, nil
	case errors.Is(err, ErrNoResponse):
		err = workflow.ErrRunEnded
	case errors.Is(err, ErrPaused):
		err = workflow.ErrRunPaused
	case errors.Is(err, ErrStopping):
		err = workflow.ErrEngineClosed
	}
	return a, &workflow.UnansweredError{Token: token, RunID: a.RunID, Request: a.Request, Err: err}
}
