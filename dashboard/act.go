package dashboard

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/tenter-dev/tenter/inspect"
	"github.com/tenter-dev/tenter/workflow"
)

// action is something that can be done to a run, or to a workflow.
type action struct {
	Name   string
	Label  string
	Danger bool
	Means  []string // what will happen
	Reason string   // it asks for one, which is used so
	Step   string   // of a fork: the step that is executed again
	URL    string   // of its confirmation
}

var cancel = action{
	Name: "cancel", Label: "Cancel",
	Means: []string{
		"The run is asked to end. What it waits for, and its durable calls from now on, return context.Canceled.",
		"Its code can clean up first. The run has ended when its code returns.",
		"Steps that are executing are told to stop, and not tried again.",
	},
}

var terminate = action{
	Name: "terminate", Label: "Terminate", Danger: true, Reason: "It becomes part of the run's error.",
	Means: []string{
		"The run ends now, in whatever state it is. Its code is not asked, and cleans nothing up.",
		"Its hooks close and their tokens are free. Its children are canceled. Payloads that it has not taken stay with it as unread.",
		"This can't be undone. To let the code clean up, cancel the run instead.",
	},
}

var wake = action{
	Name: "wake", Label: "Wake",
	Means: []string{
		"The run's sleeps end now, as if their time had come.",
		"Deadlines, the timers of a select and the retries of steps stay as they are.",
	},
}

var retryFailed = action{
	Name: "retry", Label: "Retry",
	Means: []string{
		"The run goes on from its journal, from the point before it failed. Do this after the cause has been mended.",
		"Steps that have completed are not executed again. The one that failed has all its attempts again.",
		"It is refused, and nothing changes, if a step, child or response began after the failure was handed to the code, or if another run has one of its tokens by now.",
	},
}

var retrySteps = action{
	Name: "retry", Label: "Retry now",
	Means: []string{
		"Steps that wait for their next attempt are attempted at once, or once the run is resumed if it is paused.",
		"They have no more attempts than before. Nothing else of the run changes.",
	},
}

var retryBlocked = action{
	Name: "retry", Label: "Retry",
	Means: []string{
		"The workers try to go on with the run, with the code that they have now. Do this after what blocks it has been mended.",
		"If nothing has changed it is blocked again. Nothing is lost.",
	},
}

// fork is the action that forks a run at a step, with what that means.
func fork(plan workflow.ForkPlan, step string) action {
	a := action{
		Name: "fork", Label: "Fork", Step: step,
		Means: []string{
			fmt.Sprintf("A new run begins with the journal of this one up to event %d, and goes on by itself from there. This run is not touched.", plan.Position),
			"Its open hooks have tokens of their own, unless the author of the workflow has chosen them.",
		},
	}
	for _, again := range plan.Again {
		what := inspect.Title(inspect.KindStep, again.Step)
		if again.Child != "" {
			what = inspect.Title(inspect.KindChild, again.Child)
		}
		how := "which " + string(again.Status)
		switch again.Status { //nolint:exhaustive // the others say it
		case workflow.StatusRunning:
			how = "which is not over here"
		case workflow.StatusFailed, workflow.StatusCompleted:
			how = "which has " + string(again.Status) + " here"
		}
		a.Means = append(a.Means, "It executes "+what+" again, "+how+".")
	}
	return a
}

var pause = action{
	Name: "pause", Label: "Pause", Reason: "It is shown with the run.",
	Means: []string{
		"The run's code does not go on, and no attempt of a step begins, until the run is resumed. Attempts that are executing return.",
		"Payloads and requests are accepted as ever, and wait. Deadlines and timers do not stop.",
	},
}

var resumePaused = action{
	Name: "resume", Label: "Resume",
	Means: []string{"The run goes on where it was. What came and what was due meanwhile comes in the order of time."},
}

var pauseWorkflow = action{
	Name: "pause", Label: "Pause", Reason: "It is shown with each run.",
	Means: []string{
		"No run of the workflow goes on until it is resumed, and none that starts later begins. Attempts of steps that are executing return.",
		"Runs can be started, and payloads sent, as ever: they wait. Deadlines and timers do not stop.",
	},
}

var resumeWorkflow = action{
	Name: "resume", Label: "Resume",
	Means: []string{"All runs of the workflow go on, except for those that are paused themselves."},
}

// workflowActions are those that a workflow allows.
func workflowActions(name string, paused bool) []action {
	a := pauseWorkflow
	if paused {
		a = resumeWorkflow
	}
	a.URL = to("act", "workflow", name, "do", a.Name)
	return []action{a}
}

// waitsFor reports whether a run may wait for something. What is not known can be tried: the engine
// refuses what does not apply.
func waitsFor(run workflow.RunInfo, detail *inspect.Detail, code inspect.WaitCode) bool {
	known := detail != nil && detail.Generation == run.Generation && run.Events-run.Base <= maxDrawn
	return !known || slices.ContainsFunc(detail.Waits, func(w inspect.Wait) bool { return w.Code == code })
}

