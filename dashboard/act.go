package dashboard

import (
	"errors"
	"net/http"
	"strings"

	"github.com/tenter-dev/tenter/workflow"
)

// action is something that can be done to a run.
type action struct {
	Name   string
	Label  string
	Danger bool
	Means  []string // what will happen
	Reason bool     // it asks for one
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
	Name: "terminate", Label: "Terminate", Danger: true, Reason: true,
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

var retryBlocked = action{
	Name: "retry", Label: "Retry",
	Means: []string{
		"The workers try to go on with the run, with the code that they have now. Do this after what blocks it has been mended.",
		"If nothing has changed it is blocked again. Nothing is lost.",
	},
}

// actions are those that a run's status allows.
func actions(run workflow.RunInfo) []action {
	var all []action
	switch run.Status {
	case workflow.StatusRunning, workflow.StatusWaiting:
		all = []action{wake, cancel, terminate}
	case workflow.StatusBlocked:
		all = []action{retryBlocked, cancel, terminate}
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
	Run    workflow.RunInfo
	Action action
}

// confirm says what an action will do, and asks.
func (d *dashboard) confirm(r *request) error {
	run, err := r.client.RunInfo(r.Context(), r.query.Get("id"))
	if err != nil {
		return err
	}
	for _, a := range actions(run) {
		if a.Name == r.query.Get("do") {
			return d.render(r, http.StatusOK, "act", view{Title: a.Label + " run " + run.ID, Nav: "runs", Data: &actPage{run, a}})
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
	var err error
	switch do {
	case cancel.Name:
		err = r.client.CancelRun(ctx, id)
	case terminate.Name:
		err = r.client.TerminateRun(ctx, id, strings.TrimSpace(r.PostForm.Get("reason")))
	case wake.Name:
		err = r.client.WakeRun(ctx, id)
	case retryFailed.Name:
		err = r.client.RetryRun(ctx, id)
	default:
		err = badRequest(errors.New("there is no such action"))
	}
	if err != nil {
		return err
	}
	return r.redirect(to("run", "id", id, "notice", do))
}
