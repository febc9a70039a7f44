package engine

import "errors"

// Errors of [Webhook.Deliver], for servers of webhooks.
var (
	// ErrNotVerified is the error of a request that its verifier refused. Nothing was
	// written.
	ErrNotVerified = errors.New("the request is not verified")
	// ErrNoResponse is the error of a request whose run ended without answering it.
	ErrNoResponse = errors.New("the run ended without a response")
	// ErrResponseTimeout is the error of a request that was not answered within
	// Options.RespondWithin. It stays delivered.
	ErrResponseTimeout = errors.New("the run did not respond in time")
	// ErrStopping is the error of a request that was delivered but not answered before the
	// engine or the server stopped.
	ErrStopping = errors.New("stopping: the request is delivered, its response is still to come")
)
