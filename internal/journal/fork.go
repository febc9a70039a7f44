package journal

import (
	"encoding/json"
	"strings"
)

// Forked is the data of the event at which a run begins that was forked from another one. The events
// before it are those of the other one.
type Forked struct {
	RunID    string `json:"run_id"`         // the other one
	Position int64  `json:"position"`       // of the last event from there
	Step     string `json:"step,omitempty"` // the step that was chosen to be executed again, or empty
	Fork     string `json:"fork"`           // the run that begins
}

// Encode is the form in the journal.
func (f Forked) Encode() []byte {
	data, _ := json.Marshal(f) // strings and a number never fail
	return data
}

// DecodeForked is the inverse of Encode.
func DecodeForked(data []byte) (f Forked) {
	_ = json.Unmarshal(data, &f)
	return f
}

// HookRef is what the ID of a hook has after the ID of its run: its number, unlike that of any other
// hook of the run, also if the run has it from its origin.
func HookRef(id string) string { return id[strings.LastIndex(id, hookSuffix)+1:] }

// ForkedChildID is the run ID of a child that was under way when its parent was forked: the fork starts
// one of its own, unless the author has chosen the ID that the child has.
func ForkedChildID(fork, ref, id string) string {
	if !strings.HasSuffix(id, ChildRunID("", ref)) {
		return id
	}
	return ChildRunID(fork, ref)
}
