package store

import (
	"time"
)

// Times are kept in UTC, to the microsecond, from the second day of year 1 to the last
// but one of year 9999, so that all that shows them can express them, in any zone; of one
// that is outside the nearest is kept. The zero time is none.

// Status is what a run is doing.
type Status string

// The statuses of a run. The last three are final.
const (
	Running   Status = "running"   // has work: an owner executes it, or one should
	Waiting   Status = "waiting"   // parked on hooks, timers, children
	Blocked   Status = "blocked"   // this code can't continue it; nothing is lost
	Completed Status = "completed" // returned a result
	Failed    Status = "failed"    // returned an error, or panicked
	Canceled  Status = "canceled"  // was canceled or terminated
)

// Ended reports whether s is final.
func (s Status) Ended() bool { return s == Completed || s == Failed || s == Canceled }

// Run is the head of a run: all of it that changes. Its input is the data of the
// first event or message, its result or error the data of the last event.
type Run struct {
	ID       string
	Workflow string
	Version  int // 0 until the first worker binds it to the version that it has
	Status   Status

	ParentID  string // the run that started this one as a child, or empty
	ParentRef string // the parent's call, such as "Payment#1"
	Trace     string // of NewRun

	Secret []byte // random; tokens, IDs and random numbers of the run derive from it

	CreatedAt time.Time
	UpdatedAt time.Time // of the last transition
	EndedAt   time.Time // zero while it has not ended

	// WakeAt is when the run has something to do even if no message comes: its
	// earliest timer or retry, or a time that has passed while it has work.
	// Zero: only a message wakes it.
	WakeAt time.Time

	Worker string // its owner, or empty: parked runs are free
	Epoch  int64  // raised by each claim, Fence, Terminate and Retry
	Events int64  // length of the journal

	// Suspicion counts take-overs from a lapsed lease since the last progress.
	// Mark is set while a worker runs its code in quarantine, Crashes counts the
	// take-overs that found Mark set.
	Suspicion int
	Mark      bool
	Crashes   int

	BlockedBuild  string // the build that can't continue it
	BlockedReason string
}

// NewRun is a run to be started.
type NewRun struct {
	ID        string `json:"id"`
	Workflow  string `json:"workflow"`
	Version   int    `json:"version,omitempty"`
	Input     []byte `json:"input,omitempty"`
	Secret    []byte `json:"secret"`
	ParentID  string `json:"parent_id,omitempty"`
	ParentRef string `json:"parent_ref,omitempty"`
	// Trace is what traces the run is a part of: a W3C traceparent, and after a space
	// the tracestate if there is one. Empty: none. Stores keep it as it is.
	Trace string `json:"trace,omitempty"`
}

// Kind says what an event or a message is about.
type Kind string

// The kinds of events. Those marked (m) arrive as messages; after a retry any
// event may.
const (
	Started         Kind = "started"          // (m) data: input
	PayloadReceived Kind = "payload_received" // (m) ref: hook ID, data: payload
	CancelRequested Kind = "cancel_requested" // (m)
	Woken           Kind = "woken"            // (m) sleeps end now
	Retried         Kind = "retried"          // (m) a failed run goes on; its steps have all their attempts again
	ChildCompleted  Kind = "child_completed"  // (m) ref: call, data: result
	ChildFailed     Kind = "child_failed"     // (m) ref: call, data: error
	ChildStarted    Kind = "child_started"    // ref: call, data: run ID
	ChildExists     Kind = "child_exists"     // ref: call, data: run ID; the ID was taken by another run
	StepStarted     Kind = "step_started"     // ref: step; only in quarantine
	StepRetried     Kind = "step_retried"     // ref: step, data: error and time of the next attempt
	StepCompleted   Kind = "step_completed"   // (m) ref: step, data: result
	StepFailed      Kind = "step_failed"      // ref: step, data: error
	TimerFired      Kind = "timer_fired"      // ref: timer
	HookClaimed     Kind = "hook_claimed"     // ref: hook, data: hook ID
	HookConflict    Kind = "hook_conflict"    // ref: hook, data: owner's run ID
	HookDrained     Kind = "hook_drained"     // ref: hook; all that was accepted before its close has come
	Responded       Kind = "responded"        // ref: response, the request is answered
	RespondConflict Kind = "respond_conflict" // ref: response, the request had been answered already
	RunCompleted    Kind = "completed"        // data: result
	RunFailed       Kind = "failed"           // data: error
	RunCanceled     Kind = "canceled"         // data: error
)

