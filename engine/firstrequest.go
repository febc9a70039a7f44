package engine

import (
	"encoding/json"
	"errors"
	"fmt"

	"github.com/tenter-dev/tenter/internal/run"
	"github.com/tenter-dev/tenter/store"
	"github.com/tenter-dev/tenter/workflow"
)

// FirstRequest starts a run for a request to a token that no open webhook has. Package server is
// built on it, see server.OrStart.
type FirstRequest struct {
	e        *Engine
	workflow string // name of the workflow whose runs it starts
	input    func(token string, r *workflow.Request) (workflow.StartRequest, error)
	config   run.Webhook
	webhook  []byte // config, as it is stored
}

// NewFirstRequest returns what starts runs of a workflow, which has to be
// [workflow.StartedByRequest] as far as the engine knows it. Until the run has opened its webhook,
// opts say how requests are taken and answered; [workflow.Token] and [workflow.Metadata] are not
// among them. start returns the run for a request, of that workflow, or an error if the request
// starts none.
func (e *Engine) NewFirstRequest(name string, start func(token string, r *workflow.Request) (workflow.StartRequest, error), opts ...workflow.WebhookOption) (*FirstRequest, error) {
	fail := func(err error) (*FirstRequest, error) { return nil, fmt.Errorf("first request of %s: %w", name, err) }
	spec, err := run.NewWebhook(opts)
	switch {
	case err != nil:
		return fail(err)
	case spec.Token != "" || spec.Name != "" || spec.Metadata != nil:
		return fail(errors.New("its token and metadata are those that the run opens its webhook with"))
	}
	if def := e.definition(name, 0); def != nil && !def.ByRequest {
		return fail(errors.New("define the workflow with workflow.StartedByRequest"))
	}
	if v := spec.Webhook.Verify; v != "" && e.opts.Senders[v] == nil {
		return fail(fmt.Errorf("there is no sender %q: name it in Options.Senders", v))
	}
	f := &FirstRequest{e: e, input: start, config: *spec.Webhook}
	if f.webhook, err = json.Marshal(f.config); err != nil {
		return fail(err)
	}
	f.workflow = name
	e.routes.Store(routeKey{name, f.config.Verify}, f)
	return f, nil
}

// Verifies reports whether requests are verified before they start a run.
func (f *FirstRequest) Verifies() bool { return f.config.Verify != "" }

// run returns the run that a request starts.
func (f *FirstRequest) run(token string, r *workflow.Request) (*store.NewRun, error) {
	req, err := f.input(token, r)
	if err != nil {
		return nil, &startsNothing{run.Sound(err)}
	}
	n, err := f.e.newRun(req)
	if err != nil {
		return nil, fmt.Errorf("start %s: %w", req.Workflow, err)
	}
	n.Webhook = f.webhook
	return &n, nil
}

// startsNothing is why a request starts no run.
type startsNothing struct{ err error }

func (e *startsNothing) Error() string { return "the request starts no run: " + e.err.Error() }
func (e *startsNothing) Unwrap() error { return e.err }

// routeKey finds a FirstRequest: by its workflow, and who is to send.
type routeKey struct{ workflow, sender string }

// firstRequest returns the route of this program that starts runs of a workflow for requests of a
// sender, or for those of anybody; or nil.
func (e *Engine) firstRequest(workflow, sender string) *FirstRequest {
	for _, key := range []routeKey{{workflow, sender}, {workflow, ""}} {
		if f, ok := e.routes.Load(key); ok {
			return f.(*FirstRequest) //nolint:forcetypeassert // nothing else is in it
		}
	}
	return nil
}
