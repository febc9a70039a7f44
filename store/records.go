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
	Events int64  // length of the journal, in all generations
	Base   int64  // position of the last event before the present generation

	// Suspicion counts take-overs from a lapsed lease since the last progress.
	// Mark is set while a worker runs its code in quarantine, Crashes counts the
	// take-overs that found Mark set.
	Suspicion int32
	Crashes   int32
	Mark      bool
	// Generation is how often the run has restarted.
	Generation int32

	Origin *Origin // of a fork, or nil

	BlockedBuild  string // the build that can't continue it
	BlockedReason string

	Paused *Pause // nil: it is not paused, or has ended
}

// Pause says why a run does not go on. While it is paused nobody claims it, and Apply refuses its
// transitions; what is sent to it waits in its mailbox.
type Pause struct {
	At       time.Time // by the store's clock
	Actor    string    // who paused it, as in NewRun
	Why      string
	Workflow bool // all runs of its workflow are paused, and not the run itself
}

// PausedWorkflow is a workflow whose runs are paused, those that start later too.
type PausedWorkflow struct {
	Workflow string
	Pause
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
	// Webhook is that of the hook that is reserved for a run which a request starts, see
	// Payload.OrStart. Nil: a plain hook is reserved, or none.
	Webhook []byte `json:"webhook,omitempty"`
	// Actor is who started the run: the JSON of a [workflow.Actor]. Empty: not known. Stores
	// keep it as it is, with the Started message and event.
	//
	// [workflow.Actor]: https://pkg.go.dev/github.com/tenter-dev/tenter/workflow#Actor
	Actor string `json:"actor,omitempty"`
}

// Origin says where a run was forked from. The events of its journal up to a position are those of
// other runs.
type Origin struct {
	RunID    string `json:"run_id"`         // the run that it was forked from
	Position int64  `json:"position"`       // of the last event that it has from there
	Step     string `json:"step,omitempty"` // the step that was chosen to be executed again, or empty
	// Prefix says whose the events are, in their order: those of a run that is a fork itself are
	// partly those of its own origin. What derives from them derives as it did there.
	Prefix []Ancestor `json:"prefix"`
}

// Ancestor is a run of whose events a fork has some.
type Ancestor struct {
	RunID    string `json:"run_id"`
	ParentID string `json:"parent_id,omitempty"`
	Secret   []byte `json:"secret,omitempty"`
	Last     int64  `json:"last"` // position of the last event that is its own
}

// At returns the run whose event is at a position, or nil if that is an event of the fork's own. A
// run without an origin has only such.
func (o *Origin) At(position int64) *Ancestor {
	if i := o.Index(position); o != nil && i < len(o.Prefix) {
		return &o.Prefix[i]
	}
	return nil
}

// Index is the place in Prefix of the run whose event is at a position, or beyond its end.
func (o *Origin) Index(position int64) int {
	if o == nil {
		return 0
	}
	for i := range o.Prefix {
		if position <= o.Prefix[i].Last {
			return i
		}
	}
	return len(o.Prefix)
}

// Kind says what an event or a message is about.
type Kind string

