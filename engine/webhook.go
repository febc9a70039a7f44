package engine

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/tenter-dev/tenter/engine/internal/execution"
	"github.com/tenter-dev/tenter/engine/internal/worker"
	"github.com/tenter-dev/tenter/internal/run"
	"github.com/tenter-dev/tenter/signature"
	"github.com/tenter-dev/tenter/store"
	"github.com/tenter-dev/tenter/workflow"
)

// Webhook is a webhook as its server sees it. Package server is built on it.
type Webhook struct {
	e        *Engine
	hook     store.Hook
	config   run.Webhook
	released bool
}

// Webhook returns the open webhook that has the token; or a closed one that had it, if it
// recognizes duplicates, for senders that missed their answer. It fails with
// [workflow.ErrHookNotFound] for everything else, including plain hooks.
func (e *Engine) Webhook(ctx context.Context, token string) (*Webhook, error) {
	if err := e.usable(ctx); err != nil {
		return nil, fmt.Errorf("look up webhook: %w", err)
	}
	if run.BadName(token, run.MaxToken) != "" {
		return nil, fmt.Errorf("look up webhook: %w", workflow.ErrHookNotFound) // no hook can have it
	}
	// A plain hook is looked up like an unknown token, so that both take equally long.
	if w, at := e.liveHook(token); w != nil && at.Hook.Webhook != nil {
		return e.webhook(at.Hook)
	}
	h, err := e.store.Hook(ctx, token)
	if err == nil && h.Webhook != nil {
		return e.webhook(h)
	}
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return nil, fmt.Errorf("look up webhook: %w", err)
	}
	r, err := e.store.Receipt(ctx, token)
	if errors.Is(err, store.ErrNotFound) {
		err = workflow.ErrHookNotFound
	}
	if err != nil {
		return nil, fmt.Errorf("look up webhook: %w", err)
	}
	w, err := e.webhook(r.Hook)
	if err == nil {
		w.released = true
	}
	return w, err
}

func (e *Engine) webhook(h store.Hook) (*Webhook, error) {
	w := &Webhook{e: e, hook: h}
	if h.Webhook == nil {
		return w, nil
	}
	if err := json.Unmarshal(h.Webhook, &w.config); err != nil {
		return nil, fmt.Errorf("decode webhook %s: %w", h.ID, err)
	}
	return w, nil
}

// Methods returns the methods that the webhook takes.
func (w *Webhook) Methods() []string {
	if len(w.config.Methods) > 0 {
		return w.config.Methods
	}
	return []string{"POST", "PUT", "PATCH", "DELETE"}
}

// Released reports whether the webhook is closed. Then it takes no requests: repeats get their
// answer, and all others what they would get if it had never existed.
func (w *Webhook) Released() bool { return w.released }

// Deliver checks a request, gives it to the run, and returns the response to the caller, which
// may take as long as Options.RespondWithin. Besides the errors of this package, it may fail
// with [workflow.ErrHookNotFound], [workflow.ErrPayloadTooLarge] and
// [workflow.ErrEngineClosed], after which nothing was written.
//
// Whether the request is taken does not depend on ctx, whose end only ends the wait for an
// answer.
func (w *Webhook) Deliver(ctx context.Context, r *workflow.Request) (workflow.Response, error) {
	p, err := w.payload(r)
	if err != nil && w.released {
		err = workflow.ErrHookNotFound
	}
	if err != nil {
		w.e.tel.Sent(ctx, w.hook.Type, false, err)
		return workflow.Response{}, err
	}
	if !w.config.Manual {
		receipt, err := w.accept(ctx, p)
		if err != nil {
			return workflow.Response{}, err
		}
		if receipt.Duplicate {
			return w.repeat(ctx, receipt)
		}
		return w.static(), nil
	}
	if w.e.isStopping() && !w.released {
		return workflow.Response{}, workflow.ErrEngineClosed // don't take a request that nobody would answer
	}
	// A server that listens only after the request is durable may miss its outcome.
	h := w.e.hold(p.Request, w.hook.RunID)
	defer h.release()
	receipt, err := w.accept(ctx, p)
	if err != nil {
		return workflow.Response{}, err
	}
	if receipt.Duplicate {
		return w.repeat(ctx, receipt)
	}
	return h.wait(ctx, false)
}

