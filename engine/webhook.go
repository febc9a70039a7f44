package engine

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/tenter-dev/tenter/internal/run"
	"github.com/tenter-dev/tenter/signature"
	"github.com/tenter-dev/tenter/store"
	"github.com/tenter-dev/tenter/workflow"
)

// Errors of [Webhook.Deliver], for who serves webhooks.
var (
	// ErrNotVerified is the error of a request that its verifier refused. Nothing was
	// written.
	ErrNotVerified = errors.New("the request is not verified")
	// ErrNoResponse is the error of a request whose run ended without answering it.
	ErrNoResponse = errors.New("the run ended without a response")
	// ErrResponseTimeout is the error of a request that was not answered within
	// Options.RespondWithin. It stays delivered.
	ErrResponseTimeout = errors.New("the run did not respond in time")
	// ErrStopping is the error of a request that was delivered, and not answered
	// before the engine or the server stopped.
	ErrStopping = errors.New("stopping: the request is delivered, its response is still to come")
)

// Webhook is an open webhook, as who serves it sees it. Package server is built on it.
type Webhook struct {
	e      *Engine
	hook   store.Hook
	config run.Webhook
}

// Webhook returns the open webhook that has the token. It fails with
// [workflow.ErrHookNotFound] for all else, plain hooks too.
func (e *Engine) Webhook(ctx context.Context, token string) (*Webhook, error) {
	if err := e.usable(ctx); err != nil {
		return nil, fmt.Errorf("look up webhook: %w", err)
	}
	var h store.Hook
	if w, at := e.liveHook(token); w != nil {
		h = *at.hook
	} else {
		var err error
		if h, err = e.store.Hook(ctx, token); err != nil {
			if errors.Is(err, store.ErrNotFound) {
				err = workflow.ErrHookNotFound
			}
			return nil, fmt.Errorf("look up webhook: %w", err)
		}
	}
	if h.Webhook == nil {
		return nil, fmt.Errorf("look up webhook: %w", workflow.ErrHookNotFound)
	}
	w := &Webhook{e: e, hook: h}
	if err := json.Unmarshal(h.Webhook, &w.config); err != nil {
		return nil, fmt.Errorf("look up webhook %s: %w", h.ID, err)
	}
	return w, nil
}

// liveHook finds the address of a token in this process.
func (e *Engine) liveHook(token string) (*worker, *address) {
	if w := e.running(); w != nil {
		if at := w.address(token); at != nil {
			return w, at
		}
	}
	return nil, nil
}

// Methods returns the methods that the webhook takes.
func (w *Webhook) Methods() []string {
	if len(w.config.Methods) > 0 {
		return w.config.Methods
	}
	return []string{"POST", "PUT", "PATCH", "DELETE"}
}

// MaxBody returns how long a body may be.
func (w *Webhook) MaxBody() int { return w.e.opts.MaxPayload }

// Deliver checks a request, gives it to the run, and returns what the caller is to be
// answered, which may take as long as Options.RespondWithin. Besides the errors above
// it may fail with [workflow.ErrHookNotFound] and [workflow.ErrPayloadTooLarge], after
// which nothing was written.
func (w *Webhook) Deliver(ctx context.Context, r *workflow.Request) (workflow.Response, error) {
	p, err := w.payload(r)
	if err != nil {
		return workflow.Response{}, err
	}
	if !w.config.Manual {
		if _, err := w.accept(ctx, p); err != nil {
			return workflow.Response{}, err
		}
		return w.static(), nil
	}
	answered := w.e.answers.wait(p.Request)
	defer func() { w.e.answers.forget(p.Request, answered) }()
	first, err := w.accept(ctx, p)
	if err != nil {
		return workflow.Response{}, err
	}
	request := p.Request
	if first != "" && first != request { // a repeat waits for the answer to the first one
		w.e.answers.forget(p.Request, answered)
		request, p.Request = first, first
		answered = w.e.answers.wait(request)
	}
	return w.await(ctx, request, answered, first != "")
}

// payload verifies the request and makes a payload of it.
func (w *Webhook) payload(r *workflow.Request) (store.Payload, error) {
	if n := len(r.Body); n > w.MaxBody() {
		return store.Payload{}, checkSize("the body", r.Body, w.MaxBody())
	}
	now := w.e.store.Now()
	if name := w.config.Verify; name != "" {
		v := w.e.opts.Verifiers[name]
		if v == nil {
			return store.Payload{}, fmt.Errorf("webhook %s: there is no verifier %q: name it in Options.Verifiers", w.hook.ID, name)
		}
		if err := v.Verify(signature.Request{Method: r.Method, URL: r.URL, Header: r.Header, Body: r.Body}, now); err != nil {
			return store.Payload{}, fmt.Errorf("%w: %w", ErrNotVerified, err)
		}
	}
	stored := run.Request{
		ID: newID(), RunID: w.hook.RunID, Method: r.Method, Host: r.Host, Header: r.Header, RemoteAddr: r.RemoteAddr,
		ReceivedAt: microseconds(now),
	}
	if r.URL != nil {
		stored.URL = r.URL.String()
	}
	data, err := run.EncodeRequest(stored, r.Body)
	if err != nil {
		return store.Payload{}, err
	}
	p := store.Payload{
		Token: w.hook.Token, Hook: w.hook.ID, Data: data, Request: stored.ID, KeepFor: w.e.opts.DedupeFor,
	}
	if w.config.Dedupe != "" {
		p.Key = r.Header.Get(w.config.Dedupe)
	}
	return p, nil
}

