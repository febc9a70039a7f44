package engine

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/tenter-dev/tenter/engine/internal/execution"
	"github.com/tenter-dev/tenter/engine/internal/worker"
	"github.com/tenter-dev/tenter/internal/run"
	"github.com/tenter-dev/tenter/store"
	"github.com/tenter-dev/tenter/workflow"
)

var (
	errWebhook = errors.New("it belongs to a webhook, which takes HTTP requests at its URL")
	errCall    = errors.New("it belongs to a call, which answers: use Call of its type, or tenter hooks call")
)

// wantsRequest says why a hook takes no payload of Resume.
func wantsRequest(h *store.Hook) error {
	if isCall(h) {
		return errCall
	}
	return errWebhook
}

// ResumeHook sends a payload to the hook that has the token, and returns when it is durable.
// Use [workflow.Resume], which documents the errors, or [workflow.HookType.Resume] where the
// type is known.
func (e *Engine) ResumeHook(ctx context.Context, req workflow.ResumeRequest) (workflow.HookInfo, error) {
	return e.resume(ctx, req, func(p store.Payload) (workflow.HookInfo, error) {
		h, err := e.deliver(ctx, p, func(h *store.Hook) error { return e.checkHook(ctx, h, p) })
		if errors.Is(err, worker.ErrDeclined) {
			return e.accept(ctx, e.store, p)
		}
		return hookInfo(h), err
	})
}

// deliver hands a payload to the live run that has its hook, unless check returns an error:
// the transition that takes the payload in also accepts it. It fails with worker.ErrDeclined
// if the payload has to go to the mailbox.
func (e *Engine) deliver(ctx context.Context, p store.Payload, check func(*store.Hook) error) (store.Hook, error) {
	if p.Key != "" { // only the store knows the earlier keys
		return store.Hook{}, worker.ErrDeclined
	}
	w, at := e.liveHook(p.Token)
	if w == nil {
		return store.Hook{}, worker.ErrDeclined
	}
	if err := check(&at.Hook); err != nil {
		return store.Hook{}, err
	}
	return at.Hook, w.Deliver(ctx, at, p)
}

// checkHook returns why a live hook does not take a payload, or nil.
func (e *Engine) checkHook(ctx context.Context, h *store.Hook, p store.Payload) error {
	if p.Type != nil && *p.Type != h.Type {
		return &workflow.HookTypeError{Token: p.Token, Want: *p.Type, Got: h.Type}
	}
	if h.Webhook != nil {
		return &workflow.PayloadError{Token: p.Token, Err: wantsRequest(h)}
	}
	return e.checkPayload(ctx, h.Type, p)
}

// resume checks a request and has deliver send its payload.
func (e *Engine) resume(ctx context.Context, req workflow.ResumeRequest, deliver func(store.Payload) (workflow.HookInfo, error)) (workflow.HookInfo, error) {
	if err := e.usable(ctx); err != nil {
		return workflow.HookInfo{}, fmt.Errorf("resume hook: %w", err)
	}
	if err := req.Validate(); err != nil {
		return workflow.HookInfo{}, fmt.Errorf("resume hook: %w", err)
	}
	info, err := workflow.HookInfo{}, ctx.Err()
	if err == nil {
		var p store.Payload
		p, err = e.newPayload(ctx, req)
		sent := e.tel.Sending(ctx, "resume", &p)
		if err == nil {
			info, err = deliver(p)
		}
		sent(info, err)
	}
	if errors.Is(err, store.ErrNotFound) {
		err = workflow.ErrHookNotFound
	}
	if err != nil {
		return workflow.HookInfo{}, fmt.Errorf("resume hook %s: %w", run.QuoteToken(req.Token), err)
	}
	return info, nil
}

func (e *Engine) newPayload(ctx context.Context, req workflow.ResumeRequest) (store.Payload, error) {
	if err := execution.CheckSize("the payload", req.Payload, e.opts.MaxPayload); err != nil {
		return store.Payload{}, err
	}
	actor, err := actorOf(ctx)
	if err != nil {
		return store.Payload{}, err
	}
	p := store.Payload{
		Actor:   actor,
		Token:   req.Token,
		Data:    req.Payload,
		Type:    req.Type,
		Key:     storeKey(req.IdempotencyKey),
		KeepFor: e.opts.DedupeFor,
	}
	if req.OrStart != nil {
		n, err := e.newRun(*req.OrStart)
		if err != nil {
			return store.Payload{}, fmt.Errorf("start %s: %w", req.OrStart.Workflow, err)
		}
		if def := e.definition(n.Workflow, n.Version); def != nil && def.ByRequest {
			return store.Payload{}, &workflow.PayloadError{Token: req.Token, Err: run.NotByPayload(n.Workflow)}
		}
		n.Actor = actor
		p.OrStart = &n
	}
	return p, nil
}

