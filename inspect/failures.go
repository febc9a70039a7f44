package inspect

import "time"

// MaxFailures is how many failed runs [Client.Failures] looks at.
const MaxFailures = 1000

// FailureFilter selects failed runs by what all its fields ask for. Zero fields ask for nothing.
type FailureFilter struct {
	Workflow string
	Since    time.Time // they were created then or later
	Until    time.Time // they were created before
}

// Validate says what is wrong with f.
func (f FailureFilter) Validate() error {
	return checkText("workflow", f.Workflow)
}

// Failures are failed runs by their causes.
type Failures struct {
	Groups []FailureGroup `json:"groups"`         // the largest first
	Runs   int            `json:"runs"`           // how many failed runs were looked at: the last created
	More   bool           `json:"more,omitempty"` // there are others, which were created earlier
}

// FailureGroup are failed runs of a workflow whose errors are alike: they are of the same step, and their
// first lines differ in numbers and IDs at most.
type FailureGroup struct {
	Workflow string    `json:"workflow"`
	Step     string    `json:"step,omitempty"` // its name; empty: the error is not of a step
	Error    string    `json:"error"`          // the first line, with … where the errors may differ
	First    time.Time `json:"first"`          // when the first of them failed
	Last     time.Time `json:"last"`           // when the last of them failed
	RunIDs   []string  `json:"run_ids"`        // of all of them, those first that were created last
}
