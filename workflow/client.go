package workflow

import (
	"context"
	"encoding/json"
	"time"
)

// Client is the door to runs from outside. *engine.Engine is one. Most code uses it
// through typed handles: [Workflow.Start], [Run], [HookType.Resume], or [Resume].
//
// Implementations and fakes embed [UnimplementedClient]: later versions may add methods. Package
// workflowtest has a fake that records what is started and resumed.
//
// A workflow can't use a Client: its calls are side effects, and fail when they are
// given a workflow's [Context]. Steps can, see [ClientFrom].
type Client interface {
	// StartRun starts a run and returns its ID once it is durable. Its errors are those
	// of [Workflow.Start].
	StartRun(ctx context.Context, req StartRequest) (runID string, err error)

	// ResumeHook sends a payload to a hook, and returns once it is durable. Its errors
	// are those of [Resume] and [HookType.Resume].
	ResumeHook(ctx context.Context, req ResumeRequest) (HookInfo, error)

	// Publish sends a payload to all hooks that listen to a topic and a subject, and returns
	// once it is durable. Its errors are those of [Topic.Publish].
	Publish(ctx context.Context, req PublishRequest) (Publication, error)

	// HookByToken looks at a hook without resuming it. It fails with
	// [ErrHookNotFound].
	HookByToken(ctx context.Context, token string) (HookInfo, error)

	// CallHook sends a request of a call to a hook, and waits for the run's answer. Its errors are
	// those of [CallType.Call]; a refusal is an answer.
	CallHook(ctx context.Context, req CallRequest) (CallAnswer, error)

	// AwaitAnswer waits for the answer to a request that was sent before. Its errors are those of
	// [CallType.Answer].
	AwaitAnswer(ctx context.Context, req AnswerRequest) (CallAnswer, error)

	// RunInfo describes a run. It fails with [ErrRunNotFound].
	RunInfo(ctx context.Context, runID string) (RunInfo, error)

	// AwaitRun blocks until the run has ended. It fails with [ErrRunNotFound].
	AwaitRun(ctx context.Context, runID string) (RunResult, error)

	// CancelRun asks the run to cancel. It fails with [ErrRunNotFound] or [ErrRunEnded].
	CancelRun(ctx context.Context, runID string) error

	// TerminateRun ends the run without asking its code. It fails with [ErrRunNotFound]
	// or [ErrRunEnded], or with [ErrPayloadTooLarge] if the reason is longer than
	// [MaxErrorText].
	TerminateRun(ctx context.Context, runID, reason string) error

	// WakeRun ends the run's sleeps now. It fails with [ErrRunNotFound] or [ErrRunEnded].
	WakeRun(ctx context.Context, runID string) error

	// RetryRun continues a failed run from its journal, tries a blocked one again, or makes the next
	// attempt of waiting steps now, see [Run.Retry].
	// It fails with [ErrRunNotFound], *[RetryRefusedError] or *[HookConflictError].
	RetryRun(ctx context.Context, runID string) error

	// ForkRun makes a new run of the beginning of another's journal, or says what that would do.
	// It fails with [ErrRunNotFound], *[ForkRefusedError], *[HookConflictError], *[RunExistsError] or
	// [ErrInvalidName].
	ForkRun(ctx context.Context, req ForkRequest) (ForkPlan, error)

	// PauseRun pauses the run until ResumeRun, see [Run.Pause]. It fails with [ErrRunNotFound] or
	// [ErrRunEnded], with [ErrPayloadTooLarge] if a text of the request is too long, or with
	// [ErrOldWorker].
	PauseRun(ctx context.Context, runID string, req PauseRequest) error

	// ResumeRun lets a paused run go on. It fails with [ErrRunNotFound] or [ErrRunEnded].
	ResumeRun(ctx context.Context, runID string) error

	// PauseWorkflow pauses all runs of the workflow, those that start later too, until
	// ResumeWorkflow, see [Workflow.Pause]. It fails with [ErrInvalidName], [ErrPayloadTooLarge] or
	// [ErrOldWorker].
	PauseWorkflow(ctx context.Context, workflow string, req PauseRequest) error

	// ResumeWorkflow lets the runs of the workflow go on. It fails with [ErrInvalidName].
	ResumeWorkflow(ctx context.Context, workflow string) error
}

// StartRequest asks for a run.
type StartRequest struct {
	Workflow string          `json:"workflow"`
	Version  int             `json:"version,omitempty"` // 0: the highest that the worker which begins it has
	RunID    string          `json:"run_id,omitempty"`  // empty: a new one
	Input    json.RawMessage `json:"input,omitempty"`
}

