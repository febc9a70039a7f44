package engine

import (
	"errors"

	"github.com/tenter-dev/tenter/inspect"
)

// Errors of [Webhook.Deliver], for servers of webhooks.
var (
	// ErrNotVerified is the error of a request that its sender has not sent. Nothing was
	// written to a run.
	ErrNotVerified = inspect.ErrNotVerified
	// ErrNoResponse is the error of a request whose run ended without answering it.
	ErrNoResponse = errors.New("the run ended without a response")
	// ErrResponseTimeout is the error of a request that was not answered within
	// Options.RespondWithin. It stays delivered.
	ErrResponseTimeout = errors.New("the run did not respond in time")
	// ErrPaused is the error of a request that waits for the answer of a run that is paused. It
	// stays delivered.
	ErrPaused = errors.New("the run is paused")
	// ErrStopping is the error of a request that was delivered but not answered before the
	// engine or the server stopped.
	ErrStopping = errors.New("stopping: the request is delivered, its response is still to come")
)
