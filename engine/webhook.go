package engine

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/tenter-dev/tenter/engine/internal/execution"
	"github.com/tenter-dev/tenter/engine/internal/worker"
	"github.com/tenter-dev/tenter/internal/planted"
	"github.com/tenter-dev/tenter/internal/run"
	"github.com/tenter-dev/tenter/sender"
	"github.com/tenter-dev/tenter/store"
	"github.com/tenter-dev/tenter/workflow"
)

// Webhook is a webhook as its server sees it. Package server is built on it.
type Webhook struct {
	e        *Engine
	hook     store.Hook // without an ID: it is not open
	config   run.Webhook
	released bool
	first    *FirstRequest // or nil
	taken    error         // the token is that of a plain hook: what a request gets that is verified
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
	if w, at := e.liveHook(token); w != nil && isWebhook(&at.Hook) {
		return e.webhook(at.Hook)
	}
	h, err := e.store.Hook(ctx, token)
	if err == nil && isWebhook(&h) && !h.Reserved { // only the run knows whom to let in, see FirstRequest
		return e.webhook(h)
	}
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return nil, fmt.Errorf("look up webhook: %w", err)
	}
	r, err := e.store.Receipt(ctx, token)
	if errors.Is(err, store.ErrNotFound) || err == nil && isCall(&r.Hook) {
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
	for {
		resp, changed, err := w.deliver(ctx, r)
		if changed == nil || ctx.Err() != nil {
			return resp, err
		}
		w = changed
	}
}

// deliver tries to deliver a request. If another hook has the token by then, nothing was written,
// and it returns the webhook to be tried next.
func (w *Webhook) deliver(ctx context.Context, r *workflow.Request) (resp workflow.Response, changed *Webhook, err error) {
	now := w.e.store.Now()
	p, answer, err := w.payload(r, arrival{at: now})
	if err != nil && w.released {
		err = workflow.ErrHookNotFound
	}
	if err != nil {
		w.e.tel.Sent(ctx, w.hook.Type, false, err)
		if errors.Is(err, ErrNotVerified) {
			w.refuse(ctx, r, now, err)
		}
		return workflow.Response{}, nil, err
	}
	if answer != nil {
		return *answer, nil, nil
	}
	if !w.config.Manual {
		receipt, changed, err := w.accept(ctx, p)
		switch {
		case err != nil:
			return workflow.Response{}, changed, err
		case receipt.Duplicate:
			resp, err = w.repeat(ctx, receipt)
			return resp, nil, err
		}
		return w.static(), nil, nil
	}
	if w.e.isStopping() && !w.released {
		return workflow.Response{}, nil, workflow.ErrEngineClosed // don't take a request that nobody would answer
	}
	// A server that listens only after the request is durable may miss its outcome.
	h := w.hold(p.Request, w.hook.RunID)
	defer h.release()
	receipt, changed, err := w.accept(ctx, p)
	switch {
	case err != nil:
		return workflow.Response{}, changed, err
	case receipt.Duplicate:
		resp, err = w.repeat(ctx, receipt)
	default:
		h.runID = receipt.Hook.RunID
		resp, err = w.await(ctx, h, false)
	}
	return resp, nil, err
}

// refuse keeps a request that was refused, if it may.
func (w *Webhook) refuse(ctx context.Context, r *workflow.Request, at time.Time, why error) {
	e := w.e
	if e.opts.KeepRefused == 0 || refusedSize(r) > maxRefused {
		return
	}
	if _, ok := e.refused.Take(at); !ok {
		return
	}
	kept, err := w.refusedRequest(r, at, why)
	if err == nil {
		err = e.keepRefused(ctx, kept)
	}
	if err != nil {
		e.log.ErrorContext(ctx, "could not keep a refused request", "hook", w.hook.ID, "sender", kept.Sender, "error", err)
	}
}

// refusedRequest is a request that was refused, as it is kept.
func (w *Webhook) refusedRequest(r *workflow.Request, at time.Time, why error) (store.RefusedRequest, error) {
	kept := store.RefusedRequest{
		Token: w.hook.Token, HookID: w.hook.ID, RunID: w.hook.RunID, Sender: w.config.Verify, Reason: reasonText(why), Body: r.Body,
	}
	if w.first != nil {
		kept.Sender, kept.Workflow = cmp.Or(w.first.config.Verify, kept.Sender), w.first.workflow
	}
	said, err := w.examineAll(r, arrival{at: at, unverified: true})
	if err != nil {
		return kept, err
	}
	head := storedRequest(r, at, said.sensitive)
	kept.ID, kept.At, kept.Delivery = head.ID, head.ReceivedAt, storeKey(said.delivery)
	kept.Request, err = json.Marshal(head)
	return kept, err
}

// hold begins to listen for the outcome of a request that goes to a run.
func (w *Webhook) hold(request, runID string) *caller {
	if w.first != nil {
		return w.e.holdAlone(request)
	}
	return w.e.hold(request, runID)
}

