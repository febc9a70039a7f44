package waiting

import (
	"github.com/tenter-dev/tenter/store"
	"github.com/tenter-dev/tenter/workflow"
)

// EndOf is the key of a run's end. Its value is a *workflow.RunResult.
func EndOf(runID string) Key { return Key{RunEnd, runID} }

// ResponseTo is the key of the response to a request. Its value is a *store.Response.
func ResponseTo(request string) Key { return Key{Response, request} }

// NewResult returns the result of a run. data is that of its last event.
func NewResult(runID, name string, status store.Status, data []byte) *workflow.RunResult {
	res := &workflow.RunResult{RunID: runID, Workflow: name, Status: workflow.Status(status)}
	if status == store.Completed {
		res.Output = data
	} else {
		res.Error = data
	}
	return res
}