// The kinds of events. Those marked (m) arrive as messages; after a retry any
// event may.
const (
	Started          Kind = "started"           // (m) data: input
	PayloadReceived  Kind = "payload_received"  // (m) ref: hook ID, data: payload
	CancelRequested  Kind = "cancel_requested"  // (m)
	Woken            Kind = "woken"             // (m) sleeps end now
	Retried          Kind = "retried"           // (m) a failed run goes on; its steps have all their attempts again
	RetryNow         Kind = "retry_now"         // (m) steps that wait for their next attempt are attempted at once
	Resumed          Kind = "resumed"           // (m) a run that was paused goes on
	Forked           Kind = "forked"            // (m) ref: the run that it was forked from, whose events come before; what was pending there begins again
	ChildCompleted   Kind = "child_completed"   // (m) ref: call, data: result
	ChildFailed      Kind = "child_failed"      // (m) ref: call, data: error
	ChildStarted     Kind = "child_started"     // ref: call, data: run ID
	ChildExists      Kind = "child_exists"      // ref: call, data: run ID; the ID was taken by another run
	AwaitedCompleted Kind = "awaited_completed" // (m) ref: of Subscription.Told, data: result of the run that was awaited
	AwaitedFailed    Kind = "awaited_failed"    // (m) ref: of Subscription.Told, data: error of that run
	AwaitRefused     Kind = "await_refused"     // (m) ref: of Subscription.Told, data: the cycle of runs, if it is for one
	StepStarted      Kind = "step_started"      // ref: step; only in quarantine
	StepRetried      Kind = "step_retried"      // (m) ref: step, data: error and time of the next attempt
	StepCompleted    Kind = "step_completed"    // (m) ref: step, data: result
	StepFailed       Kind = "step_failed"       // (m) ref: step, data: error
	TimerFired       Kind = "timer_fired"       // ref: timer
	HookClaimed      Kind = "hook_claimed"      // ref: hook, data: hook ID
	HookConflict     Kind = "hook_conflict"     // ref: hook, data: owner's run ID
	HookMismatch     Kind = "hook_mismatch"     // ref: hook, data: what the run carries under its token instead
	HookDrained      Kind = "hook_drained"      // ref: hook; all that was accepted before its close has come
	Responded        Kind = "responded"         // ref: response, the request is answered
	RespondConflict  Kind = "respond_conflict"  // ref: response, the request had been answered already
	Restarted        Kind = "restarted"         // ref: the generation that begins
	RunCompleted     Kind = "completed"         // data: result
	RunFailed        Kind = "failed"            // data: error
	RunCanceled      Kind = "canceled"          // data: error
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
	Actor    string  // of the message, as in NewRun
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
	Actor      string    // who sent it, as in NewRun
	Deferred   bool      // it is in the backlog of its hook
}

// Hook is an address that payloads can be sent to.
type Hook struct {
	ID       string
	RunID    string
	Token    string
	Type     string // name of the defined hook, or empty
	Metadata []byte // JSON, or nil
	Webhook  []byte // JSON: how requests are taken and answered, over HTTP or of a call; nil: a plain hook
	// Reserved: made by Accept for a run that it started; the run's first claim of
	// the token adopts it, unless one of the two is a webhook and the other is not.
	Reserved bool
	// Carried: it was open when its run restarted, and the present generation has not opened
	// its token. The first claim of the token adopts it.
	Carried   bool
	CreatedAt time.Time
	ClosedAt  time.Time // zero while it is open
	OpenedPos int64     // position of the event whose turn opened it
	ClosedPos int64     // position of the event whose turn closed it, 0 while open
	// Subject says that it listens to the topic Type, with this subject. Empty: it listens to none.
	Subject string
	// ListensFrom and ListensTo are where it began and ceased to listen, among the publications of
	// its topic and subject: it gets those whose Seq is in between, all of them, once each, in order.
	// ListensTo is 0 while it listens. A hook that is reopened begins again.
	ListensFrom, ListensTo int64
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
	// Request is the ID of an HTTP request or of one of a call, kept with the receipt of its key.
	Request string
	// OrStart is the run to start if no open hook has the token. If it has a Webhook, the payload
	// is a request: unless Hook says which hook it is for, no open one takes it, as each has a
	// say in how it takes requests.
	OrStart *NewRun
	Trace   string // of the Message
	Actor   string // of the Message
}

// Receipt tells what became of a payload.
type Receipt struct {
	Hook      Hook   // for a duplicate: its ID, RunID, Token, Type, Metadata and CreatedAt as they were
	Started   bool   // OrStart started the run
	Duplicate bool   // Key was known, the payload was dropped
	Request   string // for a duplicate: the Request of the first one
}

