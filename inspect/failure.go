package inspect

import (
	"encoding/json"
	"strings"
	"time"
)

// failure is an error in its recorded form: what is shown of it.
type failure struct {
	Error    string    `json:"error"`
	Attempts int       `json:"attempts"`
	RetryAt  time.Time `json:"retry_at"`
	Max      int       `json:"max_attempts"` // with RetryAt
	As       []struct {
		Stack string   `json:"stack"`
		Cause *failure `json:"cause"`
	} `json:"as"`
}

// Failure returns the text of an error in recorded form.
func Failure(data json.RawMessage) string { return decodeFailure(data).Error }

// Stacks returns the stacks of the panics that an error in recorded form comes from,
// outermost first.
func Stacks(data json.RawMessage) []string {
	f := decodeFailure(data)
	return f.stacks()
}

func (f *failure) stacks() []string {
	var all []string
	for _, as := range f.As {
		if as.Stack != "" {
			all = append(all, as.Stack)
		}
		if as.Cause != nil {
			all = append(all, as.Cause.stacks()...)
		}
	}
	return all
}

func decodeFailure(data json.RawMessage) failure {
	var f failure
	if err := json.Unmarshal(data, &f); err != nil {
		return failure{Error: strings.ToValidUTF8(string(data), "�")}
	}
	return f
}
