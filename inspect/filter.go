package inspect

import (
	"time"

	"github.com/tenter-dev/tenter/workflow"
)

// RunFilter selects runs by what all its fields ask for. Zero fields ask for nothing.
type RunFilter struct {
	Status   workflow.Status `json:"status,omitempty"`
	Workflow string          `json:"workflow,omitempty"`
	ParentID string          `json:"parent_id,omitempty"`
	Prefix   string          `json:"prefix,omitempty"` // of the run's ID
	Since    time.Time       `json:"since,omitzero"`   // created at or after
	Until    time.Time       `json:"until,omitzero"`   // created before

	// Before continues a list: the ID of the last run of the page before.
	Before string `json:"before,omitempty"`
	Limit  int    `json:"limit,omitempty"` // 1 to 1000; 0 is 100
}

// HookFilter selects open hooks by what all its fields ask for. Zero fields ask for
// nothing.
type HookFilter struct {
	RunID  string `json:"run_id,omitempty"`
	Type   string `json:"type,omitempty"`   // name of the defined hook type
	Prefix string `json:"prefix,omitempty"` // of the token

	// After continues a list: the token of the last hook of the page before.
	After string `json:"after,omitempty"`
	Limit int    `json:"limit,omitempty"` // 1 to 1000; 0 is 100
}

// Counts are numbers of runs by status. Counting stops at [MaxCount]: a number that
// large means that many or more.
type Counts map[workflow.Status]int

// MaxCount is where counting stops, so that it costs the same however many runs there
// are.
const MaxCount = 10_000
