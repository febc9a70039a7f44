package workflow

import (
	"github.com/tenter-dev/tenter/internal/run"
)

func init() {
	run.Definition = func(d any) (*run.Workflow, error) { return d.(Definition).definition() } //nolint:forcetypeassert // as documented
	run.HookDefinition = func(d any) run.HookType { return d.(HookDefinition).definition() }   //nolint:forcetypeassert // as documented
	run.Defined = func(w *run.Workflow) any { return (*implementation)(w) }
	run.EncodeError, run.DecodeError = encodeError, decodeError
	run.StartRequest = func(w, in any) (any, error) { return w.(requester).startRequest(in) }    //nolint:forcetypeassert // as documented
	run.NewWebhook = func(opts any) (run.Hook, error) { return webhook(opts.([]WebhookOption)) } //nolint:forcetypeassert // as documented
}

// requester is any *Workflow.
type requester interface {
	startRequest(in any) (StartRequest, error)
}

func (w *Workflow[In, Out]) startRequest(in any) (StartRequest, error) {
	input, _ := in.(In) // an interface that is nil is not one
	return w.request(input, nil)
}

// implementation is a Definition without a handle.
type implementation run.Workflow

func (w *implementation) definition() (*run.Workflow, error) { return (*run.Workflow)(w), nil }