// storeKey returns what a store keeps for a key that a caller or a request header gives: the
// key itself, or its digest if it is long or not text.
func storeKey(key string) string {
	if len(key) <= run.MaxName && utf8.ValidString(key) && !strings.ContainsRune(key, 0) {
		return key
	}
	sum := sha256.Sum256([]byte(key))
	return "sha256:" + hex.EncodeToString(sum[:])
}

// accept puts a payload into the mailbox.
func (e *Engine) accept(ctx context.Context, in operations, p store.Payload) (workflow.HookInfo, error) {
	asked := p.Type
	for {
		p.Type = asked
		if len(e.hookTypes) > 0 || e.opts.StoredHooks {
			// The payload has to be accepted for the hook type that it is checked for.
			h, err := in.Hook(ctx, p.Token)
			if err != nil && !errors.Is(err, store.ErrNotFound) {
				return workflow.HookInfo{}, err
			}
			open := err == nil && !h.Reserved
			fits := asked // until the run opens its hook, only the sender says the type
			if open {
				fits = &h.Type
			}
			switch {
			case fits == nil, open && asked != nil && *asked != h.Type, err != nil && p.OrStart == nil:
				// The run notices a misfit, or Accept refuses the payload.
			default:
				if err := e.checkPayload(ctx, *fits, p); err != nil {
					return e.repeated(ctx, in, p, err)
				}
				if open {
					p.Type = fits
				}
			}
		}
		r, err := in.Accept(ctx, p)
		if errors.Is(err, store.ErrMismatch) {
			if r.Hook.Webhook != nil && (asked == nil || *asked == r.Hook.Type) {
				return workflow.HookInfo{}, &workflow.PayloadError{Token: p.Token, Err: wantsRequest(&r.Hook)}
			}
			if asked == nil {
				continue // the token has changed hands meanwhile
			}
			return workflow.HookInfo{}, &workflow.HookTypeError{Token: p.Token, Want: *asked, Got: r.Hook.Type}
		}
		if errors.Is(err, store.ErrExists) {
			return workflow.HookInfo{}, &workflow.RunExistsError{RunID: p.OrStart.ID}
		}
		if err != nil {
			return workflow.HookInfo{}, err
		}
		info := hookInfo(r.Hook)
		info.Started, info.Duplicate = r.Started, r.Duplicate
		return info, nil
	}
}

// repeated returns the receipt of a payload that is known by its key, else err: a payload
// accepted earlier need not fit the hook that has the token now.
func (e *Engine) repeated(ctx context.Context, in operations, p store.Payload, err error) (workflow.HookInfo, error) {
	if p.Key == "" {
		return workflow.HookInfo{}, err
	}
	p.Hook = "none" // no hook has this ID: receipts are all that can be found
	r, missing := in.Accept(ctx, p)
	if missing != nil {
		return workflow.HookInfo{}, err
	}
	info := hookInfo(r.Hook)
	info.Duplicate = true
	return info, nil
}

// checkPayload checks a payload for a hook type that is known here.
func (e *Engine) checkPayload(ctx context.Context, hookType string, p store.Payload) error {
	t, known := e.hookTypes[hookType]
	switch {
	case hookType == "":
	case known:
		if err := t.Check(p.Data); err != nil {
			return &workflow.PayloadError{Token: p.Token, Err: err}
		}
	case e.opts.StoredHooks:
		return e.checkStored(ctx, hookType, p)
	}
	return nil
}

// HookByToken looks at the open hook that has the token, without resuming it. It
// fails with [workflow.ErrHookNotFound].
func (e *Engine) HookByToken(ctx context.Context, token string) (workflow.HookInfo, error) {
	return e.hookByToken(ctx, e.direct(), token)
}

func (e *Engine) hookByToken(ctx context.Context, in operations, token string) (workflow.HookInfo, error) {
	if err := e.usable(ctx); err != nil {
		return workflow.HookInfo{}, fmt.Errorf("look up hook: %w", err)
	}
	if bad := run.BadName(token, run.MaxToken); bad != "" {
		return workflow.HookInfo{}, fmt.Errorf("look up hook %s: %w: %s", run.QuoteToken(token), workflow.ErrInvalidToken, bad)
	}
	h, err := in.Hook(ctx, token)
	if errors.Is(err, store.ErrNotFound) {
		err = workflow.ErrHookNotFound
	}
	if err != nil {
		return workflow.HookInfo{}, fmt.Errorf("look up hook %s: %w", run.QuoteToken(token), err)
	}
	return hookInfo(h), nil
}

// liveHook finds the live hook that has a token in this process.
func (e *Engine) liveHook(token string) (*worker.Worker, *worker.Address) {
	if w := e.running(); w != nil {
		if at := w.Address(token); at != nil {
			return w, at
		}
	}
	return nil, nil
}
