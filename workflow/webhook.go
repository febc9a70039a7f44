package workflow

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/tenter-dev/tenter/internal/run"
)

// Webhook is a hook whose payloads are HTTP requests. It has a URL, under which
// package server takes the requests, hands them to the run, and answers the callers.
// Wait, All, Close and Token are those of a [Hook].
type Webhook struct {
	*Hook[*Request]
	url string
}

// URL returns the URL of the webhook: engine.Options.PublicURL, then
// /.well-known/workflow/v1/webhook/ and the token. It goes by the public URL of the
// engine that executes the run now.
func (w *Webhook) URL() string { return w.url }

// NewWebhook opens a webhook, as [NewHook] opens a hook. An engine without
// Options.PublicURL blocks the run until it gets one.
//
// POST, PUT, PATCH and DELETE requests are taken, unless [Methods] says otherwise. Each is answered
// with 202 Accepted once it is durable; or as [RespondWith] says; or by the run, with
// [RespondManually]. Anyone who knows the URL can send: with a [Token] that can be guessed use
// [From].
func NewWebhook(ctx Context, opts ...WebhookOption) (*Webhook, error) {
	spec, err := webhook(opts)
	if err != nil {
		return nil, fmt.Errorf("new webhook: %w", err)
	}
	hook, err := openHook(ctx, spec, decodeRequest)
	if err != nil {
		return nil, err
	}
	return &Webhook{Hook: hook, url: scopeOf(ctx).PublicURL() + run.WebhookPath + url.PathEscape(hook.Token())}, nil
}

func webhook(opts []WebhookOption) (run.Hook, error) {
	spec := run.Hook{Webhook: &run.Webhook{}, Payload: request{}}
	for _, opt := range opts {
		if opt == nil {
			continue
		}
		if err := opt.applyHook(&spec); err != nil {
			return spec, err
		}
	}
	if spec.Token == "." || spec.Token == ".." {
		return spec, fmt.Errorf("%w: %q can't be part of a URL", ErrInvalidToken, spec.Token)
	}
	if spec.Webhook.Manual && spec.Webhook.Static != nil {
		return spec, errors.New("RespondWith and RespondManually exclude each other")
	}
	return spec, nil
}

// OnRequest is ready when w has a request, which is given to fn. See [OnPayload].
func OnRequest(w *Webhook, fn func(*Request) error) Case {
	if w == nil {
		return OnPayload(nil, fn)
	}
	return OnPayload(w.Hook, fn)
}

type webhookOption func(*run.Hook) error

func (o webhookOption) applyHook(h *run.Hook) error { return o(h) }

// RespondWith answers every request with r, as soon as it is durable.
func RespondWith(r Response) WebhookOption {
	return webhookOption(func(h *run.Hook) error {
		a, err := r.stored()
		if err != nil {
			return fmt.Errorf("respond with: %w", err)
		}
		h.Webhook.Static = &a
		return nil
	})
}

// RespondManually has the run answer each request, with [Request.Respond]. The
// caller's connection is held meanwhile, at most engine.Options.RespondWithin: then
// it gets 504, and the request stays delivered. If the run ends without an answer it
// gets 500.
func RespondManually() WebhookOption {
	return webhookOption(func(h *run.Hook) error {
		h.Webhook.Manual = true
		return nil
	})
}

// From takes requests from the sender of that name in engine.Options.Senders, and from nobody
// else: GitHub, Stripe, Slack and others, see package sender. What it knows of the sender applies:
//
//   - A request that does not come from it is answered with 401, as by [Verify], and nothing is
//     written.
//   - A delivery that it repeats is dropped, and answered as the first one was, as by
//     [DedupeHeader]. If nothing that it signs identifies a delivery, all are taken; name a header
//     with DedupeHeader then, which takes the place of the sender's own.
//   - The requests by which it checks the URL are answered, and do not come to the run.
//   - It is kept waiting only for as long as it waits. With [RespondManually], it gets its own form
//     of "accepted" after that, in place of 504, and without it in place of 202; Slack and Discord
//     wait for 3 seconds.
func From(name string) WebhookOption {
	return webhookOption(func(h *run.Hook) error {
		if h.Webhook.Verify != "" && h.Webhook.Verify != name {
			return fmt.Errorf("from %q: its requests are those of %q already", name, h.Webhook.Verify)
		}
		h.Webhook.Verify, h.Webhook.From = name, true
		return checkName("sender", name)
	})
}

// Verify takes requests from the sender of that name in engine.Options.Senders, and from nobody
// else, so that no secret is stored. A request that does not come from it is answered with 401,
// and nothing is written. It is a part of [From], for a webhook that wants nothing else of the
// sender.
func Verify(name string) WebhookOption {
	return webhookOption(func(h *run.Hook) error {
		if h.Webhook.From && h.Webhook.Verify != name {
			return fmt.Errorf("verify %q: its requests are those from %q already", name, h.Webhook.Verify)
		}
		h.Webhook.Verify = name
		return checkName("sender", name)
	})
}

// Methods sets the methods that are taken. The default, also for an empty list, is POST,
// PUT, PATCH and DELETE. GET is possible; mind that scanners and link previews send it. HEAD and
// OPTIONS are not.
func Methods(methods ...string) WebhookOption {
	return webhookOption(func(h *run.Hook) error {
		for _, m := range methods {
			if m == http.MethodHead || m == http.MethodOptions || strings.ToUpper(m) != m || !validName(m) {
				return fmt.Errorf("methods: %q can't resume a webhook", m)
			}
		}
		h.Webhook.Methods = slices.Clone(methods)
		return nil
	})
}

// DedupeHeader names the header that identifies a delivery, such as "Webhook-Id": a
// request whose value was seen is dropped, and answered as the first one was.
// Requests without it are all taken. Values are kept for engine.Options.DedupeFor.
func DedupeHeader(name string) WebhookOption {
	return webhookOption(func(h *run.Hook) error {
		if !validName(name) {
			return fmt.Errorf("dedupe header: %q is not the name of a header", name)
		}
		h.Webhook.Dedupe = http.CanonicalHeaderKey(name)
		return nil
	})
}
