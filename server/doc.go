// Package server has the http.Handlers around an engine.
//
// [Webhooks] serves the webhooks of all runs below [WebhookPath]; [Webhook] serves
// one from a route of the app's own, after the app has authenticated the request, and with [OrStart]
// starts the run;
// [Resume] is a JSON endpoint for a defined hook; [API] serves all that an engine can
// do, and all there is to see of runs, to package client, the command line and any
// other program.
//
//	mux.Handle(server.WebhookPath, server.Webhooks(eng))
//	mux.Handle(server.APIPath, server.API(eng, server.APIOptions{Access: access.Policy{APIKeys: keys}}))
//	mux.Handle("POST /slack/{channel}", server.Webhook(eng, func(r *http.Request) (string, error) {
//		return "slack:" + r.PathValue("channel"), nil
//	}))
//
// Errors are answered as application/problem+json (RFC 9457).
//
// # Limits
//
// A body is bounded while it is read, in size by engine.Options.MaxPayload (1 MiB for
// [Resume]) and in time by Options.ReadTimeout. A caller that has sent nothing yet
// costs a goroutine and some kilobytes, whatever length it announces; one that sends
// slowly holds what it has sent. So the most that slow callers can hold is the number
// of connections times MaxPayload, for ReadTimeout: bound the connections (in the
// proxy, or with a net.Listener that does) if that is too much. What comes before a
// handler sees anything is up to the http.Server: give it a ReadHeaderTimeout and
// MaxHeaderBytes. Its WriteTimeout does not end the wait for a run's answer:
// engine.Options.RespondWithin does.
//
// # Stopping
//
// Stop the engine first (end the context of its Run, or Close it), then the
// http.Server: callers who wait for a run are told at once to come again (503, with
// Retry-After), and streams of the API end, instead of holding up http.Server.Shutdown.
// What they sent stays delivered.
//
// It knows engines, and no store.
package server
