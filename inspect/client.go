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

	// PausedWorkflows lists the workflows that are paused, by name.
	PausedWorkflows(ctx context.Context) ([]PausedWorkflow, error)

	// CountRuns counts the runs of each status.
	CountRuns(ctx context.Context) (Counts, error)

	// Failures groups failed runs by their causes: the last [MaxFailures] that were created.
	Failures(ctx context.Context, f FailureFilter) (Failures, error)

	// Journal returns events of a run in order: those after a position (0: from the
	// first on), at most limit of them (0: as many as there are). A page may be shorter
	// because its events are large; only an empty one means that there are no more. It
	// fails with [workflow.ErrRunNotFound].
	Journal(ctx context.Context, runID string, after int64, limit int) ([]Event, error)

	// Generations lists the generations of a run that are over, in order, those whose journals are
	// still kept. It fails with [workflow.ErrRunNotFound].
	Generations(ctx context.Context, runID string) ([]Generation, error)

	// Unread returns the payloads that a generation of a run has left unread when it restarted: in
	// order, the first [MaxMailbox] of them, or fewer if they are large. There are none if the
	// generation is not over, or its journal is not kept. It fails with [workflow.ErrRunNotFound].
	Unread(ctx context.Context, runID string, generation int) ([]Message, error)

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

	// Links lists links to answer pages, in the order in which they were made: a page of at most
	// LinkFilter.Limit of them. Whoever sees them can't use them: they have no URLs.
	Links(ctx context.Context, f LinkFilter) ([]Link, error)

	// Link returns a link to an answer page by its ID. It fails with [workflow.ErrLinkNotFound].
	Link(ctx context.Context, id string) (Link, error)

	// RevokeLink takes a link to an answer page back, also one that was taken back before. It fails
	// with [workflow.ErrLinkNotFound].
	RevokeLink(ctx context.Context, id string) error

	// RefusedRequests lists requests to webhooks that were refused and kept, the newest first: a page of
	// at most RefusedFilter.Limit of them.
	RefusedRequests(ctx context.Context, f RefusedFilter) ([]RefusedRequest, error)

	// RefusedRequest returns a request that was refused and kept. It fails with [ErrRefusedNotFound].
	RefusedRequest(ctx context.Context, id string) (RefusedRequest, error)

	// Redeliver verifies a refused request again, with the secrets that its sender has now, as of the
	// time when it was received; delivers it as if it had just come, as one of the actor of ctx; and
	// drops it from the list. It is safe to repeat: the request is delivered once. The hook says which
	// run has got it, and whether it was a repeat of another delivery (Duplicate), or has started the
	// run (Started). It fails with [ErrRefusedNotFound], with [ErrNotVerified], and with
	// [workflow.ErrHookNotFound] if nobody takes it any more; then it stays in the list.
	Redeliver(ctx context.Context, r Redelivery) (workflow.HookInfo, error)

	// Topics lists what open hooks listen to, in the order of topics and subjects: a page of at most
	// TopicFilter.Limit.
	Topics(ctx context.Context, f TopicFilter) ([]Topic, error)

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
