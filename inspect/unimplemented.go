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

// CountRuns implements [Client].
func (UnimplementedClient) CountRuns(context.Context) (Counts, error) {
	return nil, unsupported("CountRuns")
}

// Journal implements [Client].
func (UnimplementedClient) Journal(context.Context, string, int64, int) ([]Event, error) {
	return nil, unsupported("Journal")
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

// Catalog implements [Client].
func (UnimplementedClient) Catalog(context.Context) (Catalog, error) {
	return Catalog{}, unsupported("Catalog")
}

// Watch implements [Client].
func (UnimplementedClient) Watch(context.Context, string, func(Change)) error {
	return unsupported("Watch")
}
