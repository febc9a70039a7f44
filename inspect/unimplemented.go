package inspect

import (
	"context"
	"errors"
	"fmt"

	"github.com/tenter-dev/tenter/workflow"
)

// UnimplementedClient is a [Client] whose methods all fail with [errors.ErrUnsupported]. An
// implementation or a fake that embeds it has only the methods that it needs, and compiles when a
// later version adds some.
type UnimplementedClient struct{ workflow.UnimplementedClient }

var _ Client = UnimplementedClient{}

func unsupported(method string) error {
	return fmt.Errorf("%s: this client does not implement it: %w", method, errors.ErrUnsupported)
}

// Runs implements [Client].
func (UnimplementedClient) Runs(context.Context, RunFilter) ([]workflow.RunInfo, error) {
	return nil, unsupported("Runs")
}

// Topics implements [Client].
func (UnimplementedClient) Topics(context.Context, TopicFilter) ([]Topic, error) {
	return nil, unsupported("Topics")
}

// PausedWorkflows implements [Client].
func (UnimplementedClient) PausedWorkflows(context.Context) ([]PausedWorkflow, error) {
	return nil, unsupported("PausedWorkflows")
}

// CountRuns implements [Client].
func (UnimplementedClient) CountRuns(context.Context) (Counts, error) {
	return nil, unsupported("CountRuns")
}

// Failures implements [Client].
func (UnimplementedClient) Failures(context.Context, FailureFilter) (Failures, error) {
	return Failures{}, unsupported("Failures")
}

// Journal implements [Client].
func (UnimplementedClient) Journal(context.Context, string, int64, int) ([]Event, error) {
	return nil, unsupported("Journal")
}

// Generations implements [Client].
func (UnimplementedClient) Generations(context.Context, string) ([]Generation, error) {
	return nil, unsupported("Generations")
}

// Unread implements [Client].
func (UnimplementedClient) Unread(context.Context, string, int) ([]Message, error) {
	return nil, unsupported("Unread")
}

// Mailbox implements [Client].
func (UnimplementedClient) Mailbox(context.Context, string) ([]Message, error) {
	return nil, unsupported("Mailbox")
}

// Executing implements [Client].
func (UnimplementedClient) Executing(context.Context, string) ([]Attempt, error) {
	return nil, unsupported("Executing")
}

// Hooks implements [Client].
func (UnimplementedClient) Hooks(context.Context, HookFilter) ([]workflow.HookInfo, error) {
	return nil, unsupported("Hooks")
}

// Links implements [Client].
func (UnimplementedClient) Links(context.Context, LinkFilter) ([]Link, error) {
	return nil, unsupported("Links")
}

// Link implements [Client].
func (UnimplementedClient) Link(context.Context, string) (Link, error) {
	return Link{}, unsupported("Link")
}

// RevokeLink implements [Client].
func (UnimplementedClient) RevokeLink(context.Context, string) error {
	return unsupported("RevokeLink")
}

// RefusedRequests implements [Client].
func (UnimplementedClient) RefusedRequests(context.Context, RefusedFilter) ([]RefusedRequest, error) {
	return nil, unsupported("RefusedRequests")
}

// RefusedRequest implements [Client].
func (UnimplementedClient) RefusedRequest(context.Context, string) (RefusedRequest, error) {
	return RefusedRequest{}, unsupported("RefusedRequest")
}

// Redeliver implements [Client].
func (UnimplementedClient) Redeliver(context.Context, Redelivery) (workflow.HookInfo, error) {
	return workflow.HookInfo{}, unsupported("Redeliver")
}

// Catalog implements [Client].
func (UnimplementedClient) Catalog(context.Context) (Catalog, error) {
	return Catalog{}, unsupported("Catalog")
}

// Watch implements [Client].
func (UnimplementedClient) Watch(context.Context, string, func(Change)) error {
	return unsupported("Watch")
}