// Event is one entry of a journal: something that happened to the run, and what
// its code asked for in answer.
type Event struct {
	Position int64 // from 1, set by Apply
	At       time.Time
	Kind     Kind
	Ref      string
	Data     []byte
	Asked    string  // one line for each thing asked for
	OrStart  *NewRun // of the message, if it was a payload that had it
	Epoch    int64   // of the owner who wrote it
	Seq      int64   // of the transition that brought it, within the epoch
}

// Message is an entry of a mailbox.
type Message struct {
	ID         int64 // set by the store, rising
	RunID      string
	Kind       Kind
	Ref        string
	Data       []byte
	AcceptedAt time.Time // set by the store's clock, never before the last one's of the run
	OrStart    *NewRun   // a payload that came with OrStart: the run to start if this one does not take it
	Trace      string    // of its sender, as in NewRun; it ends with the message
	Deferred   bool      // it is in the backlog of its hook
}

// Hook is an address that payloads can be sent to.
type Hook struct {
	ID       string
	RunID    string
	Token    string
	Type     string // name of the defined hook, or empty
	Metadata []byte // JSON, or nil
	Webhook  []byte // JSON: how HTTP requests are taken and answered; nil: a plain hook
	// Reserved: made by Accept for a run that it started; the run's first claim of
	// the token adopts it.
	Reserved  bool
	CreatedAt time.Time
	ClosedAt  time.Time // zero while it is open
	OpenedPos int64     // position of the event whose turn opened it
	ClosedPos int64     // position of the event whose turn closed it, 0 while open
	// Number is its place in the order in which hooks were opened. Only those that Hooks
	// lists have it.
	Number int64
}

// Payload is sent to a token.
type Payload struct {
	Token string
	Data  []byte
	// Type, if not nil, must be the type of the hook that has the token. A reserved
	// hook takes payloads of any type: the run that adopts it decides.
	Type *string
	// Key makes the operation safe to repeat: within KeepFor a payload of the same
	// token and key is dropped, and the first one's receipt returned.
	Key     string
	KeepFor time.Duration
	// Hook, if not empty, must be the ID of the open hook that has the token; else
	// there is none (ErrNotFound), OrStart or not.
	Hook string
	// Request is the ID of an HTTP request, kept with the receipt of its key.
	Request string
	// OrStart is the run to start if no open hook has the token.
	OrStart *NewRun
	Trace   string // of the Message
}

// Receipt tells what became of a payload.
type Receipt struct {
	Hook      Hook   // for a duplicate: its ID, RunID, Token, Type, Metadata and CreatedAt as they were
	Started   bool   // OrStart started the run
	Duplicate bool   // Key was known, the payload was dropped
	Request   string // for a duplicate: the Request of the first one
}

// EffectKind says what an Effect does.
type EffectKind uint8

// The effects of a transition.
const (
	// OpenHook inserts Hook. If its token is taken by an open hook of another ID
	// the outcome is the owner's run; if that hook is Reserved for this run, it is
	// adopted: it keeps its ID, gets Type, Metadata and OpenedPos of Hook, and is
	// the outcome. A hook that is there already with the same ID is a success, and
	// so is a hook that was adopted under it.
	OpenHook EffectKind = iota + 1
	// CloseHook closes the hook Hook.ID; Hook.ClosedPos says where.
	CloseHook
	// StartRun inserts Run, with a Started message. If its ID is taken the outcome
	// says so, unless the run there has the same ParentID and ParentRef: success.
	StartRun
	// Respond answers an HTTP request with Response. If it has been answered by
	// another responder the outcome is that responder.
	Respond
	// Send puts Message in the mailbox of Message.RunID. A run that does not exist
	// or has ended is not an error: the message is dropped. (The result of a child that
	// comes after its parent failed is kept, for a Retry.)
	Send
)

