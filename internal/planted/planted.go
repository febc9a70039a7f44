// Package planted has bugs for the simulation to find: a checker that finds nothing
// when there is something is worth nothing.
//
// Engine and SQLite store ask at some places whether a bug is planted there, and do
// the wrong thing then. Without the build tag plantedbugs the answer is constant, and
// the compiler leaves nothing of it; with the tag the simulation plants one bug after
// the other and has to notice each (make planted). docs/reliability.md has the table.
package planted

// Bug is a defect, described by what is wrong.
type Bug string

// The bugs. Where each is planted is found by its name.
const (
	StepBeforeCommit   Bug = "a step begins before the transition that decided it is durable"
	LeaseUnchecked     Bug = "nobody looks whether the lease has some time left"
	FenceSkipped       Bug = "the store writes transitions of a past epoch"
	DoubtNotFenced     Bug = "a doubtful transition is looked for, and not fenced off"
	AnsweredTooEarly   Bug = "Resume returns before the payload is durable"
	ClaimWithoutEpoch  Bug = "a transition that claims its run begins no epoch"
	TwiceAfterDoubt    Bug = "a payload is sent again though the doubtful transition had taken it in"
	DroppedAtTakeOver  Bug = "payloads in the mailbox are dropped when a run is taken over"
	SwappedMailbox     Bug = "the last two messages of a mailbox are taken in the wrong order"
	LoserConsumes      Bug = "a select takes the payloads of the cases that lost, too"
	CloseLosesPayloads Bug = "Close throws away what was accepted before"
	DrainUnread        Bug = "a drain ends without a look at the mailbox"
	TokenReleasedEarly Bug = "a run that is asked to cancel gives its tokens up at once"
	TokenFromReplay    Bug = "a generated token is another one after a replay"
	WrongOwner         Bug = "a conflict names the run that wanted the token, not the one that has it"
	KeyForgotten       Bug = "an idempotency key is forgotten with its hook"
	SuccessorForgotten Bug = "payloads that came with OrStart start no successor"
	ParkedKept         Bug = "what a parked run remembers is kept, whoever has gone on with the run meanwhile"
	TimerTooEarly      Bug = "a timer fires before messages that were accepted before it was due"
	WallClockDeadline  Bug = "a deadline is counted from the wall clock"
	AttemptsForgotten  Bug = "a replay forgets that a step has failed before"
	FatalRetried       Bug = "a step that failed for good is retried"
	RetryTooEarly      Bug = "a step is retried after half of the time that it asked for"
	CancelSwallowed    Bug = "an order to cancel is dropped while a step executes"
	ChildResultLost    Bug = "the result of a child that was taken over does not reach its parent"
	AnsweredTwice      Bug = "a second answer to a request is said to count"
	StrandedRuns       Bug = "nobody looks for the runs of a dead worker when its lease lapses"
	BacklogJournaled   Bug = "payloads are taken into the journal though nobody asks for them"
	BacklogForgotten   Bug = "the end of a run does not say which payloads its code need not have seen"
	TxStepTwice        Bug = "a transactional step looks neither whether it was done before nor whose the run is"
)

// All are all bugs.
var All = []Bug{
	StepBeforeCommit, LeaseUnchecked, FenceSkipped, DoubtNotFenced, ClaimWithoutEpoch, AnsweredTooEarly, TwiceAfterDoubt, DroppedAtTakeOver,
	SwappedMailbox, LoserConsumes, CloseLosesPayloads, DrainUnread, TokenReleasedEarly, TokenFromReplay, WrongOwner,
	KeyForgotten, SuccessorForgotten, ParkedKept, TimerTooEarly, WallClockDeadline, AttemptsForgotten,
	FatalRetried, RetryTooEarly, CancelSwallowed, ChildResultLost, AnsweredTwice, StrandedRuns, BacklogJournaled, BacklogForgotten, TxStepTwice,
}