// Status is what a run is doing.
type Status string

// The statuses of a run. The last three are final.
const (
	StatusRunning   Status = "running"   // has work
	StatusWaiting   Status = "waiting"   // parked on hooks, timers or children
	StatusBlocked   Status = "blocked"   // this code can't continue it; goes on after a deploy or retry
	StatusCompleted Status = "completed" // returned a result
	StatusFailed    Status = "failed"    // returned an error, or panicked
	StatusCanceled  Status = "canceled"  // was canceled or terminated
)

// Ended reports whether s is final.
func (s Status) Ended() bool {
	return s == StatusCompleted || s == StatusFailed || s == StatusCanceled
}

// ReasonCode says in a word why a run is blocked. Codes are stable; there may be more of them.
type ReasonCode string

// Why runs are blocked.
const (
	ReasonNoWorker         ReasonCode = "no_worker"         // no worker is live
	ReasonNoWorkflow       ReasonCode = "no_workflow"       // no live worker has the workflow
	ReasonNoVersion        ReasonCode = "no_version"        // no live worker has the version on which it began
	ReasonNoDefinition     ReasonCode = "no_definition"     // the worker that has claimed it lacks the workflow
	ReasonNonDeterministic ReasonCode = "non_deterministic" // the code asks for other things than the journal has
	ReasonKilledWorkers    ReasonCode = "killed_workers"    // its code has killed worker after worker
	ReasonNoPublicURL      ReasonCode = "no_public_url"     // it opens a webhook, and the engine has no Options.PublicURL
	ReasonNoSender         ReasonCode = "no_sender"         // it opens a webhook from a sender that the engine does not know
	ReasonNoAnswerKeys     ReasonCode = "no_answer_keys"    // it makes a link, and the engine has no AnswerKeys
	ReasonNoHookType       ReasonCode = "no_hook_type"      // it makes a link to a hook of a type that the engine does not have
	ReasonTopicType        ReasonCode = "topic_type"        // it listens to a topic that the engine has with another type
	ReasonRestartMisused   ReasonCode = "restart_misused"   // its code has called Restart and returned something else, or restarts as another workflow
	ReasonInputUnfit       ReasonCode = "input_unfit"       // the newest version can't decode the input with which it restarts
	ReasonUnknown          ReasonCode = "unknown"           // Reason has the sentence of another version
)

// RunInfo describes a run.
type RunInfo struct {
	ID         string      `json:"id"`
	Workflow   string      `json:"workflow"`
	Version    int         `json:"version"` // 0 until a worker has begun it
	Status     Status      `json:"status"`
	Reason     string      `json:"reason,omitempty"`      // why it is blocked, for people
	ReasonCode ReasonCode  `json:"reason_code,omitempty"` // the same for programs
	ParentID   string      `json:"parent_id,omitempty"`   // the run whose child it is
	ForkedFrom *ForkedFrom `json:"forked_from,omitempty"` // where it was forked from; nil if it was not
	CreatedAt  time.Time   `json:"created_at"`
	UpdatedAt  time.Time   `json:"updated_at"`            // of the last progress
	EndedAt    time.Time   `json:"ended_at,omitzero"`     // zero until it has ended
	WakeAt     time.Time   `json:"wake_at,omitzero"`      // its next timer or retry, if it waits for one
	Events     int64       `json:"events"`                // length of its journal, in all generations
	Generation int         `json:"generation,omitempty"`  // how often it has restarted
	Base       int64       `json:"base,omitempty"`        // position of the last event before the present generation
	Worker     string      `json:"worker,omitempty"`      // the one that executes it now; empty while it waits
	Paused     *Pause      `json:"paused,omitempty"`      // nil: it is not paused
	Error      string      `json:"error,omitempty"`       // in lists only: of a failed run, the first line of its error
	FailedStep string      `json:"failed_step,omitempty"` // in lists only: of a failed run, its step that the error is of
	Cursor     string      `json:"cursor,omitempty"`      // in lists only: where they go on after it, see inspect.RunFilter
}

// RunResult is how a run ended. Its bytes may be shared: they are not to be changed.
type RunResult struct {
	RunID    string          `json:"run_id"`
	Workflow string          `json:"workflow"`
	Status   Status          `json:"status"`
	Output   json.RawMessage `json:"output,omitempty"` // if it completed
	Error    json.RawMessage `json:"error,omitempty"`  // otherwise; in recorded form
}
