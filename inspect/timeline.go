package inspect

import (
	"encoding/json"
	"time"
)

// Item is a thing that a run has asked for, from then until it was over: a bar of its
// timeline.
type Item struct {
	Kind     ItemKind  `json:"kind"`
	Name     string    `json:"name"`         // a step or child such as "charge#1", the token of a hook, "sleep 3"
	Position int64     `json:"position"`     // of the event whose turn asked for it
	Begin    time.Time `json:"begin"`        // when it was asked for
	End      time.Time `json:"end,omitzero"` // zero while it is open
	State    State     `json:"state"`
	Until    time.Time `json:"until,omitzero"` // when a timer fires, or a step is tried again

	HookID string `json:"hook_id,omitempty"` // of a hook
	RunID  string `json:"run_id,omitempty"`  // of a child; of the run that has the token, on a conflict

	Attempts []Try     `json:"attempts,omitempty"` // of a step: those that have failed, and the one that is executing
	Payloads []Payload `json:"payloads,omitempty"` // of a hook: what it has got, in order

	Result json.RawMessage `json:"result,omitempty"`
	Error  string          `json:"error,omitempty"`
}

// ItemKind says what an item is.
type ItemKind string

// The kinds of items.
const (
	KindStep     ItemKind = "step"
	KindHook     ItemKind = "hook"
	KindTimer    ItemKind = "timer"
	KindChild    ItemKind = "child"
	KindResponse ItemKind = "response" // an answer to an HTTP request
	KindOrder    ItemKind = "order"    // from outside: cancel, wake, retry; it has no duration
)

// State says how far an item is.
type State string

// The states of items.
const (
	StateOpen    State = "open"    // not over: a step executes or waits for its turn, a hook takes payloads, a timer runs
	StateBackoff State = "backoff" // a step waits for its next attempt
	StateDone    State = "done"    // a step or child has completed, a hook was closed, a timer fired, a request was answered
	StateFailed  State = "failed"  // a step or child has failed, a token was taken
	StateLeft    State = "left"    // the run ended before it did
)

// Try is one attempt of a step.
type Try struct {
	Number int       `json:"number"`           // from 1
	Begin  time.Time `json:"begin,omitzero"`   // zero if nobody has seen when
	End    time.Time `json:"end,omitzero"`     // zero while it executes
	Error  string    `json:"error,omitempty"`  // why it failed
	Worker string    `json:"worker,omitempty"` // while it executes
}

// Payload is what a hook has got.
type Payload struct {
	Position int64           `json:"position"` // in the journal; 0: still in the mailbox
	At       time.Time       `json:"at"`
	Data     json.RawMessage `json:"data,omitempty"`
	Request  *Request        `json:"request,omitempty"` // instead of Data
}