// actions are those that fit a run's status, and what it waits for as far as that is known.
func actions(run workflow.RunInfo, detail *inspect.Detail) []action {
	var all []action
	hold := pause
	if run.Paused != nil && !run.Paused.Workflow {
		hold = resumePaused
	}
	switch run.Status {
	case workflow.StatusRunning, workflow.StatusWaiting:
		if waitsFor(run, detail, inspect.WaitRetry) {
			all = append(all, retrySteps)
		}
		if waitsFor(run, detail, inspect.WaitSleep) {
			all = append(all, wake)
		}
		all = append(all, hold, cancel, terminate)
	case workflow.StatusBlocked:
		all = []action{retryBlocked, hold, cancel, terminate}
	case workflow.StatusFailed:
		all = []action{retryFailed}
	case workflow.StatusCompleted, workflow.StatusCanceled:
	}
	for i := range all {
		all[i].URL = to("act", "id", run.ID, "do", all[i].Name)
	}
	return all
}

type actPage struct {
	Run      workflow.RunInfo
	Workflow string        // not empty: it is about all of its runs
	Link     *inspect.Link // not nil: it is about this one of the run
	Action   action
}

// Back is where whoever thinks better of it goes.
func (p *actPage) Back() string {
	if p.Workflow != "" {
		return "workflows"
	}
	return to("run", "id", p.Run.ID)
}

// confirm says what an action will do, and asks.
func (d *dashboard) confirm(r *request) error {
	if name := r.query.Get("workflow"); name != "" {
		for _, a := range []action{pauseWorkflow, resumeWorkflow} {
			if a.Name == r.query.Get("do") {
				return d.render(r, http.StatusOK, "act", view{Title: a.Label + " workflow " + name, Nav: "workflows", Data: &actPage{Workflow: name, Action: a}})
			}
		}
		return badRequest(errors.New("there is no such action"))
	}
	run, err := r.client.RunInfo(r.Context(), r.query.Get("id"))
	if err != nil {
		return err
	}
	if link := r.query.Get("link"); link != "" {
		return d.confirmRevoke(r, run, link)
	}
	all := actions(run, nil)
	if step := r.query.Get("step"); r.query.Get("do") == "fork" {
		plan, err := r.client.ForkRun(r.Context(), workflow.ForkRequest{RunID: run.ID, Step: step, DryRun: true})
		if err != nil {
			return err
		}
		all = append(all, fork(plan, step))
	}
	for _, a := range all {
		if a.Name == r.query.Get("do") {
			return d.render(r, http.StatusOK, "act", view{Title: a.Label + " run " + run.ID, Nav: "runs", Data: &actPage{Run: run, Action: a}})
		}
	}
	return &problem{
		http.StatusConflict, "That can't be done now",
		errors.New("run " + run.ID + " is " + string(run.Status) + " by now, so there is nothing to " + r.query.Get("do")),
	}
}

// act does it.
func (d *dashboard) act(r *request) error {
	if err := r.parseForm(); err != nil {
		return err
	}
	ctx, id, do := r.Context(), r.PostForm.Get("id"), r.PostForm.Get("do")
	req := workflow.PauseRequest{Why: strings.TrimSpace(r.PostForm.Get("reason"))}
	if name := r.PostForm.Get("workflow"); name != "" {
		return d.actOnWorkflow(r, name, do, req)
	}
	var err error
	switch do {
	case revokeLink.Name:
		err = r.client.RevokeLink(ctx, r.PostForm.Get("link"))
	case cancel.Name:
		err = r.client.CancelRun(ctx, id)
	case terminate.Name:
		err = r.client.TerminateRun(ctx, id, req.Why)
	case wake.Name:
		err = r.client.WakeRun(ctx, id)
	case retryFailed.Name:
		err = r.client.RetryRun(ctx, id)
	case "fork":
		var plan workflow.ForkPlan
		plan, err = r.client.ForkRun(ctx, workflow.ForkRequest{RunID: id, Step: r.PostForm.Get("step")})
		id = plan.ForkID
	case pause.Name:
		err = r.client.PauseRun(ctx, id, req)
	case resumePaused.Name:
		err = r.client.ResumeRun(ctx, id)
	default:
		err = badRequest(errors.New("there is no such action"))
	}
	if err != nil {
		return err
	}
	if do == resumePaused.Name {
		do = "goes-on" // resumed is a hook
	}
	return r.redirect(to("run", "id", id, "notice", do))
}

func (d *dashboard) actOnWorkflow(r *request, name, do string, req workflow.PauseRequest) error {
	var err error
	switch do {
	case pauseWorkflow.Name:
		err = r.client.PauseWorkflow(r.Context(), name, req)
	case resumeWorkflow.Name:
		err = r.client.ResumeWorkflow(r.Context(), name)
	default:
		err = badRequest(errors.New("there is no such action"))
	}
	if err != nil {
		return err
	}
	return r.redirect(to("workflows", "notice", do+"-workflow"))
}