// repeat answers a repeated request as the first was answered, by a webhook that may have
// closed since.
func (w *Webhook) repeat(ctx context.Context, r store.Receipt) (workflow.Response, error) {
	first, err := w.e.webhook(r.Hook)
	if err != nil {
		return workflow.Response{}, err
	}
	if planted.RepeatByPresent.Here() {
		first = w
	}
	switch {
	case first.config.Call: // the key is that of a call which had the token
		return workflow.Response{}, workflow.ErrHookNotFound
	case !first.config.Manual:
		return first.static(), nil
	}
	h := w.hold(r.Request, r.Hook.RunID)
	defer h.release()
	h.runID = r.Hook.RunID
	return first.await(ctx, h, true)
}

// payload verifies the request and makes it a payload, or finds the answer to a handshake.
func (w *Webhook) payload(r *workflow.Request, a arrival) (p store.Payload, answer *workflow.Response, err error) {
	if err := execution.CheckSize("the body", r.Body, w.e.opts.MaxPayload); err != nil {
		return p, nil, err
	}
	said, err := w.examineAll(r, a)
	if err != nil || said.answer != nil {
		return p, said.answer, err
	}
	if w.taken != nil {
		return p, nil, w.taken
	}
	orStart, err := w.orStart(r)
	if err != nil {
		return p, nil, err
	}
	runID := w.hook.RunID
	if w.hook.ID == "" {
		runID = orStart.ID
	}
	stored := storedRequest(r, a.at, said.sensitive)
	stored.RunID = runID
	data, err := run.EncodeRequest(stored, r.Body)
	if err != nil {
		return p, nil, err
	}
	p = store.Payload{
		Token: w.hook.Token, Hook: w.hook.ID, Data: data, Request: stored.ID, Key: storeKey(said.delivery), KeepFor: w.e.opts.DedupeFor, OrStart: orStart,
	}
	return p, nil, nil
}

// storedRequest is what is stored of a request besides its body, with a new ID.
func storedRequest(r *workflow.Request, at time.Time, sensitive []string) run.Request {
	return run.Request{
		ID: newID(), Method: r.Method, URL: run.EncodeURL(r.URL), Host: r.Host, Header: run.Header(r.Header),
		RemoteAddr: r.RemoteAddr, ReceivedAt: microseconds(at), Sensitive: sensitive,
	}
}

// configs say who has to let a request in, and what identifies a delivery: what the run says of its
// webhook, and what the route says of first requests, since a request that the run does not take may
// start the next one. The route has the last word.
func (w *Webhook) configs() []run.Webhook {
	if w.first == nil || w.hook.ID == "" {
		return []run.Webhook{w.config}
	}
	return []run.Webhook{w.config, w.first.config}
}

// examineAll asks all who have to let a request in.
func (w *Webhook) examineAll(r *workflow.Request, a arrival) (all verdict, err error) {
	all.sensitive = slices.Clone(a.sensitive)
	for _, c := range w.configs() {
		said, err := w.examine(c, r, a)
		if err != nil || said.answer != nil {
			return said, err
		}
		for _, name := range said.sensitive {
			if !slices.Contains(all.sensitive, name) {
				all.sensitive = append(all.sensitive, name)
			}
		}
		all.delivery = cmp.Or(said.delivery, all.delivery)
	}
	return all, nil
}

// examine asks the sender of c about a request.
func (w *Webhook) examine(c run.Webhook, r *workflow.Request, a arrival) (said verdict, err error) {
	switch s := w.e.opts.Senders[c.Verify]; {
	case c.Verify == "", s == nil && a.unverified: // who vouches for a request may not have the secret
	case s == nil:
		return said, fmt.Errorf("webhook %s: there is no sender %q: name it in Options.Senders", w.hook.ID, c.Verify)
	default:
		said, err = examine(s, w.e.senderRequest(r), a, c.From)
		if err != nil {
			return said, fmt.Errorf("webhook %s: sender %q: %w", w.hook.ID, c.Verify, err)
		}
		if said.err != nil {
			return said, said.err
		}
	}
	if c.Dedupe != "" {
		said.delivery = r.Header.Get(c.Dedupe)
	}
	return said, nil
}

// accept makes the request durable. changed is as with deliver.
func (w *Webhook) accept(ctx context.Context, p store.Payload) (receipt store.Receipt, changed *Webhook, err error) {
	// The caller may hang up at any moment; the outcome must be known all the same.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), w.e.opts.RespondWithin)
	defer cancel()
	if p.Actor, err = actorOf(ctx); err != nil {
		return store.Receipt{}, nil, fmt.Errorf("webhook %s: %w", w.hook.ID, err)
	}
	if p.OrStart != nil {
		p.OrStart.Actor = p.Actor
	}
	sent := w.e.tel.Sending(ctx, "resume", &p)
	_, err = w.e.deliver(ctx, p, func(h *store.Hook) error {
		if h.ID != p.Hook {
			return worker.ErrDeclined
		}
		return nil
	})
	receipt = store.Receipt{Hook: w.hook}
	if errors.Is(err, worker.ErrDeclined) {
		receipt, err = w.e.store.Accept(ctx, p)
	}
	if w.first != nil {
		changed, err = w.first.next(w, receipt.Hook, err)
	}
	if errors.Is(err, store.ErrNotFound) {
		err = workflow.ErrHookNotFound
	}
	info := hookInfo(receipt.Hook)
	info.Started, info.Duplicate = receipt.Started, receipt.Duplicate
	sent(info, err)
	if err != nil && ctx.Err() != nil {
		err = fmt.Errorf("%w: the store did not answer within %v: %w", workflow.ErrOutcomeUnknown, w.e.opts.RespondWithin, err)
	}
	if err != nil {
		return store.Receipt{}, changed, fmt.Errorf("webhook %s: %w", w.hook.ID, err)
	}
	return receipt, nil, nil
}

