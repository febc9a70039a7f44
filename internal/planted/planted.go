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
	PatchDecidedAgain  Bug = "a patch that a run had passed is decided again at the next call"
	CarriedPayloadLost Bug = "the last payload that a run had not taken is lost when it restarts"
	TokenFreedBetween  Bug = "the tokens of a run are free from its restart until it opens them again"
	RestartEndsRun     Bug = "whoever waits for the end of a run learns of one when it restarts"
	GenerationUnnamed  Bug = "the steps of a generation have the names of those of the generation before"
	ForkDerivesAlike   Bug = "a fork goes on with the IDs and random numbers that its origin goes on with"
	ForkSharesChildren Bug = "a fork starts the children that were under way under the IDs that they have"
	ForkOfThePresent   Bug = "a fork of a generation that is over has the number of the present one"
	EndUntold          Bug = "runs that await another one are not told when that ends without a worker"
	CycleUnseen        Bug = "runs may await each other"
	PauseUnchecked     Bug = "the store writes transitions of runs that are paused"
	PausedOutcomeLost  Bug = "the outcome of an attempt that was under way when its run was paused is thrown away"
	ResumeForgotten    Bug = "a run that is resumed is due only when the next message comes"
	AttemptsRenewed    Bug = "an order to try again at once gives a step all its attempts again"
	NewsUnseen         Bug = "a worker that gets a run back does not see what others have added to its journal"
	HeldByRun          Bug = "the end of a run ends the wait for the answer to a request that the next run may give"
	RepeatByPresent    Bug = "a repeated request is answered as the webhook answers that has the token now"
	SuccessorForPlain  Bug = "a run that goes on with requests has a plain hook reserved for them"
	LinkUnchecked      Bug = "an answer is taken by a link that has expired or was revoked"
	AnswerUnmarked     Bug = "a link does not remember that it was answered"
	ActorForgotten     Bug = "who sent a payload is forgotten while it waits in a backlog"
	CallAnsweredEarly  Bug = "a caller gets the answer of a run before it is durable"
	CallKeyForgotten   Bug = "a call that is repeated with its key is a request of its own"
	FirstBatchIsAll    Bug = "a publication to many listeners ends with the first batch of them"
	LeftUnheard        Bug = "a hook that closes does not get what was published before, and has not come yet"
	ListensFromStart   Bug = "a hook that begins to listen gets what others have still to get"
	DeafBetween        Bug = "hooks listen to nothing from the restart of their run until it opens them again"
	PublishedAgain     Bug = "a publication that is repeated with its key is another one"
	PublicationLeft    Bug = "a worker goes on only with publications that have begun in its time"
	TxStepTwice        Bug = "a transactional step looks neither whether it was done before nor whose the run is"
)

// All are all bugs.
var All = []Bug{
	StepBeforeCommit, LeaseUnchecked, FenceSkipped, DoubtNotFenced, ClaimWithoutEpoch, AnsweredTooEarly, TwiceAfterDoubt, DroppedAtTakeOver,
	SwappedMailbox, LoserConsumes, CloseLosesPayloads, DrainUnread, TokenReleasedEarly, TokenFromReplay, WrongOwner,
	KeyForgotten, SuccessorForgotten, ParkedKept, TimerTooEarly, WallClockDeadline, AttemptsForgotten,
	FatalRetried, RetryTooEarly, AttemptsRenewed, CancelSwallowed, ChildResultLost, AnsweredTwice, StrandedRuns, BacklogJournaled, BacklogForgotten,
	PatchDecidedAgain, TxStepTwice, CarriedPayloadLost, TokenFreedBetween, RestartEndsRun, GenerationUnnamed,
	ForkDerivesAlike, ForkSharesChildren, ForkOfThePresent,
	EndUntold, CycleUnseen,
	PauseUnchecked, PausedOutcomeLost, ResumeForgotten, NewsUnseen,
	HeldByRun, RepeatByPresent, SuccessorForPlain,
	LinkUnchecked, AnswerUnmarked,
	ActorForgotten,
	CallAnsweredEarly, CallKeyForgotten,
	FirstBatchIsAll, LeftUnheard, ListensFromStart, DeafBetween, PublishedAgain, PublicationLeft,
}