// repeat answers a repeated request as the first was answered, by a webhook that may have
// closed since.
func (w *Webhook) repeat(ctx context.Context, r store.Receipt) (workflow.Response, error) {
	first, err := w.e.webhook(r.Hook)
	if err != nil {
		return workflow.Response{}, err
	}
	if !first.config.Manual {
		return first.static(), nil
	}
	h := w.e.hold(r.Request, r.Hook.RunID)
	defer h.release()
	return h.wait(ctx, true)
}

// payload verifies the request and makes it a payload.
func (w *Webhook) payload(r *workflow.Request) (store.Payload, error) {
	if err := execution.CheckSize("the body", r.Body, w.e.opts.MaxPayload); err != nil {
		return store.Payload{}, err
	}
	now := w.e.store.Now()
	var sensitive []string
	if name := w.config.Verify; name != "" {
		v := w.e.opts.Verifiers[name]
		if v == nil {
			return store.Payload{}, fmt.Errorf("webhook %s: there is no verifier %q: name it in Options.Verifiers", w.hook.ID, name)
		}
		verified, err := verify(v, signature.Request{Method: r.Method, URL: r.URL, Header: r.Header, Body: r.Body}, now)
		if err != nil {
			return store.Payload{}, fmt.Errorf("webhook %s: verifier %q: %w", w.hook.ID, name, err)
		}
		if verified.err != nil {
			return store.Payload{}, fmt.Errorf("%w: %w", ErrNotVerified, run.Sound(verified.err))
		}
		sensitive = verified.sensitive
	}
	stored := run.Request{
		ID: newID(), RunID: w.hook.RunID, Method: r.Method, URL: run.EncodeURL(r.URL), Host: r.Host, Header: run.Header(r.Header),
		RemoteAddr: r.RemoteAddr, ReceivedAt: microseconds(now), Sensitive: sensitive,
	}
	data, err := run.EncodeRequest(stored, r.Body)
	if err != nil {
		return store.Payload{}, err
	}
	p := store.Payload{
		Token: w.hook.Token, Hook: w.hook.ID, Data: data, Request: stored.ID, KeepFor: w.e.opts.DedupeFor,
	}
	if w.config.Dedupe != "" {
		p.Key = storeKey(r.Header.Get(w.config.Dedupe))
	}
	return p, nil
}

// verdict is what a verifier says of a request.
type verdict struct {
	err       error
	sensitive []string
}

// verify asks a verifier. If that panics, it is unknown whether the request is genuine.
func verify(v signature.Verifier, r signature.Request, now time.Time) (said verdict, err error) {
	defer run.Recovered(&err)
	return verdict{v.Verify(r, now), v.SensitiveHeaders()}, nil
}

// accept makes the request durable.
func (w *Webhook) accept(ctx context.Context, p store.Payload) (store.Receipt, error) {
	// The caller may hang up at any moment; the outcome must be known all the same.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), w.e.opts.RespondWithin)
	defer cancel()
	sent := w.e.tel.Sending(ctx, &p)
	_, err := w.e.deliver(ctx, p, func(h *store.Hook) error {
		if h.ID != p.Hook {
			return worker.ErrDeclined
		}
		return nil
	})
	receipt := store.Receipt{Hook: w.hook}
	if errors.Is(err, worker.ErrDeclined) {
		receipt, err = w.e.store.Accept(ctx, p)
	}
	if errors.Is(err, store.ErrNotFound) {
		err = workflow.ErrHookNotFound
	}
	info := hookInfo(receipt.Hook)
	info.Duplicate = receipt.Duplicate
	sent(info, err)
	if err != nil && ctx.Err() != nil {
		err = fmt.Errorf("%w: the store did not answer within %v: %w", workflow.ErrOutcomeUnknown, w.e.opts.RespondWithin, err)
	}
	if err != nil {
		return store.Receipt{}, fmt.Errorf("webhook %s: %w", w.hook.ID, err)
	}
	return receipt, nil
}

func (w *Webhook) static() workflow.Response {
	if a := w.config.Static; a != nil {
		return workflow.Response{Status: a.Status, Header: a.Header, Body: a.Body}
	}
	return workflow.Response{Status: 202}
}
