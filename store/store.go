package store

import (
	"context"
	"time"
)

// Store is a database that engines run on. It is safe for concurrent use. Implementations embed
// [Unimplemented]: later versions may add operations.
type Store interface {
	Client
	Reader
	Worker

	// Watch calls f after each commit that gave runs messages or freed them with
	// something to do (both Mail), ended them, or answered requests, here or in
	// another process, until stop is called; f must not block. Signals may come late,
	// be merged, or say All when the store can't tell. A store whose notifications can
	// get lost sends All from time to time. Of what transitions of another process have
	// ended, and of answers given there, it need tell only while somebody awaits them.
	Watch(f func(Signal)) (stop func())

	// Await says that somebody awaits the end of a run, or an answer, that may come from
	// another process, until done is called. What had not been told because nobody
	// awaited it is made up for by an All. It does not wait, and done may be called more
	// than once.
	Await() (done func())

	// Now is the clock that decides acceptance times.
	Now() time.Time

	// Shared reports whether other processes may have the database open.
	Shared() bool

	// String names the database, for logs. It tells no secret.
	String() string

	// Close waits for operations under way and closes the database.
	Close() error
}

// CommitWatcher is what a Store may be besides: one that reports its commits.
type CommitWatcher interface {
	// WatchCommits calls f after each commit of this process that wrote something,
	// until stop is called; f must not block.
	WatchCommits(f func(Commit)) (stop func())
}

// Commit is a group of operations that became durable together.
type Commit struct {
	Operations int
	Took       time.Duration // from when it began to be carried out until it was durable
}

// Client is how the outside world reaches runs.
type Client interface {
	// Start inserts a run with a Started message. ErrExists if its ID is taken.
	Start(ctx context.Context, r NewRun) error

	// Accept puts a payload in the mailbox of the run whose open hook has the
	// token. In this order: a known key returns its receipt; no open hook and no
	// OrStart is ErrNotFound; a hook of another type, or a webhook if there is no
	// Request, is ErrMismatch, with the hook in the receipt; with OrStart a run that
	// has no open hook for the token is started, with a reserved hook (ID of the run
	// + ".h0") and the payload after its Started message; ErrExists if the run's ID
	// is taken.
	Accept(ctx context.Context, p Payload) (Receipt, error)

	// Send puts a message in a run's mailbox. ErrNotFound if there is no such run,
	// ErrFenced if it has ended.
	Send(ctx context.Context, m Message) error

	// Respond answers an HTTP request. A repeat by the same responder changes
	// nothing; if another one has answered it is ErrExists.
	Respond(ctx context.Context, r Response) error

	// Terminate ends a run now, whatever state it is in: raises the epoch, appends
	// e, sets Status Canceled, records unread payloads, closes its hooks. Children
	// that have not ended get a CancelRequested message, the parent a ChildFailed
	// one with e's data. ErrNotFound, or ErrFenced if it has ended.
	Terminate(ctx context.Context, runID string, e Event) error

	// Retry reopens a failed run from its journal: raises the epoch, cuts the
	// journal, puts messages back (those too that were still in the mailbox when the
	// run failed, but no order to cancel or to wake), adds a Retried message, reopens
	// hooks. If a token has another owner now nothing is written, and the
	// hook that has it is returned with ErrExists. ErrConflict if the run has not
	// failed or the journal is of another length.
	Retry(ctx context.Context, c Cut) (Hook, error)

	// Unblock makes a blocked run claimable by every build again. ErrConflict if it
	// is not blocked.
	Unblock(ctx context.Context, runID string) error
}

