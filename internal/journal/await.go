package journal

import (
	"encoding/json"
	"strings"
)

// Awaited is the number of the await that an event is about, by its reference: the first word of
// what store.Subscription.Told makes.
func Awaited(ref string) string {
	number, _, _ := strings.Cut(ref, " ")
	return number
}

// AwaitedWorkflow is the workflow of the run that an event about an await is about, by its
// reference. It returns false if the event is about another run.
func AwaitedWorkflow(ref, runID string) (workflow string, ok bool) {
	_, rest, _ := strings.Cut(ref, " ")
	if rest == "run "+runID {
		return "", true
	}
	workflow, ok = strings.CutSuffix(rest, " run "+runID)
	if ok {
		workflow, ok = strings.CutPrefix(workflow, "of ")
	}
	return workflow, ok
}

// DecodeCycle reads the runs of which each awaits the next, from the data of a refused await. There
// are none if it was refused because there is no such run.
func DecodeCycle(data []byte) (runs []string) {
	_ = json.Unmarshal(data, &runs)
	return runs
}
