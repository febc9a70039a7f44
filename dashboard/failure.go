package dashboard

import (
	"encoding/json"
	"strings"
)

// failure is an error in its recorded form, as it is shown.
type failure struct {
	Text string   `json:"error"`
	Is   []string `json:"is"`
	As   []typed  `json:"as"`
}

type typed struct {
	Type     string   `json:"type"`
	Step     string   `json:"step"`
	Attempts int      `json:"attempts"`
	RunID    string   `json:"run_id"`
	Workflow string   `json:"workflow"`
	Token    string   `json:"token"`
	Stack    string   `json:"stack"`
	Cause    *failure `json:"cause"`
}

func parseFailure(data json.RawMessage) *failure {
	if len(data) == 0 {
		return nil
	}
	f := new(failure)
	if err := json.Unmarshal(data, f); err != nil || f.Text == "" {
		f.Text = strings.ToValidUTF8(string(data), "�")
	}
	return f
}

// Stack is that of the panic among what the error wraps, or empty.
func (f *failure) Stack() string {
	for _, t := range f.As {
		if t.Stack != "" {
			return t.Stack
		}
		if t.Cause != nil {
			if s := t.Cause.Stack(); s != "" {
				return s
			}
		}
	}
	return ""
}
