package server

import (
	"fmt"
	"net/http"

	"github.com/tenter-dev/tenter/engine"
	"github.com/tenter-dev/tenter/internal/run"
	"github.com/tenter-dev/tenter/workflow"
)

// OrStart has a request start a run if no open webhook has its token: the run's first payload is the
// request, and its first webhook with the token gets it, and all that are sent to the token until
// then. If a run ends with unread requests, the next one starts with them. The workflow has to be
// defined with [workflow.StartedByRequest], and opens the webhook with [workflow.NewWebhook] and
// [workflow.Token].
//
// Input returns the input of the run. If it fails, the request starts nothing: it is answered with
// 404 unless the webhook is open.
//
// Opts say how requests are taken and answered until the run has opened its webhook, which should
// say the same: [workflow.RespondManually], [workflow.RespondWith], [workflow.Methods],
// [workflow.From] or its parts [workflow.Verify] and [workflow.DedupeHeader]. The sender is asked about
// all requests to this route, also when the webhook is open, and what identifies a delivery stays so.
// Its handshakes are answered before a token is looked for. A caller who waits for a run's answer does not learn that the run has ended
// without one, as the next run may answer: it waits for engine.Options.RespondWithin.
//
// OrStart and what it is made of are checked when the handler is made, which panics if they are
// wrong. If a program has several handlers with OrStart for one workflow and sender, a refused request
// is redelivered by the one that was made last. It is an option of [Webhook], where the app
// authenticates requests; see [TokenFrom] for [Webhooks].
func OrStart[In, Out any](w *workflow.Workflow[In, Out], input func(token string, r *workflow.Request) (In, error), opts ...workflow.WebhookOption) Option {
	return orStart(func(e *engine.Engine) (*engine.FirstRequest, error) {
		start := func(token string, r *workflow.Request) (workflow.StartRequest, error) {
			in, err := input(token, r)
			if err != nil {
				return workflow.StartRequest{}, err
			}
			req, err := run.StartRequest(w, in)
			return req.(workflow.StartRequest), err //nolint:forcetypeassert // as documented
		}
		return e.NewFirstRequest(w.Name(), start, opts...)
	})
}

type orStart func(*engine.Engine) (*engine.FirstRequest, error)

func (o orStart) applyWebhook(h *webhookHandler) {
	if h.public {
		panic("server: OrStart on the public route, where anybody can name a token: wrap it in TokenFrom")
	}
	h.first = o.on(h.engine)
}

func (o orStart) on(e *engine.Engine) *engine.FirstRequest {
	first, err := o(e)
	if err != nil {
		panic(fmt.Sprintf("server: %v", err))
	}
	return first
}

// TokenFrom lets requests to the public route start runs, by start, which is an [OrStart] with a
// [workflow.From] or [workflow.Verify]: those whose URL has the token that they are for. Token finds that in the body,
// which is verified before anything is written; it fails for a body that is not for start. So nobody
// can start a run for another token by sending a body that they have got hold of to another URL. It
// is an option of [Webhooks], and there may be several.
func TokenFrom(token func(body []byte) (string, error), start Option) Option {
	return tokenFrom{token, start}
}

type tokenFrom struct {
	token func(body []byte) (string, error)
	start Option
}

func (t tokenFrom) applyWebhook(h *webhookHandler) {
	o, ok := t.start.(orStart)
	if !ok || !h.public {
		panic("server: TokenFrom is for Webhooks, and has an OrStart")
	}
	first := o.on(h.engine)
	if !first.Verifies() {
		panic("server: OrStart on the public route needs workflow.From or Verify, as anybody can send")
	}
	h.declared = append(h.declared, declared{t.token, first})
}

// declared is what may start runs on the public route.
type declared struct {
	token func(body []byte) (string, error)
	first *engine.FirstRequest
}

// webhook finds the webhook that a request is for.
func (h *webhookHandler) webhook(r *http.Request, in *intake, token string) (*engine.Webhook, error) {
	first := h.first
	if len(h.declared) > 0 {
		if body, ok := in.all(); ok {
			first = h.starts(token, body)
		}
	}
	if first != nil {
		return first.Webhook(r.Context(), token)
	}
	return h.engine.Webhook(r.Context(), token)
}

// starts returns what is declared for a token and a body, or nil.
func (h *webhookHandler) starts(token string, body []byte) *engine.FirstRequest {
	for _, d := range h.declared {
		if is, err := d.token(body); err == nil && is == token {
			return d.first
		}
	}
	return nil
}