// sender returns the sender whose ways the webhook follows, or nil.
func (w *Webhook) sender() *sender.Sender {
	for _, c := range w.configs() {
		if c.From {
			return w.e.opts.Senders[c.Verify]
		}
	}
	return nil
}

func (w *Webhook) static() workflow.Response {
	if a := w.config.Static; a != nil {
		return workflow.Response{Status: a.Status, Header: a.Header, Body: a.Body}
	}
	if s := w.sender(); s != nil && s.Accepted() != nil {
		return *senderResponse(s.Accepted())
	}
	return workflow.Response{Status: 202}
}

// respondWithin is how long the caller waits for the response of the run.
func (w *Webhook) respondWithin() time.Duration {
	within := w.e.opts.RespondWithin
	if s := w.sender(); s != nil && s.RespondWithin() > 0 {
		within = min(within, s.RespondWithin())
	}
	return within
}

// await waits for the response of the run. now says that it may have responded long ago.
//
// A sender that waits for less than a run may need gets its form of "accepted" in the place of a
// response that is too late. That is recorded, as the answer of the run is: so each repeat gets it too,
// whatever the run responds later.
func (w *Webhook) await(ctx context.Context, h *caller, now bool) (workflow.Response, error) {
	resp, err := h.wait(ctx, w.respondWithin(), now)
	late := errors.Is(err, ErrResponseTimeout) || errors.Is(err, ErrPaused)
	if s := w.sender(); late && s != nil && s.RespondWithin() > 0 {
		return h.settle(ctx, w.static())
	}
	return resp, err
}

// Webhook returns the open webhook that has the token, or one that the first request is to open. If the
// token is that of a plain hook, requests to it fail with [workflow.ErrHookNotFound] once they are
// verified: nobody else learns that there is one. It fails so at once if no webhook can have the token.
func (f *FirstRequest) Webhook(ctx context.Context, token string) (*Webhook, error) {
	if err := f.e.usable(ctx); err != nil {
		return nil, fmt.Errorf("look up webhook: %w", err)
	}
	if run.BadName(token, run.MaxToken) != "" || token == "." || token == ".." {
		return nil, fmt.Errorf("look up webhook: %w", workflow.ErrHookNotFound)
	}
	if w, at := f.e.liveHook(token); w != nil {
		return f.open(at.Hook)
	}
	h, err := f.e.store.Hook(ctx, token)
	switch {
	case errors.Is(err, store.ErrNotFound):
		return f.unopened(token), nil
	case err != nil:
		return nil, fmt.Errorf("look up webhook: %w", err)
	}
	return f.open(h)
}

func (f *FirstRequest) unopened(token string) *Webhook {
	return &Webhook{e: f.e, hook: store.Hook{Token: token}, config: f.config, first: f}
}

func (f *FirstRequest) open(h store.Hook) (*Webhook, error) {
	if !isWebhook(&h) {
		w := f.unopened(h.Token)
		w.taken = fmt.Errorf("webhook %s: %w: the token is that of a hook that takes payloads, and no requests", h.ID, workflow.ErrHookNotFound)
		return w, nil
	}
	w, err := f.e.webhook(h)
	if err == nil {
		w.first = f
	}
	return w, err
}

// next returns the webhook that a request is for, after the store has refused it because that of
// the token is not w any more; or the error that it is refused with.
func (f *FirstRequest) next(w *Webhook, now store.Hook, err error) (*Webhook, error) {
	switch {
	case errors.Is(err, store.ErrMismatch):
		changed, e := f.open(now)
		if e != nil {
			return nil, e
		}
		return changed, err
	case errors.Is(err, store.ErrNotFound) && w.hook.ID != "":
		return f.unopened(w.hook.Token), err
	case errors.Is(err, store.ErrExists):
		return nil, fmt.Errorf("%w: the run that the request would start", workflow.ErrRunExists)
	}
	return nil, err
}

// orStart returns the run that a request to w starts if w is not open, or that goes on with it if
// the run of w does not take it; or nil if the request is for the run of w only.
func (w *Webhook) orStart(r *workflow.Request) (*store.NewRun, error) {
	if w.first == nil {
		return nil, nil //nolint:nilnil // as documented
	}
	n, err := w.first.run(w.hook.Token, r)
	if nothing, ok := errors.AsType[*startsNothing](err); ok {
		if w.hook.ID != "" {
			return nil, nil //nolint:nilnil // it need not
		}
		return nil, fmt.Errorf("%w: %w", workflow.ErrHookNotFound, nothing)
	}
	return n, err
}
