package scenario_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"

	"github.com/tenter-dev/tenter/inspect"
	"github.com/tenter-dev/tenter/workflow"
)

// remote asks engines of other processes, one or another, which may be killed before
// they answer. Then the outcome is unknown.
type remote struct {
	workflow.UnimplementedClient
	services []*service
}

func (r *remote) StartRun(ctx context.Context, req workflow.StartRequest) (runID string, err error) {
	return call[string](ctx, r, "Start", req)
}

func (r *remote) ResumeHook(ctx context.Context, req workflow.ResumeRequest) (workflow.HookInfo, error) {
	return call[workflow.HookInfo](ctx, r, "Resume", req)
}

func (r *remote) Hooks(ctx context.Context, f inspect.HookFilter) ([]workflow.HookInfo, error) {
	return call[[]workflow.HookInfo](ctx, r, "Hooks", f)
}

func (r *remote) AwaitRun(ctx context.Context, runID string) (workflow.RunResult, error) {
	return call[workflow.RunResult](ctx, r, "Await", runID)
}

// call makes a call, once.
func call[T any](ctx context.Context, r *remote, method string, args any) (none T, err error) {
	reply := new(T)
	p := r.services[rand.N(len(r.services))].process()
	c := p.client.Go("Door."+method, args, reply, nil)
	select {
	case <-c.Done:
	case <-ctx.Done():
		return none, ctx.Err()
	}
	if c.Error == nil {
		return *reply, nil
	}
	for known, text := range map[error]string{
		workflow.ErrHookNotFound: workflow.ErrHookNotFound.Error(), workflow.ErrRunExists: " exists",
	} {
		if strings.Contains(c.Error.Error(), text) {
			return none, fmt.Errorf("%w, says process %d", known, p.cmd.Process.Pid)
		}
	}
	return none, fmt.Errorf("no answer: %w", c.Error)
}
