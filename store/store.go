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
	Pauser
	Catalog
	Linker
	Refuser

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
	// OrStart is ErrNotFound; a hook of another type, a webhook if there is no
	// Request, or any hook that is not asked for if OrStart has a Webhook, is ErrMismatch, with
	// the hook in the receipt; with OrStart a run is started if no open hook has the token, with a reserved hook (ID of the run
	// + ".h0") and the payload after its Started message; ErrExists if the run's ID
	// is taken.
	Accept(ctx context.Context, p Payload) (Receipt, error)

	// Publish puts a payload in the mailboxes of all runs that have an open hook which listens,
	// once for each of these hooks. Which hooks these are is decided here; those that one commit does not
	// serve get it by TellListeners, or when their hook closes. The time of acceptance is when it
	// comes to the mailbox. That nobody listens is not an error: nothing is written.
	Publish(ctx context.Context, p Publication) (Published, error)

	// Send puts a message in a run's mailbox. ErrNotFound if there is no such run,
	// ErrFenced if it has ended.
	Send(ctx context.Context, m Message) error

	// Respond answers an HTTP request, or one of a call. A repeat by the same responder changes
	// nothing; if another one has answered it is ErrExists.
	Respond(ctx context.Context, r Response) error

	// Terminate ends a run now, whatever state it is in, paused too: raises the epoch, appends
	// e, sets Status Canceled, records unread payloads, closes its hooks. Children
	// that have not ended get a CancelRequested message, the parent a ChildFailed
	// one with e's data. Its subscriptions end; those to its end are told. ErrNotFound, or
	// ErrFenced if it has ended.
	Terminate(ctx context.Context, runID string, e Event) error

	// Retry reopens a failed run from its journal: raises the epoch, cuts the
	// journal, puts messages back (those too that were still in the mailbox when the
	// run failed, but no order to cancel or to wake), adds a Retried message, reopens
	// hooks. If a token has another owner now nothing is written, and the
	// hook that has it is returned with ErrExists. ErrConflict if the run has not
	// failed, the journal is of another length, or what a fork has from its origin would be cut.
	Retry(ctx context.Context, c Cut) (Hook, error)

	// Fork makes a free run of the beginning of another's journal, which is not touched, and
	// depends on nothing of it from then on. The events are copied as they are, but for OrStart:
	// what the origin has not taken starts successors of the origin only. The epoch begins with
	// that of the origin, so that no later transition looks like one of the events. The mailbox
	// begins with a Forked message. ErrNotFound if there is no origin, ErrConflict if it is no
	// longer as the caller saw it, ErrOldWorker as with a restart. ErrExists if the ID is taken;
	// if an open hook has a token of Hooks, that is returned with it. In all these cases nothing
	// is written.
	Fork(ctx context.Context, f Fork) (Hook, error)

	// Unblock makes a blocked run claimable by every build again. ErrConflict if it
	// is not blocked.
	Unblock(ctx context.Context, runID string) error

	// Pause pauses a run until Resume, whatever state it is in: its status, owner and epoch
	// stay, and so does a pause that it has already. It is signaled as Mail. ErrNotFound,
	// ErrFenced if it has ended, ErrOldWorker as for PauseWorkflow.
	Pause(ctx context.Context, runID string, p Pause) error

	// Resume lets a run that is paused go on, unless its workflow is paused, and puts a Resumed
	// message of the actor in its mailbox. A run that is not paused is not an error, and gets none.
	// ErrNotFound, or ErrFenced if it has ended.
	Resume(ctx context.Context, runID, actor string) error
}

// Pauser pauses the runs of a workflow.
type Pauser interface {
	// PauseWorkflow pauses all runs of a workflow, those that start later too, until
	// ResumeWorkflow: once it has returned nil, no transition of any of them is written. If ctx
	// ends while it waits for some under way, the workflow is paused all the same. A workflow
	// that is paused stays so as it is, by whom and why. It is signaled as All. ErrOldWorker if a
	// worker is live whose binary knows no pauses; from then on, such binaries are refused.
	PauseWorkflow(ctx context.Context, workflow string, p Pause) error

	// ResumeWorkflow lets the runs of a workflow go on, except for those that are paused
	// themselves. It is signaled as All. A workflow that is not paused is not an error.
	ResumeWorkflow(ctx context.Context, workflow string) error

	// PausedWorkflows lists the workflows that are paused, by name.
	PausedWorkflows(ctx context.Context) ([]PausedWorkflow, error)
}

