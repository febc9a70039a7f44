// Package server has the http.Handlers around an engine.
//
// [Webhooks] serves the webhooks of all runs below [WebhookPath]; [Webhook] serves
// one from a route of the app's own, after the app has authenticated the request;
// [Resume] is a JSON endpoint for a defined hook.
//
//	mux.Handle(server.WebhookPath, server.Webhooks(eng))
//	mux.Handle("POST /slack/{channel}", server.Webhook(eng, func(r *http.Request) (string, error) {
//		return "slack:" + r.PathValue("channel"), nil
//	}))
//
// Errors are answered as application/problem+json (RFC 9457). Bodies are bounded by
// engine.Options.MaxPayload while they are read. Give the http.Server a
// ReadHeaderTimeout and MaxHeaderBytes: they bound what comes before a handler sees
// anything.
//
// It knows engines, and no store.
package server
