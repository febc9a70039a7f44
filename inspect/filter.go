package inspect

import (
	"cmp"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/tenter-dev/tenter/workflow"
)

// ErrInvalidCursor is the error of a cursor that no list has given, or that comes from a
// list in another order.
var ErrInvalidCursor = workflow.DefineError("invalid cursor")

// MaxLimit is the most that a page of a list can have.
const MaxLimit = 1000

// RunFilter selects runs by what all its fields ask for. Zero fields ask for nothing.
type RunFilter struct {
	// Status is that of the run as it is recorded: one that no live worker has the
	// workflow for is listed as running or waiting, though it shows as blocked.
	Status   workflow.Status `json:"status,omitempty"`
	Workflow string          `json:"workflow,omitempty"`
	ParentID string          `json:"parent_id,omitempty"`
	// ForkedFrom is the ID of the run that they were forked from.
	ForkedFrom string `json:"forked_from,omitempty"`
	// Awaits is the ID of the run whose end they await, with workflow.Await.
	Awaits string `json:"awaits,omitempty"`

	Paused bool      `json:"paused,omitempty"` // they are paused, or their workflow is
	Since  time.Time `json:"since,omitzero"`   // created at or after
	Until  time.Time `json:"until,omitzero"`   // created before

	// Prefix is that of the run's ID. Then the list is in the order of IDs, the
	// greatest first.
	Prefix string `json:"prefix,omitempty"`

	// Before continues a list: the Cursor of the last run of the page before, which need
	// not be there any more. Others are [ErrInvalidCursor].
	Before string `json:"before,omitempty"`
	Limit  int    `json:"limit,omitempty"` // 1 to MaxLimit; 0 is 100
}

// Validate says what is wrong with a filter.
func (f RunFilter) Validate() error {
	switch f.Status {
	case "", workflow.StatusRunning, workflow.StatusWaiting, workflow.StatusBlocked, workflow.StatusCompleted, workflow.StatusFailed, workflow.StatusCanceled:
	default:
		return fmt.Errorf("status: there is no status %q", f.Status)
	}
	return cmp.Or(checkText("workflow", f.Workflow), checkText("parent_id", f.ParentID), checkText("forked_from", f.ForkedFrom), checkText("awaits", f.Awaits),
		checkText("prefix", f.Prefix), checkText("before", f.Before), checkLimit(f.Limit))
}

// HookFilter selects open hooks by what all its fields ask for. Zero fields ask for
// nothing.
type HookFilter struct {
	RunID string `json:"run_id,omitempty"`
	Type  string `json:"type,omitempty"` // name of the defined hook type

	// Prefix is that of the token. Then the list is in the order of tokens.
	Prefix string `json:"prefix,omitempty"`

	// After continues a list: the Cursor of the last hook of the page before, which need
	// not be there any more. Others are [ErrInvalidCursor].
	After string `json:"after,omitempty"`
	Limit int    `json:"limit,omitempty"` // 1 to MaxLimit; 0 is 100
}

// Validate says what is wrong with a filter.
func (f HookFilter) Validate() error {
	return cmp.Or(checkText("run_id", f.RunID), checkText("type", f.Type), checkText("prefix", f.Prefix),
		checkText("after", f.After), checkLimit(f.Limit))
}

// checkText refuses what no store can have.
func checkText(name, text string) error {
	if !utf8.ValidString(text) || strings.ContainsRune(text, 0) {
		return fmt.Errorf("%s: %q is not a text", name, text)
	}
	return nil
}

func checkLimit(limit int) error {
	if limit < 0 || limit > MaxLimit {
		return fmt.Errorf("limit: %d is not between 1 and %d", limit, MaxLimit)
	}
	return nil
}