// Catalog keeps what workers know of hook types, for programs without their code.
type Catalog interface {
	// PutHookTypes keeps hook types, in the place of those with the same names. It writes only
	// those that are new or different.
	PutHookTypes(ctx context.Context, types []HookType) error

	// HookTypes lists the hook types that were kept, by name.
	HookTypes(ctx context.Context) ([]HookType, error)
}

// Reader looks at what is there.
type Reader interface {
	// Load returns a run, the events of its present generation after a position, and the
	// beginning of its mailbox and of its backlogs, as of one moment. ErrNotFound if there is no such run.
	// With IfFree for the position it returns all events of the generation if the run is free and
	// has something to do, or will within a second, and else none: others were faster then, and
	// a long journal would be read in vain.
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

	// Topics lists what open hooks listen to.
	Topics(ctx context.Context, f TopicFilter) ([]ListenedTopic, error)

	// Receipt returns a receipt that a payload with Request got for the token,
	// whoever has the token now. ErrNotFound if there is none, or all have expired.
	Receipt(ctx context.Context, token string) (Receipt, error)

	// Workers lists the workers that have a lease, or had one lately, by name.
	Workers(ctx context.Context) ([]WorkerInfo, error)

	// Response returns the answer to a request. ErrNotFound if there is none yet.
	Response(ctx context.Context, request string) (Response, error)

	// Generations lists the generations of a run that are over and have not been pruned, in
	// their order.
	Generations(ctx context.Context, runID string) ([]Generation, error)

	// Unread returns, in order, the payloads that a generation of a run has left unread when it
	// restarted. It is bounded as Journal is. There are none if the generation is not over, or was
	// pruned.
	Unread(ctx context.Context, runID string, generation, limit int) ([]Message, error)

	// Executing returns the attempts shown for a run.
	Executing(ctx context.Context, runID string) ([]Attempt, error)

	// Resync returns what of s is so now: runs of Mail that have messages or are paused, runs of
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

	// Claim takes ownership of runs that have something to do, are not paused, and that the
	// worker does not own already.
	Claim(ctx context.Context, c Claim) (Claimed, error)

	// Apply writes a transition, all of it or nothing, and returns an outcome for
	// each effect. ErrFenced, ErrPaused, ErrConflict, ErrExists and ErrOldWorker mean that
	// nothing was written; if several are so, the first in this order is returned.
	Apply(ctx context.Context, t *Transition) ([]Outcome, error)

	// Deposit puts outcomes of attempts into the mailbox of a run that the worker owns, paused or
	// not, and may free the run, which is signaled as Mail. ErrFenced if the run has another epoch
	// or owner, or has ended; ErrNotFound if there is none.
	Deposit(ctx context.Context, d Deposit) error

	// Fence is for a worker that does not know what became of a transition: the
	// database may still be about to write it. After Fence it was written, or never
	// will be. If the run has the epoch and is free or the worker's own, Fence raises
	// the epoch, makes the run the worker's and takes a Mark off, as a claim does; if
	// it has another epoch or owner, or has ended, nothing of that epoch can be written
	// any more, and it is left as it is. Either way it is returned as it is then, after
	// all that was written in that epoch. ErrNotFound if there is no such run.
	Fence(ctx context.Context, runID, worker string, epoch int64) (Loaded, error)

	// Prune deletes runs that ended before a time, the first that ended first, with all
	// that is theirs but receipts and responses, which expire by themselves. Those whose end
	// TellEnds has still to tell are left. It stops
	// when about limit events are gone, so that nobody waits for it long; more says that
	// there may be further ones.
	Prune(ctx context.Context, before time.Time, limit int) (pruned int, more bool, err error)

	// TellEnds goes on with reporting the end of a run that more subscriptions were for than one
	// commit tells: it tells as many again, but for those whose runs are in use just then. told is
	// how many it has told, and more says that there may be others, of this end or another. A
	// subscription that is not told when its target is retried waits for the next end.
	TellEnds(ctx context.Context) (told int, more bool, err error)

	// TellListeners goes on with a publication that has more listeners than one commit serves: it
	// serves as many again, but for those whose runs are in use just then. told is how many it has
	// served, and more says that there may be others, of this publication or another. Several
	// workers may call it at once. atOnce is that of Publication.
	TellListeners(ctx context.Context, atOnce int) (told int, more bool, err error)

	// PruneGenerations deletes generations that ended before a time, the first that ended
	// first, unless the next one has not written anything yet: their events, what a retry has
	// cut off them, their closed hooks and the links to these, and what they left unread. limit
	// and more are as with Prune.
	PruneGenerations(ctx context.Context, before time.Time, limit int) (pruned int, more bool, err error)
}