// Reader looks at what is there.
type Reader interface {
	// Load returns a run, the events after a position, and the beginning of its mailbox
	// and of its backlogs, as of one moment. ErrNotFound if there is no such run.
	Load(ctx context.Context, runID string, after int64) (Loaded, error)

	// Backlog returns payloads that wait in the backlog of a hook, in order, after the
	// message with an ID. It is bounded as Journal is; more says that there are others.
	// A hook without one is not an error.
	Backlog(ctx context.Context, runID, hookID string, after int64, limit int) (payloads []Message, more bool, err error)

	// Run returns the head of a run. ErrNotFound if there is none. A run that no
	// live worker has the workflow or version for is shown as Blocked, with the
	// reason.
	Run(ctx context.Context, runID string) (Run, error)

	// Endings returns, for those of the runs that exist, how they have ended, if they
	// have, in any order.
	Endings(ctx context.Context, runIDs []string) ([]Ending, error)

	// Runs lists runs, newest first.
	Runs(ctx context.Context, f Filter) ([]Run, error)

	// Count counts the runs of each status, up to limit: then it stops, so that it
	// costs the same however many there are. A status that no run has may be missing.
	Count(ctx context.Context, limit int) (map[Status]int, error)

	// Journal returns events of a run after a position: at most limit of them, and no
	// more once they have [PageSize] bytes of data, but at least one if there is one.
	// ErrNotFound if there is no such run.
	Journal(ctx context.Context, runID string, after int64, limit int) ([]Event, error)

	// Mailbox returns, in order, what was sent to a run and its journal has not taken
	// in, the backlogs of its hooks behind the rest; of a run that has ended, the
	// payloads that it never took. It is bounded as Journal is. ErrNotFound if there is
	// no such run.
	Mailbox(ctx context.Context, runID string, limit int) ([]Message, error)

	// Hook returns the open hook that has the token. ErrNotFound if there is none.
	Hook(ctx context.Context, token string) (Hook, error)

	// Hooks lists open hooks, in the order in which they were opened, with their Number.
	Hooks(ctx context.Context, f HookFilter) ([]Hook, error)

	// Receipt returns a receipt that a payload with Request got for the token,
	// whoever has the token now. ErrNotFound if there is none, or all have expired.
	Receipt(ctx context.Context, token string) (Receipt, error)

	// Workers lists the workers that have a lease, or had one lately, by name.
	Workers(ctx context.Context) ([]WorkerInfo, error)

	// Response returns the answer to a request. ErrNotFound if there is none yet.
	Response(ctx context.Context, request string) (Response, error)

	// Executing returns the attempts shown for a run.
	Executing(ctx context.Context, runID string) ([]Attempt, error)

	// Resync returns what of s is so now: runs of Mail that have messages, runs of
	// Ended that have ended, requests of Responded that were answered. It is for callers that
	// got All, and costs few queries however many it is asked about.
	Resync(ctx context.Context, s Signal) (Signal, error)
}

// Worker is how an engine executes runs.
type Worker interface {
	// Renew extends a worker's lease, or registers it.
	Renew(ctx context.Context, l Lease) error

	// Release ends a worker's lease and frees its runs, at once. It is signaled as All.
	Release(ctx context.Context, worker string) error

	// Claim takes ownership of runs that have something to do, and that the worker
	// does not own already.
	Claim(ctx context.Context, c Claim) (Claimed, error)

	// Apply writes a transition, all of it or nothing, and returns an outcome for
	// each effect. ErrFenced, ErrConflict and ErrExists mean that nothing was
	// written.
	Apply(ctx context.Context, t *Transition) ([]Outcome, error)

	// Fence is for a worker that does not know what became of a transition: the
	// database may still be about to write it. After Fence it was written, or never
	// will be. If the run has the epoch and is free or the worker's own, Fence raises
	// the epoch, makes the run the worker's and takes a Mark off, as a claim does; if
	// it has another epoch or owner, or has ended, nothing of that epoch can be written
	// any more, and it is left as it is. Either way it is returned as it is then, after
	// all that was written in that epoch. ErrNotFound if there is no such run.
	Fence(ctx context.Context, runID, worker string, epoch int64) (Loaded, error)

	// Prune deletes runs that ended before a time, the first that ended first, with all
	// that is theirs but receipts and responses, which expire by themselves. It stops
	// when about limit events are gone, so that nobody waits for it long; more says that
	// there may be further ones.
	Prune(ctx context.Context, before time.Time, limit int) (pruned int, more bool, err error)
}
