package journal

import (
	"encoding/json"
	"slices"
	"strings"
	"time"
)

// Failure is an error in its recorded form: what of it survives the journal.
type Failure struct {
	Text string `json:"error"`
	// Is are the names of the defined errors that errors.Is finds in it.
	Is []string `json:"is,omitempty"`
	// As are the typed errors that errors.As finds in it, outermost first.
	As []Typed `json:"as,omitempty"`
	// Step failures: the number of attempts made.
	Attempts int `json:"attempts,omitempty"`
}

// Typed is a recorded typed error.
type Typed struct {
	Type     string   `json:"type"`
	Step     string   `json:"step,omitempty"`
	Attempts int      `json:"attempts,omitempty"`
	RunID    string   `json:"run_id,omitempty"`
	Workflow string   `json:"workflow,omitempty"`
	Token    string   `json:"token,omitempty"`
	HookID   string   `json:"hook_id,omitempty"`
	Relation Relation `json:"relation,omitempty"`
	At       string   `json:"at,omitempty"` // file and line
	Stack    string   `json:"stack,omitempty"`
	Want     string   `json:"want,omitempty"`
	Got      string   `json:"got,omitempty"`
	Reason   string   `json:"reason,omitempty"`
	Request  string   `json:"request,omitempty"` // ID of that of a call
	Cause    *Failure `json:"cause,omitempty"`
}

// Names of errors that are defined for everybody.
const (
	IsCanceled         = "context.Canceled"
	IsDeadlineExceeded = "context.DeadlineExceeded"
	IsRunCanceled      = "run canceled"
	IsRunTerminated    = "run terminated"
	IsRestarting       = "run restarts" // of a workflow that has called Restart
)

// Types of typed errors.
const (
	AsStep     = "step"
	AsPanic    = "panic"
	AsRun      = "run"
	AsConflict = "hook_conflict"
	AsExists   = "run_exists"
	AsPayload  = "payload"
	AsInput    = "input"
	AsHookType = "hook_type"
	AsRefused  = "retry_refused"

	AsForkRefused = "fork_refused"
	AsCallRefused = "call_refused"
	AsUnanswered  = "unanswered"
)

// Relation is what a run is to the one that is in conflict with it.
type Relation string

// Relations. The others are unrelated.
const (
	Itself Relation = "itself"
	Parent Relation = "parent"
	Kid    Relation = "child"
)

// Names reports whether errors.Is finds a defined error in it.
func (f *Failure) Names(name string) bool { return f != nil && slices.Contains(f.Is, name) }

// Encode makes the data of an event that has a failure.
func (f *Failure) Encode() []byte {
	data, err := json.Marshal(f)
	if err != nil {
		panic("journal: encode a failure: " + err.Error()) // it has strings and numbers only
	}
	return data
}

// DecodeFailure is the inverse of [Failure.Encode]. Data that is not a failure becomes
// its text.
func DecodeFailure(data []byte) Failure {
	var f Failure
	if err := json.Unmarshal(data, &f); err != nil {
		f = Failure{Text: strings.ToValidUTF8(string(data), "�")}
	}
	return f
}

// Stacks returns the stacks of the panics that the error comes from, outermost first.
func (f *Failure) Stacks() []string {
	var all []string
	for _, as := range f.As {
		if as.Stack != "" {
			all = append(all, as.Stack)
		}
		if as.Cause != nil {
			all = append(all, as.Cause.Stacks()...)
		}
	}
	return all
}

// Retry is a failure of a step that is attempted again.
type Retry struct {
	Failure
	RetryAt time.Time `json:"retry_at"`
	// MaxAttempts is what the code had when it failed; 0: any number. It is only shown.
	MaxAttempts int `json:"max_attempts,omitempty"`
}

// Encode makes the data of an event that has a retry.
func (r *Retry) Encode() []byte {
	data, err := json.Marshal(r)
	if err != nil {
		panic("journal: encode a retry: " + err.Error()) // it has strings, numbers and a time only
	}
	return data
}

// DecodeRetry is the inverse of [Retry.Encode]. It fails if data is not a retry; then the
// text of the retry is the data.
func DecodeRetry(data []byte) (Retry, error) {
	var r Retry
	err := json.Unmarshal(data, &r)
	if err != nil {
		r = Retry{Failure: Failure{Text: strings.ToValidUTF8(string(data), "�")}}
	}
	return r, err
}
