package inspect

import (
	"encoding/json"

	"github.com/tenter-dev/tenter/internal/journal"
)

// Failure returns the text of an error in recorded form.
func Failure(data json.RawMessage) string { return journal.DecodeFailure(data).Text }

// Stacks returns the stacks of the panics that an error in recorded form comes from,
// outermost first.
func Stacks(data json.RawMessage) []string {
	f := journal.DecodeFailure(data)
	return f.Stacks()
}