// Publication is a payload for all open hooks that listen to a topic and a subject.
type Publication struct {
	Topic   string
	Subject string
	Data    []byte
	// Key makes the operation safe to repeat: within KeepFor a publication of the same topic,
	// subject and key is dropped, and what became of the first one returned. One that nobody
	// listened to is not remembered.
	Key     string
	KeepFor time.Duration
	Trace   string // of the Messages
	Actor   string // who publishes, as in NewRun
	// AtOnce is how many listeners one commit serves at most. 0: [PublishAtOnce].
	AtOnce int
}

// Published tells what became of a publication.
type Published struct {
	Seq       int64 // its place, see Hook.ListensFrom; 0 if nobody listens: nothing was written
	Count     int   // of the hooks that listened
	Duplicate bool  // Key was known, the publication was dropped
}

// PublishAtOnce is how many listeners one commit serves unless the caller says otherwise, and
// PublishBytes how many bytes of payloads at most, but at least one listener. A publication to more is
// left to TellListeners.
const (
	PublishAtOnce = 100
	PublishBytes  = 16 << 20
)

// ListenedTopic is a topic and a subject that hooks listen to.
type ListenedTopic struct {
	Topic     string
	Subject   string
	Listeners int
	Behind    bool // some of them have still to get what was published

	PublishedAt time.Time // when something was last published; zero: nothing since somebody listens
}

// ServedAtOnce is how many listeners one commit serves with a payload, if atOnce is what the caller
// has asked for.
func ServedAtOnce(atOnce int, payload []byte) int {
	if atOnce <= 0 {
		atOnce = PublishAtOnce
	}
	return max(1, min(atOnce, PublishBytes/max(1, len(payload))))
}

// TopicFilter selects topics that hooks listen to, in the order of topic and subject. Zero fields ask
// for nothing.
type TopicFilter struct {
	Topic string
	// After continues a list behind its last topic and subject.
	After ListenedTopic
	Limit int // default 100
}

// EffectKind says what an Effect does.
type EffectKind uint8

// The effects of a transition.
const (
	// OpenHook inserts Hook. If its token is taken by an open hook of another ID
	// the outcome is the owner's run; if that hook is Reserved for this run, it is
	// adopted: it keeps its ID, gets Type, Metadata and OpenedPos of Hook, and is
	// the outcome. So is one that is Carried; it keeps CreatedAt, too. Neither is adopted if it
	// has another form, see Outcome.Carried. A hook that is there already with the same
	// ID is a success, and so is a hook that was adopted under it. With Hook.Subject it
	// listens from then on; ErrOldWorker if a worker is live that can close hooks and knows no topics.
	OpenHook EffectKind = iota + 1
	// CloseHook closes the hook Hook.ID; Hook.ClosedPos says where, and Hook.Type and Hook.Subject
	// what it listened to: what was published before comes to the mailbox in the same commit.
	CloseHook
	// StartRun inserts Run, with a Started message. If its ID is taken the outcome
	// says so, unless the run there has the same ParentID and ParentRef: success.
	StartRun
	// Respond answers an HTTP request, or one of a call, with Response. If it has been answered by
	// another responder the outcome is that responder.
	Respond
	// Send puts Message in the mailbox of Message.RunID. A run that does not exist
	// or has ended is not an error: the message is dropped. (The result of a child that
	// comes after its parent failed is kept, for a Retry.) It has no Actor, since a run sends it.
	Send
	// Subscribe lets the run await the end of Subscription.Target. It gets one message: of
	// the kind AwaitedCompleted or AwaitedFailed, in the very commit that ends the target, or at once if
	// that has ended; or AwaitRefused at once, if there is no such run, or if the target awaits
	// this run itself, or a run that does, and so on: then the data is a JSON array of the runs
	// from the target to this one. The message's Ref is what [Subscription.Told] makes. The
	// same subscription again changes nothing while it lasts; a Ref that was used for
	// another target is this one's from now on. ErrOldWorker if a worker is live that can end
	// runs and knows no subscriptions.
	Subscribe
	// Unsubscribe ends the subscription Subscription.Ref of the run; all of them if that is
	// empty. A message that was sent stays.
	Unsubscribe
	// IssueLink inserts Link, which is for a hook of the run. One that is there with the same ID
	// stays as it is.
	IssueLink
	// RevokeLink revokes the link Link.ID, if the run has it and it is not revoked.
	RevokeLink
)