// Effect is one thing that a transition does besides writing the journal.
type Effect struct {
	Kind    EffectKind
	Hook    Hook
	Run     NewRun
	Message Message
	// Response is what Respond records.
	Response Response
}

// Response is the answer to an HTTP request.
type Response struct {
	Request   string // ID of the request
	RunID     string
	Responder string // who answers: a step, or a place in the workflow
	Status    int
	Header    []byte // JSON
	Body      []byte
	At        time.Time
	KeepUntil time.Time
}

// Outcome is what the store decided about an effect.
type Outcome struct {
	HookID   string // OpenHook: the ID the hook has
	Conflict string // the run that has the token or the ID, or the responder that came first; empty: done
}

// Attempt is an attempt of a step that is worth showing while it executes.
type Attempt struct {
	RunID     string
	Step      string
	Attempt   int
	StartedAt time.Time
	Worker    string
}

// Transition is the one atomic write of an owner.
type Transition struct {
	RunID    string
	Workflow string // of the run, to be told with its end
	Worker   string
	Epoch    int64 // the epoch the writer knows; refused (ErrFenced) if the run has another, see Claim
	Seq      int64 // rises within the epoch; no other transition of the epoch has it, whoever writes it

	// Claim says that the run is free and has the epoch before Epoch, which begins with this
	// transition. ErrFenced if the run has another epoch, or an owner.
	Claim bool

	// Create inserts the run, owned by Worker with epoch 1, before anything else.
	// ErrExists if its ID is taken. Epoch must be 1 and After 0. The Started event
	// is among Events; no message is written for it.
	Create *NewRun

	// After is the length of the journal that Events continue; ErrConflict if it
	// has another.
	After  int64
	Events []Event
	Took   []int64 // IDs of the messages taken in; ErrConflict if one is gone

	// NoMailBefore, if not zero, refuses the transition (ErrConflict) if the
	// mailbox has a message not in Took that was accepted before it. A
	// time that no message can have, such as the last day of the year 9999, means: any
	// message.
	NoMailBefore time.Time

	// Defer are hooks whose payloads wait in a backlog from now on: those that are in the
	// mailbox and not in Took go there, and Accept puts further ones behind them, without
	// a word to the run. NoMailBefore does not count them.
	Defer []string
	// Pulled are IDs of messages taken in from backlogs of the run; ErrConflict if one is
	// gone.
	Pulled []int64
	// Admit are hooks whose backlog ends, since all that the writer has seen of it is in
	// Pulled: what has come meanwhile goes to the mailbox. NoMailBefore counts it.
	Admit []string

	Effects []Effect // in program order

	At      time.Time // becomes UpdatedAt, and EndedAt if Status is final
	Status  Status
	WakeAt  time.Time
	Keep    bool // keep the run: Worker is its owner from now on; else it is free
	Version int  // 0: leave

	Suspicion     int
	Mark          bool
	Crashes       int
	BlockedBuild  string
	BlockedReason string

	// Executing are attempts to be shown, Executed the steps to be shown no more.
	Executing []Attempt
	Executed  []string

	// Unread are, when Status is final, the payloads in the journal that the run
	// never took, in order. Apply adds those still in the mailbox and in backlogs,
	// records them all, and empties the mailbox. Then it closes the run's open hooks. If
	// TookAny, the first unread payload of a token with OrStart starts that run,
	// with a reserved hook; all unread payloads of the token that have OrStart become
	// the backlog of that hook, in order. A backlog is handed over as it is, however
	// long. If the ID of the run is taken, or the token by then, they stay unread.
	Unread  []Message
	TookAny bool
}

// Lease is a worker's claim to be alive.
type Lease struct {
	Worker      string
	For         time.Duration // from the store's now
	Build       string
	Definitions []Definition
}

// Definition names a workflow that a worker has.
type Definition struct {
	Workflow string
	Version  int
}

// Claim asks for runs to execute.
type Claim struct {
	Worker      string
	Build       string // runs blocked for this build are left alone
	Definitions []Definition
	Limit       int
	Now         time.Time // a WakeAt at or before it is due
	// Again says that Worker may not know of all it owns, because the answer to a
	// claim got lost, or the claim was carried out late: its runs that have something
	// to do are returned too, as they are.
	Again bool
	// Runs, if there are any, are the only ones to be looked at, as signals named them:
	// those that are free and have something to do are claimed, in any order, and that
	// costs little however many others there are. Limit and Again do not matter. Those that
	// another worker owns and that have something to do are left alone, and Next is when
	// the first of these leases lapses, or has lapsed: time for a general claim.
	Runs []string
}

