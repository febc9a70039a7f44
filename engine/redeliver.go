package engine

import (
	"cmp"
	"context"
	"errors"
	"fmt"

	"github.com/tenter-dev/tenter/inspect"
	"github.com/tenter-dev/tenter/internal/run"
	"github.com/tenter-dev/tenter/store"
	"github.com/tenter-dev/tenter/workflow"
)

// Redeliver delivers a request that was refused and kept, see [inspect.Client]. It needs the secret of
// the sender in Options.Senders and, if the request is for a route that starts runs, that route in this
// program; unless the request is to be delivered unverified.
func (e *Engine) Redeliver(ctx context.Context, d inspect.Redelivery) (workflow.HookInfo, error) {
	fail := func(err error) (workflow.HookInfo, error) {
		return workflow.HookInfo{}, fmt.Errorf("redeliver request %s: %w", d.ID, err)
	}
	kept, err := e.refusedRequest(ctx, d.ID)
	if err != nil {
		return fail(err)
	}
	head, err := decodeRefused(&kept)
	if err != nil {
		return fail(err)
	}
	u, err := run.ParseURL(head.URL)
	if err != nil {
		return fail(fmt.Errorf("decode its URL: %w", err))
	}
	w, err := e.refusing(ctx, &kept, d.Unverified)
	if err != nil {
		return fail(err)
	}
	r := &workflow.Request{Method: head.Method, URL: u, Host: head.Host, Header: map[string][]string(head.Header), Body: kept.Body, RemoteAddr: head.RemoteAddr}
	key := "redelivery " + kept.ID
	if d.Unverified {
		key = cmp.Or(kept.Delivery, key)
	}
	receipt, err := w.redeliver(ctx, r, arrival{at: kept.At, unverified: d.Unverified, sensitive: head.Sensitive}, key)
	if err != nil {
		return fail(err)
	}
	if err := e.store.DropRefused(ctx, kept.ID); err != nil && !errors.Is(err, store.ErrNotFound) {
		return fail(fmt.Errorf("it is delivered, and stays in the list: %w", err))
	}
	info := hookInfo(receipt.Hook)
	info.Started, info.Duplicate = receipt.Started, receipt.Duplicate
	return info, nil
}

// refusing finds the webhook that a request is for.
func (e *Engine) refusing(ctx context.Context, r *store.RefusedRequest, unverified bool) (*Webhook, error) {
	if !unverified && r.Sender != "" && e.opts.Senders[r.Sender] == nil {
		return nil, fmt.Errorf("%w: this program has no sender %q in engine.Options.Senders: ask the one that serves the webhook, or deliver it unverified", ErrNotVerified, r.Sender)
	}
	if r.Workflow == "" {
		return e.Webhook(ctx, r.Token)
	}
	if f := e.firstRequest(r.Workflow, r.Sender); f != nil {
		return f.Webhook(ctx, r.Token)
	}
	if unverified && r.HookID != "" {
		return e.Webhook(ctx, r.Token)
	}
	return nil, fmt.Errorf("%w: the route that starts runs of %s is not in this program: ask the one that serves it", ErrNotVerified, r.Workflow)
}

// redeliver delivers a request as [Webhook.Deliver] does, and waits for no answer. What has no delivery
// ID is delivered once under key.
func (w *Webhook) redeliver(ctx context.Context, r *workflow.Request, a arrival, key string) (store.Receipt, error) {
	for {
		p, answer, err := w.payload(r, a)
		switch {
		case err != nil:
			return store.Receipt{}, err
		case answer != nil:
			return store.Receipt{}, errors.New("by it, the sender checks the URL: there is nothing to deliver")
		}
		p.Key = cmp.Or(p.Key, key)
		receipt, changed, err := w.accept(ctx, p)
		if changed == nil || ctx.Err() != nil {
			return receipt, err
		}
		w = changed
	}
}