// TellAtOnce is how many subscriptions, and TellBytes how many bytes of results, the commit that ends
// a run serves at most, but at least one subscription. For the others there is TellEnds.
const (
	TellAtOnce = 1000
	TellBytes  = 16 << 20
)

// Subscription is what a run has that awaits the end of another one.
type Subscription struct {
	RunID  string // the run that awaits; in an Effect it is that of the transition
	Ref    string // its call, without a space
	Target string // the run that is awaited
}

// Told is the reference of the message for a subscription: what the call was, and which run of which
// workflow it is about, such as "1 of ship run order-7". The workflow of a run that is not awaited,
// for whatever reason, is empty: "1 run order-7".
func (s *Subscription) Told(workflow string) string {
	if workflow != "" {
		workflow = " of " + workflow
	}
	return s.Ref + workflow + " run " + s.Target
}

// Effect is one thing that a transition does besides writing the journal.
type Effect struct {
	Kind    EffectKind
	Hook    Hook
	Run     NewRun
	Message Message
	// Response is what Respond records.
	Response Response
	// Subscription is what Subscribe begins and Unsubscribe ends.
	Subscription Subscription
	// Link is what IssueLink issues and RevokeLink revokes.
	Link *Link
}

// Response is the answer to a request. That to a call has the status 200 and what the run returned, or
// 422 and a recorded error.
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

	// CreatedAt is that of a hook that OpenHook has adopted.
	CreatedAt time.Time
	// Carried is the hook that the run carries with the token, if it has another form: another
	// type, a webhook instead of a plain hook or the reverse, another sender, or another subject; or the one that
	// is reserved for it, if that is a webhook instead of a plain hook or the reverse. Nothing has
	// changed.
	Carried *Hook
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

	Suspicion     int32
	Mark          bool
	Crashes       int32
	BlockedBuild  string
	BlockedReason string

	// Executing are attempts to be shown, Executed the steps to be shown no more.
	Executing []Attempt
	Executed  []string

	// Unread are, when Status is final, the payloads in the journal that the run
	// never took, in order. Apply adds those still in the mailbox and in backlogs,
	// records them all, and empties the mailbox. Then it closes the run's open hooks. If
	// TookAny, the first unread payload of a token with OrStart starts that run,
	// with a reserved hook; all unread payloads of the token that have OrStart, all of them
	// requests or none, become the backlog of that hook, in order. A backlog is handed over as it is, however
	// long. If the ID of the run is taken, or the token by then, they stay unread.
	Unread  []Message
	TookAny bool

	// Restart, if not nil, ends the generation of the run, and begins the next, when all else of
	// the transition is done. Status is Running, and Create nil.
	Restart *Restart
}

// Restart is the end of a generation and the beginning of the next. It raises the epoch, so nothing
// of the old generation can be written any more. The mailbox begins with a Started message for the
// next one, and an order to cancel if Canceled; an order to wake that was not taken is dropped.
//
// Hooks that are Carried from the generation before, and were not adopted, are closed. Open ones
// are Carried from now on, or stay Reserved: Unread payloads of theirs come back, in front of
// those that still wait, with the times that they have. What Unread has of closed hooks, and what
// waits for them, becomes unread as at the end of a run, with TookAny. Answers by links whose payloads
// are still there are those of the next generation, see Answer.
type Restart struct {
	Start    string // reference of the Started message
	Input    []byte
	Canceled bool
	Actor    string // of the Started message
}

// Generation is a generation of a run that is over.
type Generation struct {
	Number  int
	EndedAt time.Time
	Base    int64 // position of the last event before it
	Last    int64 // position of its last event
}

// Lease is a worker's claim to be alive.
type Lease struct {
	Worker      string
	For         time.Duration // from the store's now
	Build       string
	Definitions []Definition
	LinkKeys    []string // IDs of the keys by which it can verify links, without spaces
}

// Definition names a workflow that a worker has.
type Definition struct {
	Workflow string
	Version  int
}