// Claimed are the runs that a Claim got.
type Claimed struct {
	// Runs are owned by the worker now, epoch raised if they were not before, oldest
	// need first. Suspicion is raised where the lease of the last owner had lapsed (a
	// worker that has none counts as that); Crashes too if Mark was set, which a
	// claim takes off. Version 0 stays 0: the first transition binds it.
	Runs []Run
	// Next is when to look again if no signal comes first: the earliest WakeAt
	// still to come of a run that fits, or the lapse of a lease that holds one that
	// is claimable. Zero: never.
	Next time.Time
	// More: Limit was reached, there may be more now.
	More bool
	// Busy are those of Claim.Runs that were to be had, but that somebody else was at just
	// then: to be looked at again in a moment.
	Busy []string
}

// Loaded is what it takes to rebuild a run, as of one moment.
type Loaded struct {
	Run    Run
	Events []Event
	Mail   []Message // no more than MailPage of them, and at least one if there is one
	More   bool      // there is more in the mailbox
	// Backlog has the first payload of each backlog of the run, in the order of the hooks.
	Backlog []Message
}

// MailPage is how many messages of a mailbox are loaded at most, or [PageSize] bytes of them.
const MailPage = 1000

// Ending is how a run has ended, if it has.
type Ending struct {
	RunID    string
	Workflow string
	Status   Status
	Data     []byte // of the last event, of a run that has ended
}

// Cut reopens a failed run.
type Cut struct {
	RunID  string
	Events int64 // length of the journal that the caller saw; ErrConflict if it has another
	// From is the first position to be cut. The cut part is kept, marked, apart.
	// Hooks opened before it and closed at or after it are reopened; those opened
	// at or after it are deleted.
	From int64
	// Back are the positions of cut events that go back into the mailbox, in order,
	// with the time that they have.
	Back []int64
}

// Filter selects runs by what all its fields ask for. Zero fields ask for nothing.
type Filter struct {
	Status   Status
	Workflow string
	ParentID string
	Since    time.Time // created at or after
	Until    time.Time // created before
	// Prefix is that of the run's ID. Then the list is in the order of IDs, the
	// greatest first.
	Prefix string
	Before RunCursor
	Limit  int // default 100
}

// RunCursor is what lists of runs are sorted by: that of the last run of a page, for the
// next page to follow it, whether the run is still there or not.
type RunCursor struct {
	CreatedAt time.Time
	ID        string // empty: the list begins at its beginning
}

// Cursor is where a list goes on after the run.
func (r *Run) Cursor() RunCursor { return RunCursor{CreatedAt: r.CreatedAt, ID: r.ID} }

// HookFilter selects open hooks by what all its fields ask for. Zero fields ask for
// nothing.
type HookFilter struct {
	RunID string
	Type  string // not empty: only hooks of that type
	// Prefix is that of the token. Then the list is in the order of tokens.
	Prefix string
	// After continues a list in the order in which hooks were opened: the Number of the
	// last hook of the page before, whether that is still there or not.
	After int64
	// From continues a list in the order of tokens: it has no token that is less.
	From  string
	Limit int // default 100
}

// PageSize is where pages end that could get too large, in bytes.
const PageSize = 4 << 20

// WorkerInfo describes a worker.
type WorkerInfo struct {
	Name        string
	Build       string
	Definitions []Definition
	RenewedAt   time.Time
	LeaseUntil  time.Time
	Live        bool // its lease has not lapsed, by the store's clock
}

// Signal says what may have changed.
type Signal struct {
	Mail      []string // runs that got a message, or were freed with something to do
	Ended     []string // runs that ended
	Results   []Ending // how some of Ended did, as far as the store knows without a query
	Responded []string // requests that were answered
	All       bool     // anything may have changed
	Yield     int      // so many workers come first for the runs of Mail: leave them to these for a moment
	Mixed     bool     // the runs of Mail may be for workers with other workflows
}
