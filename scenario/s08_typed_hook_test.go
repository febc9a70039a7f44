package scenario_test

import (
	"context"
	"errors"
	"reflect"
	"testing"

	"github.com/tenter-dev/tenter/engine"
	"github.com/tenter-dev/tenter/workflow"
)

// S8: a hook that is typed at both ends, and whose payloads are validated.

type approvalRequest struct {
	Approver string `json:"approver"`
	Approved bool   `json:"approved"`
}

var errNoApprover = errors.New("who approves?")

func (r approvalRequest) Validate() error {
	if r.Approver == "" {
		return errNoApprover
	}
	return nil
}

var (
	approvals = workflow.DefineHook[approvalRequest]("approval")
	invoices  = workflow.DefineHook[string]("invoice")

	documentReview = workflow.Define("document-review", reviewDocument)
)

func reviewDocument(ctx workflow.Context, documentID string) (approvalRequest, error) {
	hook, err := approvals.New(ctx, workflow.Token("approval:"+documentID))
	if err != nil {
		return approvalRequest{}, err
	}
	defer hook.Close()
	return hook.Wait(ctx)
}

func TestS08TypedHook(t *testing.T) {
	t.Parallel()
	everywhere(t, func(w *world) {
		w.bootWith(engine.Options{
			Workflows: []workflow.Definition{documentReview},
			Hooks:     []workflow.HookDefinition{approvals, invoices},
		})
		run := start(w, documentReview, "review", "doc-7")
		before, err := w.st.Load(w.t.Context(), run.ID(), 0)
		if err != nil {
			w.t.Fatal(err)
		}
		key := workflow.IdempotencyKey("the first good one")

		_, err = do(w, func(ctx context.Context, c *engine.Engine) (workflow.HookInfo, error) {
			return approvals.Resume(ctx, c, "approval:doc-7", approvalRequest{Approved: true}, key)
		})
		if bad, ok := errors.AsType[*workflow.PayloadError](err); !ok || !errors.Is(err, errNoApprover) {
			w.t.Errorf("a payload that does not validate: %v (%v)", err, bad)
		}
		_, err = do(w, func(ctx context.Context, c *engine.Engine) (workflow.HookInfo, error) {
			return workflow.Resume(ctx, c, "approval:doc-7", map[string]any{"approver": 7}, key)
		})
		if _, ok := errors.AsType[*workflow.PayloadError](err); !ok {
			w.t.Errorf("an untyped payload of the wrong shape: %v, want a *PayloadError", err)
		}
		_, err = do(w, func(ctx context.Context, c *engine.Engine) (workflow.HookInfo, error) {
			return invoices.Resume(ctx, c, "approval:doc-7", "inv-1", key)
		})
		if _, ok := errors.AsType[*workflow.HookTypeError](err); !ok {
			w.t.Errorf("a payload for another type of hook: %v, want a *HookTypeError", err)
		}

		// Nothing was written, and no key was used up.
		w.idle()
		after, err := w.st.Load(w.t.Context(), run.ID(), 0)
		if err != nil {
			w.t.Fatal(err)
		}
		if before.Run.Events > after.Run.Events || after.Run.Events > 2 || len(after.Mail) > 0 {
			w.t.Errorf("refused payloads left a trace: %v, %v", after.Events, after.Mail)
		}
		good := approvalRequest{Approver: "Ada", Approved: true}
		info, err := do(w, func(ctx context.Context, c *engine.Engine) (workflow.HookInfo, error) {
			return approvals.Resume(ctx, c, "approval:doc-7", good, key)
		})
		if err != nil || info.RunID != run.ID() || info.Type != "approval" {
			w.t.Errorf("resume: %+v, %v", info, err)
		}
		want(w, run, good)
	})
}

// What the compiler refuses can't be a test that compiles; but it refuses all that is
// not of the parameter's type.
func TestS08PayloadIsTyped(t *testing.T) {
	t.Parallel()
	if got := reflect.TypeFor[func(ctx context.Context, c workflow.Client, token string, payload approvalRequest, opts ...workflow.ResumeOption) (workflow.HookInfo, error)]().In(3); got != reflect.TypeFor[approvalRequest]() {
		t.Errorf("Resume of a defined hook takes a %v", got)
	}
	wait, _ := reflect.TypeFor[func(ctx workflow.Context, opts ...workflow.HookOption) (*workflow.Hook[approvalRequest], error)]().Out(0).MethodByName("Wait")
	if got := wait.Type.Out(0); got != reflect.TypeFor[approvalRequest]() {
		t.Errorf("Wait of a defined hook gives a %v", got)
	}
}
