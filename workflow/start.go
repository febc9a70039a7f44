package workflow

import (
	"context"
	"fmt"

	"github.com/tenter-dev/tenter/internal/run"
)

// StartOption is an option of [Workflow.Start], [Workflow.Call], [Workflow.Go] and
// [OrStart].
type StartOption interface {
	applyStart(*StartRequest) error
}

type startOption func(*StartRequest) error

func (o startOption) applyStart(r *StartRequest) error { return o(r) }

// RunID gives the run an ID of your own, such as "order-42", so that it is started
// once however often the start is repeated: a second one fails with
// *[RunExistsError], also when the first run has ended. An ID has 1 to 512 bytes of valid
// UTF-8 and no control characters; others, the empty one too, are [ErrInvalidName]. The
// default is a new one, which sorts by time.
func RunID(id string) StartOption {
	return startOption(func(r *StartRequest) error {
		r.RunID = id
		return checkName("run ID", id)
	})
}

// Start starts a run, and returns when it is durable: from then on it will finish,
// whatever crashes. Errors: *[RunExistsError] (is [ErrRunExists]) if [RunID] is
// taken, *[InputError], [ErrUnknownWorkflow], [ErrInvalidName], [ErrPayloadTooLarge],
// [ErrEngineClosed]. If ctx ends first nobody knows whether the run was started: start it again
// with the same RunID.
// It does not wait for code that blocks: a run whose first code takes longer than 100 ms
// to come to a durable call is made durable before it has.
//
// Whether the run's hooks can be resumed by then depends on which engine begins it. If c is an
// engine that has the workflow and whose Run is at work, the code has as a rule gone as far as it
// could without waiting: the hooks that it opened on its way, up to and including the first with a
// [Token], take payloads when Start returns; those that it opens after a step or a wait come later.
// Otherwise the run is on disk and no more, and a Resume fails with [ErrHookNotFound] until a
// worker has begun it: before Run and while it drains, if others execute the workflow, for a while
// after a crash, and while the run's first code blocks. To send a first payload without depending
// on that, Resume with [OrStart] in place of Start.
func (w *Workflow[In, Out]) Start(ctx context.Context, c Client, in In, opts ...StartOption) (*Run[Out], error) {
	req, err := w.request(in, opts)
	if err != nil {
		return nil, err
	}
	if err := usable(ctx, c); err != nil {
		return nil, fmt.Errorf("start %s: %w", w.name, err)
	}
	id, err := c.StartRun(ctx, req)
	if err != nil {
		return nil, err
	}
	return &Run[Out]{client: c, id: id}, nil
}

func (w *Workflow[In, Out]) request(in In, opts []StartOption) (StartRequest, error) {
	if w == nil {
		return StartRequest{}, errNilWorkflow
	}
	data, err := encode(in)
	if err != nil {
		return StartRequest{}, Fatal(fmt.Errorf("start %s: encode input: %w", w.name, err))
	}
	if err := checkName("workflow name", w.name); err != nil {
		return StartRequest{}, fmt.Errorf("start: %w", err)
	}
	req := StartRequest{Workflow: w.name, Input: data}
	for _, opt := range opts {
		if opt == nil {
			continue
		}
		if err := opt.applyStart(&req); err != nil {
			return StartRequest{}, fmt.Errorf("start %s: %w", w.name, err)
		}
	}
	return req, nil
}

// usable says why c can't be used with ctx.
func usable(ctx context.Context, c Client) error {
	if c == nil {
		return errNilClient
	}
	return run.CheckOutside(ctx)
}
