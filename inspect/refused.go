package inspect

import (
	"fmt"

	"github.com/tenter-dev/tenter/workflow"
)

// ErrRefusedNotFound says that there is no such refused request, or no longer: it was delivered, or
// newer ones have taken its place.
var ErrRefusedNotFound = workflow.DefineError("refused request not found")

// ErrNotVerified says that a request to a webhook can't be verified: its signature is missing, wrong or
// too old, or the one who verifies lacks the secret. Nothing was written.
var ErrNotVerified = workflow.DefineError("the request is not verified")

// RefusedRequest is a request to a webhook that was refused, because its sender could not be verified.
// An engine keeps some of them, see engine.Options.KeepRefused.
type RefusedRequest struct {
	ID       string `json:"id"`
	Token    string `json:"token"`              // of the webhook
	HookID   string `json:"hook_id,omitempty"`  // empty: no run had opened the webhook
	RunID    string `json:"run_id,omitempty"`   // of the run that had
	Workflow string `json:"workflow,omitempty"` // whose runs the route starts, if it does
	Sender   string `json:"sender"`             // name that it has in engine.Options.Senders
	Reason   string `json:"reason"`             // why it was refused
	// Request is what was sent. Values of sensitive headers are masked, and in lists it has no Body.
	Request Request `json:"request"`
	// Number is its place in the order in which they were refused, for RefusedFilter.Before.
	Number int64 `json:"number"`
}

// RefusedFilter selects a page of a list of refused requests.
type RefusedFilter struct {
	Before int64 // continues a list: the Number of the last request of the page before
	Limit  int   // default 100
}

// Validate says what is wrong with f.
func (f *RefusedFilter) Validate() error {
	if f.Before < 0 || f.Limit < 0 || f.Limit > MaxLimit {
		return fmt.Errorf("before is %d and limit %d: they can't be negative, and a limit is at most %d", f.Before, f.Limit, MaxLimit)
	}
	return nil
}

// Redelivery asks for the delivery of a refused request.
type Redelivery struct {
	ID string `json:"-"` // of the request
	// Unverified delivers it without asking its sender: the caller vouches that the request is
	// genuine.
	Unverified bool `json:"unverified,omitempty"`
}