// accept makes the request durable. For a repeat it returns the ID of the first one.
func (w *Webhook) accept(ctx context.Context, p store.Payload) (first string, err error) {
	if p.Key == "" {
		if worker, at := w.e.liveHook(p.Token); worker != nil && at.hook.ID == p.Hook {
			err := worker.offer(ctx, at, p.Data, nil)
			if !errors.Is(err, errDeclined) {
				return "", err
			}
		}
	}
	r, err := w.e.store.Accept(ctx, p)
	switch {
	case errors.Is(err, store.ErrNotFound):
		return "", workflow.ErrHookNotFound
	case err != nil:
		return "", fmt.Errorf("webhook %s: %w", w.hook.ID, err)
	case r.Duplicate:
		return r.Request, nil
	}
	return "", nil
}

func (w *Webhook) static() workflow.Response {
	if a := w.config.Static; a != nil {
		return workflow.Response{Status: a.Status, Header: a.Header, Body: a.Body}
	}
	return workflow.Response{Status: 202}
}

// await waits for the answer to a request.
func (w *Webhook) await(ctx context.Context, request string, answered <-chan struct{}, look bool) (workflow.Response, error) {
	e := w.e
	ended := e.waiter(w.hook.RunID)
	defer e.unwait(w.hook.RunID, ended)
	limit := time.NewTimer(e.opts.RespondWithin)
	defer limit.Stop()
	stopping := e.stopping()
	for {
		if look {
			resp, err := w.look(ctx, request)
			if err != nil || resp != nil {
				return deref(resp), err
			}
		}
		look = true
		select {
		case <-answered:
		case <-ended:
		case <-limit.C:
			return workflow.Response{}, ErrResponseTimeout
		case <-stopping:
			return workflow.Response{}, ErrStopping
		case <-ctx.Done():
			return workflow.Response{}, ErrStopping
		}
	}
}

func deref(r *workflow.Response) workflow.Response {
	if r == nil {
		return workflow.Response{}
	}
	return *r
}

// look returns the answer, or nil if it is still to come.
func (w *Webhook) look(ctx context.Context, request string) (*workflow.Response, error) {
	// First the run, then the response: what a run answers comes before its end.
	r, err := w.e.store.Run(ctx, w.hook.RunID)
	if err != nil {
		return nil, fmt.Errorf("webhook %s: %w", w.hook.ID, err)
	}
	a, err := w.e.store.Response(ctx, request)
	switch {
	case err == nil:
		resp := &workflow.Response{Status: a.Status, Body: a.Body}
		if err := json.Unmarshal(a.Header, &resp.Header); err != nil {
			return nil, fmt.Errorf("webhook %s: decode response: %w", w.hook.ID, err)
		}
		return resp, nil
	case !errors.Is(err, store.ErrNotFound):
		return nil, fmt.Errorf("webhook %s: %w", w.hook.ID, err)
	case r.Status.Ended():
		return nil, ErrNoResponse
	}
	return nil, nil //nolint:nilnil // still to come
}

// checkWebhook says why a webhook can't be opened by this engine.
func (env *environment) checkWebhook(w *run.Webhook) string {
	switch {
	case w == nil:
		return ""
	case env.publicURL == "":
		return "it opens a webhook, and the engine has no Options.PublicURL to make its URL from"
	case w.Verify != "" && !slices.Contains(env.verifiers, w.Verify):
		return fmt.Sprintf("it opens a webhook with verifier %q, which is not in Options.Verifiers", w.Verify)
	}
	return ""
}

// parsePublicURL checks Options.PublicURL and drops the slash at its end.
func parsePublicURL(s string) (string, error) {
	if s == "" {
		return "", nil
	}
	u, err := url.Parse(s)
	if err != nil || u.Host == "" || (u.Scheme != "http" && u.Scheme != "https") || u.RawQuery != "" || u.Fragment != "" {
		return "", fmt.Errorf("Options.PublicURL %q: it has to be like https://example.com, with a path if need be", s)
	}
	return strings.TrimSuffix(s, "/"), nil
}