// HookType is a hook type as those know it who have not its code.
type HookType struct {
	Name    string
	Payload []byte // JSON Schema of payloads
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
	// Patience leaves free runs alone whose mail is younger, unless their WakeAt is due: signals
	// have named them to workers that come first (Signal.Yield). Next counts them. It does not
	// matter with Runs.
	Patience time.Duration
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
	// Paused are the workflows that are paused, in any order. A claim with Claim.Runs need not
	// tell.
	Paused []string
}

// Deposit puts outcomes of attempts into the mailbox of a run: its owner can't write them into its
// journal while the run is paused. It may be repeated: a step that has an outcome in the mailbox
// gets no other one.
type Deposit struct {
	RunID  string
	Worker string
	Epoch  int64
	// Outcomes are messages of kind StepCompleted, StepFailed or StepRetried. Their attempts are
	// shown no more.
	Outcomes []Message
	Release  bool // Worker no longer owns the run
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

// IfFree makes Load return all events of a run that is free and has something to do, and none of
// another one.
const IfFree = -1

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
	// at or after it are deleted. So are links that were issued at or after it, unless they
	// were answered; those that the run has revoked at or after it are not revoked.
	From int64
	// Back are the positions of cut events that go back into the mailbox, in order,
	// with the time that they have.
	Back  []int64
	Actor string // of the Retried message
}

// Fork makes a run that begins with the journal of another one, its origin.
type Fork struct {
	// Run has no input and no parent: the fork has the Started event of its origin, and nobody
	// waits for its end. Its Actor is that of the Forked message.
	Run NewRun `json:"run"`
	// Origin.Position is that of the last event that is copied.
	Origin Origin `json:"origin"`
	// Generation is that of the event, which the fork continues, and Base the position of the last
	// event before it. ErrConflict if there is no such generation, or no more.
	Generation int   `json:"generation"`
	Base       int64 `json:"base"`
	// Epoch and Seq are those of that event as the caller saw it. ErrConflict if it has others, or is
	// not there.
	Epoch int64 `json:"epoch"`
	Seq   int64 `json:"seq"`
	// Hooks are those of the origin that take payloads at the position.
	Hooks []ForkedHook `json:"hooks"`
	Data  []byte       `json:"data,omitempty"` // of the Forked message
}

// ForkedHook is a hook that a fork has from the beginning, as its origin had it: with its ID, type,
// metadata and the rest. ErrConflict if the origin has none with the ID any more.
type ForkedHook struct {
	ID    string `json:"id"`
	Token string `json:"token"` // empty: that of the origin's hook
	// Unopened: it was reserved for the origin, or carried from an earlier generation, and the origin
	// had not opened its token. So the fork has it.
	Unopened bool `json:"unopened,omitempty"`
}

// Filter selects runs by what all its fields ask for. Zero fields ask for nothing.
type Filter struct {
	Status     Status
	Open       bool // has not ended
	Workflow   string
	ParentID   string
	ForkedFrom string    // ID of the run that they were forked from
	Awaits     string    // ID of the run whose end they await
	Paused     bool      // they are paused, or their workflow is, and have not ended
	Since      time.Time // created at or after
	Until      time.Time // created before
	// Prefix is that of the run's ID. Then the list is in the order of IDs, the
	// greatest first.
	Prefix string
	Before RunCursor
	Limit  int // default 100
}

// In returns those of some statuses that runs may have which f selects.
func (f *Filter) In(statuses []Status) (in []Status) {
	for _, s := range statuses {
		if (f.Status == "" || s == f.Status) && (!f.Open || !s.Ended()) {
			in = append(in, s)
		}
	}
	return in
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
	LinkKeys    []string
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
	Untold    []string // runs that have ended, of which TellEnds has still to tell some
	Behind    []string // topics of whose publications TellListeners has still to tell some
	All       bool     // anything may have changed
	Yield     int      // so many workers come first for the runs of Mail: leave them to these for a moment
	Mixed     bool     // the runs of Mail may be for workers with other workflows
}
