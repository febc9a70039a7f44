package workflow_test

import (
	"testing"

	"github.com/tenter-dev/tenter/internal/journal"
	"github.com/tenter-dev/tenter/workflow"
)

// TestReasonCodes compares the codes that users see with those that the reasons of stored
// runs have.
func TestReasonCodes(t *testing.T) {
	t.Parallel()
	divergence := journal.Divergence{Recorded: "step charge#1", Attempted: "sleep 1"}
	for reason, want := range map[string]workflow.ReasonCode{
		journal.ReasonNoWorker():             workflow.ReasonNoWorker,
		journal.ReasonNoWorkflow("orders"):   workflow.ReasonNoWorkflow,
		journal.ReasonNoVersion(2, "orders"): workflow.ReasonNoVersion,
		journal.ReasonNoDefinition("orders"): workflow.ReasonNoDefinition,
		divergence.Reason():                  workflow.ReasonNonDeterministic,
		journal.ReasonKilledWorkers(5):       workflow.ReasonKilledWorkers,
		journal.ReasonNoPublicURL():          workflow.ReasonNoPublicURL,
		journal.ReasonNoSender("github"):     workflow.ReasonNoSender,
		journal.ReasonNoAnswerKeys():         workflow.ReasonNoAnswerKeys,
		journal.ReasonNoHookType("approval"): workflow.ReasonNoHookType,
		"it is of tomorrow":                  workflow.ReasonUnknown,
	} {
		if got := workflow.ReasonCode(journal.ReasonCode(reason)); got != want {
			t.Errorf("the code of %q is %s, want %s", reason, got, want)
		}
	}
}
