package workflow_test

import (
	"context"
	"encoding/json"
	"errors"
	"testing"

	"github.com/tenter-dev/tenter/internal/run"
	"github.com/tenter-dev/tenter/workflow"
)

// ended is a client of a run that has ended.
type ended struct {
	workflow.Client
	result workflow.RunResult
}

func (e *ended) AwaitRun(context.Context, string) (workflow.RunResult, error) { return e.result, nil }

// FuzzFailure reads errors as they come out of a database, or from a server. Whatever
// they are, they are errors, with a text, and can be asked what they are.
func FuzzFailure(f *testing.F) {
	f.Add([]byte(`{"error":"card declined"}`))
	f.Add([]byte(`{"error":"x","is":["context.Canceled","run canceled","mine"],"attempts":3}`))
	f.Add([]byte(`{"error":"x","as":[{"type":"step","step":"charge#1","attempts":4,"cause":{"error":"declined","is":["declined"]}}]}`))
	f.Add([]byte(`{"error":"x","as":[{"type":"panic","stack":"goroutine 1","cause":{"error":"boom"}},{"type":"run","run_id":"r","workflow":"w"}]}`))
	f.Add([]byte(`{"error":"x","as":[{"type":"hook_conflict","token":"t","run_id":"r"},{"type":"run_exists","run_id":"r"},{"type":"payload","token":"t"}]}`))
	f.Add([]byte(`{"error":"x","as":[{"type":"of tomorrow"}]}`))
	f.Add([]byte(`"text"`))
	f.Add([]byte(``))
	f.Fuzz(func(t *testing.T, data []byte) {
		c := &ended{result: workflow.RunResult{RunID: "r", Workflow: "w", Status: workflow.StatusFailed, Error: data}}
		_, err := workflow.Get[string](c, "r").Result(t.Context())
		failed, ok := errors.AsType[*workflow.RunError](err)
		if !ok || failed.RunID != "r" {
			t.Fatalf("the error is %#v", err)
		}
		_ = err.Error()
		for _, known := range []error{context.Canceled, workflow.ErrCanceled, workflow.ErrHookNotFound} {
			_ = errors.Is(err, known)
		}
		if step, ok := errors.AsType[*workflow.StepError](err); ok {
			_ = step.Error()
		}
		if p, ok := errors.AsType[*workflow.PanicError](err); ok {
			_ = p.Error()
		}
		if conflict, ok := errors.AsType[*workflow.HookConflictError](err); ok {
			_ = conflict.Error()
		}
	})
}

// approvalPayload validates itself.
type approvalPayload struct {
	Approved bool           `json:"approved"`
	Comment  string         `json:"comment"`
	Extra    map[string]any `json:"extra"`
}

func (a *approvalPayload) Validate() error {
	if a.Comment == "" {
		return errors.New("a comment is needed")
	}
	return nil
}

// FuzzPayload checks payloads for a defined hook type, as engines do with what anybody
// sends: what passes is JSON that decodes and validates.
func FuzzPayload(f *testing.F) {
	hook := run.HookDefinition(workflow.DefineHook[approvalPayload]("approval"))
	f.Add([]byte(`{"approved":true,"comment":"fine"}`))
	f.Add([]byte(`{"approved":true}`))
	f.Add([]byte(`{"approved":"yes","comment":"fine"}`))
	f.Add([]byte(`{"approved":true,"comment":"fine","extra":{"a":[1,2,{"b":null}]}} trailing`))
	f.Add([]byte(`null`))
	f.Add([]byte(``))
	f.Fuzz(func(t *testing.T, data []byte) {
		if err := hook.Check(data); err != nil {
			return
		}
		var p approvalPayload
		if err := json.Unmarshal(data, &p); err != nil || p.Comment == "" {
			t.Errorf("%q passed: %+v, %v", data, p, err)
		}
	})
}
