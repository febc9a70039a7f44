package store

import (
	"context"
	"time"
)

// Refuser keeps HTTP requests that were refused because it could not be verified who sent them, until
// they are delivered after all. They belong to no run, and stay when one ends.
type Refuser interface {
	// KeepRefused keeps a request, and drops the oldest ones: keep is how many there may be, at
	// least 1. Requests that are kept at the same time may drop fewer.
	KeepRefused(ctx context.Context, r RefusedRequest, keep int) error

	// RefusedRequest returns a request. ErrNotFound if there is none.
	RefusedRequest(ctx context.Context, id string) (RefusedRequest, error)

	// RefusedRequests lists requests, without their bodies, the newest first.
	RefusedRequests(ctx context.Context, f RefusedFilter) ([]RefusedRequest, error)

	// DropRefused drops a request. ErrNotFound if there is none.
	DropRefused(ctx context.Context, id string) error
}

// RefusedRequest is a request to a webhook that was refused.
type RefusedRequest struct {
	ID       string
	Token    string // of the webhook
	HookID   string // empty: no run had opened the webhook
	RunID    string // of the run that had
	Workflow string // whose runs the route starts; empty: it starts none
	Sender   string // name of the one who should have sent it
	Reason   string // why it was refused
	Delivery string // the key by which it would be a repeat, if it were genuine
	Request  []byte // JSON: all of it but its body
	Body     []byte // nil in lists
	At       time.Time

	// What follows is set by the store.

	BodySize int64 // in bytes
	Number   int64 // its place in the order in which they were kept
}

// RefusedFilter selects a page of a list of refused requests.
type RefusedFilter struct {
	Before int64 // continues a list: the Number of the last one of the page before
	Limit  int   // default 100
}
