package inspect

import (
	"time"

	"github.com/tenter-dev/tenter/workflow"
)

// PausedWorkflow is a workflow all of whose runs are paused.
type PausedWorkflow struct {
	Workflow string         `json:"workflow"`
	At       time.Time      `json:"at"`
	By       workflow.Actor `json:"by,omitzero"`
	Why      string         `json:"why,omitempty"`
}

// PauseText says in a few words that a run is paused, by whom and why, such as "paused by ada (cli):
// the bank is closed". Empty: it is not.
func PauseText(p *workflow.Pause) string {
	if p == nil {
		return ""
	}
	text := "paused"
	if p.Workflow {
		text += " with its workflow"
	}
	if by := p.By.String(); by != "" {
		text += " by " + by
	}
	if p.Why != "" {
		text += ": " + p.Why
	}
	return text
}

// maskPause masks generated tokens in what somebody has written about a pause.
func maskPause(p *workflow.Pause) *workflow.Pause {
	if p == nil {
		return nil
	}
	masked := *p
	masked.By, masked.Why = maskActor(p.By), MaskTokens(p.Why)
	return &masked
}

// maskActor masks generated tokens in what somebody is called.
func maskActor(a workflow.Actor) workflow.Actor {
	return workflow.Actor{Name: MaskTokens(a.Name), Via: MaskTokens(a.Via), Link: a.Link}
}
