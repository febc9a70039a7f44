package main

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/tenter-dev/tenter/access"
	"github.com/tenter-dev/tenter/engine"
	"github.com/tenter-dev/tenter/workflow"
	"github.com/tenter-dev/tenter/workflowtest"
)

// testApprove calls f with the workflow at work in a bubble of fake time, its worker
// crashing wherever it can, and with the app's own API on its engine. Nobody is asked.
func testApprove(t *testing.T, f func(t *testing.T, eng *workflowtest.Engine)) {
	t.Helper()
	a := &app{key: access.NewAPIKey(access.Write)}
	opts := engine.Options{Workflows: []workflow.Definition{Approval.Implement(a.approve)}}
	workflowtest.CrashEverywhere(t, opts, func(t *testing.T, eng *workflowtest.Engine) {
		a.engine = eng.Engine()
		eng.Handle("/", a.routes())
		workflowtest.ReplaceDo(eng.Step("ask"), func(context.Context) error { return nil })
		f(t, eng)
	})
}

// approve does what the curl line does.
func approve(t *testing.T, eng *workflowtest.Engine, body string) workflow.Response {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "https://app.test/approve", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	return eng.Send(req)
}

func TestApprovedAfterAYear(t *testing.T) {
	t.Parallel()
	testApprove(t, func(t *testing.T, eng *workflowtest.Engine) {
		run := workflowtest.Start(eng, Approval, "contract.pdf")
		hook := eng.Hook(run)
		eng.Advance(365 * 24 * time.Hour)

		answer := approve(t, eng, `{"token":"`+hook.Token+`","approved":true,"comment":"fine"}`)
		if want := `{"success":true,"runId":"` + run.ID() + `"}` + "\n"; string(answer.Body) != want {
			t.Errorf("%d %s, want %s", answer.Status, answer.Body, want)
		}
		if got := workflowtest.Result(eng, run); got != "contract.pdf is published: fine" {
			t.Errorf("result is %q", got)
		}
		if again := approve(t, eng, `{"token":"`+hook.Token+`","approved":true}`); again.Status != http.StatusNotFound {
			t.Errorf("a second decision: %d, want 404", again.Status)
		}
	})
}

func TestRejected(t *testing.T) {
	t.Parallel()
	testApprove(t, func(t *testing.T, eng *workflowtest.Engine) {
		run := workflowtest.Start(eng, Approval, "contract.pdf")
		eng.Hook(run).Resume(Decision{Comment: "no"})
		if got := workflowtest.Result(eng, run); got != "contract.pdf is rejected: no" {
			t.Errorf("result is %q", got)
		}
	})
}
