package inspect

import (
	"context"

	"github.com/tenter-dev/tenter/workflow"
)

// Client is a [workflow.Client] that can look around as well. *engine.Engine and
// *client.Client implement it. Other implementations embed [UnimplementedClient]: later versions may add
// methods.
type Client interface {
	workflow.Client

	// Runs lists runs, newest first: a page of at most RunFilter.Limit of them.
	Runs(ctx context.Context, f RunFilter) ([]workflow.RunInfo, error)

	// CountRuns counts the runs of each status.
	CountRuns(ctx context.Context) (Counts, error)

	// Journal returns events of a run in order: those after a position (0: from the
	// first on), at most limit of them (0: as many as there are). A page may be shorter
	// because its events are large; only an empty one means that there are no more. It
	// fails with [workflow.ErrRunNotFound].
	Journal(ctx context.Context, runID string, after int64, limit int) ([]Event, error)

	// Mailbox returns what was sent to a run and its journal has not taken in: of a
	// run that has ended, the payloads that it never took. In order, the first
	// [MaxMailbox] of them, or fewer if they are large. It fails with
	// [workflow.ErrRunNotFound].
	Mailbox(ctx context.Context, runID string) ([]Message, error)

	// Executing returns the attempts of steps of a run that have been executing for
	// longer than a second. It fails with [workflow.ErrRunNotFound].
	Executing(ctx context.Context, runID string) ([]Attempt, error)

	// Hooks lists open hooks, in the order in which they were opened: a page of at
	// most HookFilter.Limit of them.
	Hooks(ctx context.Context, f HookFilter) ([]workflow.HookInfo, error)

	// Catalog returns what can be started and resumed here, with JSON Schemas.
	Catalog(ctx context.Context) (Catalog, error)

	// Watch calls f, one call at a time: once when it has begun to watch, and then soon after
	// changes, until ctx ends, which is not an error. A caller that reads what it shows in each
	// call misses nothing; after ctx has ended, even in a call, f is not called again. With a run
	// ID, Watch reports each progress of that run, and fails with [workflow.ErrRunNotFound] if
	// there is no such run; without, it reports changes of all runs, about once a second at most.
	//
	// Changes are pushed and merged, with one exception: progress that another process makes, of a
	// run that neither ends nor gets messages, is found by polling about once a second; if all runs
	// are watched, only that of the newest 100.
	Watch(ctx context.Context, runID string, f func(Change)) error
}

// Change says what may have changed.
type Change struct {
	Runs []string `json:"runs,omitempty"` // their IDs
	All  bool     `json:"all,omitempty"`  // anything may have
}
