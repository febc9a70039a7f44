package client

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/oklog/ulid/v2"

	"github.com/tenter-dev/tenter/inspect"
	"github.com/tenter-dev/tenter/internal/api"
	"github.com/tenter-dev/tenter/internal/run"
	"github.com/tenter-dev/tenter/workflow"
)

// StartRun starts a run, see [workflow.Client].
func (c *Client) StartRun(ctx context.Context, req workflow.StartRequest) (string, error) {
	if err := c.usable(ctx); err != nil {
		return "", fmt.Errorf("start %s: %w", req.Workflow, err)
	}
	own := req.RunID == ""
	if bad := run.BadName(req.RunID, run.MaxName); !own && bad != "" {
		return "", fmt.Errorf("start %s: run ID %q: %w: %s", req.Workflow, req.RunID, workflow.ErrInvalidName, bad)
	}
	if bad := run.BadName(req.Workflow, run.MaxName); bad != "" { // as JSON it might be another one
		return "", fmt.Errorf("start: workflow name %q: %w: %s", req.Workflow, workflow.ErrInvalidName, bad)
	}
	if own {
		req.RunID = strings.ToLower(ulid.Make().String())
	}
	r := post("runs", api.NewStart(req))
	r.safe = own
	var out api.Started
	_, err := c.call(ctx, r, &out)
	if own && errors.Is(err, workflow.ErrRunExists) {
		return req.RunID, nil // an attempt whose answer got lost has started it
	}
	return out.RunID, about("start "+req.Workflow, err)
}

func runPath(runID, more string) string { return "runs/" + api.Segment(runID) + more }

// RunInfo describes a run, see [workflow.Client].
func (c *Client) RunInfo(ctx context.Context, runID string) (info workflow.RunInfo, err error) {
	return info, c.look(ctx, "look up run "+runID, get(runPath(runID, ""), nil), &info)
}

// look makes a request that is safe to repeat.
func (c *Client) look(ctx context.Context, what string, r request, out any) error {
	if err := c.usable(ctx); err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	_, err := c.call(ctx, r, out)
	return about(what, err)
}

// AwaitRun blocks until a run has ended, see [workflow.Client]. Once the server has
// answered, it goes on waiting through failures of the server and of the connection.
func (c *Client) AwaitRun(ctx context.Context, runID string) (workflow.RunResult, error) {
	var res workflow.RunResult
	what := "await run " + runID
	if err := c.usable(ctx); err != nil {
		return res, fmt.Errorf("%s: %w", what, err)
	}
	r := get(runPath(runID, "/result"), nil) // at first it does not wait, so that a server that is not there is known
	failed, reached := 0, false
	for {
		there, err := c.call(ctx, r, &res)
		switch {
		case err == nil && there:
			return res, nil
		case err == nil:
			failed, reached = 0, true
			r.query = c.patience(ctx)
		case !reached || ctx.Err() != nil || !passing(err, true):
			return res, about(what, err)
		default:
			failed++
			if !pause(ctx, attempts+failed) {
				return res, about(what, ctx.Err())
			}
		}
	}
}

// CancelRun asks a run to cancel, see [workflow.Client].
func (c *Client) CancelRun(ctx context.Context, runID string) error {
	return c.order(ctx, "cancel", runID, nil)
}

// WakeRun ends a run's sleeps now, see [workflow.Client].
func (c *Client) WakeRun(ctx context.Context, runID string) error {
	return c.order(ctx, "wake", runID, nil)
}

// RetryRun continues a run, see [workflow.Client].
func (c *Client) RetryRun(ctx context.Context, runID string) error {
	return c.order(ctx, "retry", runID, nil)
}

// ForkRun makes a run of the beginning of another's journal, or says what that would do, see
// [workflow.Client].
func (c *Client) ForkRun(ctx context.Context, req workflow.ForkRequest) (plan workflow.ForkPlan, err error) {
	what := "fork run " + req.RunID
	if bad := run.BadName(req.ForkID, run.MaxName); req.ForkID != "" && bad != "" { // as JSON it might be another one
		return plan, fmt.Errorf("%s: run ID %q: %w: %s", what, req.ForkID, workflow.ErrInvalidName, bad)
	}
	r := post(runPath(req.RunID, "/fork"), api.NewFork(req))
	r.safe = req.DryRun
	return plan, c.look(ctx, what, r, &plan)
}

// TerminateRun ends a run without asking its code, see [workflow.Client].
func (c *Client) TerminateRun(ctx context.Context, runID, reason string) error {
	return c.order(ctx, "terminate", runID, api.Terminate{Reason: reason})
}

// PauseRun pauses a run, see [workflow.Client].
func (c *Client) PauseRun(ctx context.Context, runID string, req workflow.PauseRequest) error {
	return c.order(ctx, "pause", runID, req)
}

// ResumeRun lets a paused run go on, see [workflow.Client].
func (c *Client) ResumeRun(ctx context.Context, runID string) error {
	return c.order(ctx, "resume", runID, nil)
}

// PauseWorkflow pauses all runs of a workflow, see [workflow.Client].
func (c *Client) PauseWorkflow(ctx context.Context, name string, req workflow.PauseRequest) error {
	return c.tell(ctx, "pause workflow "+name, workflowPath(name, "/pause"), req)
}

// ResumeWorkflow lets the runs of a workflow go on, see [workflow.Client].
func (c *Client) ResumeWorkflow(ctx context.Context, name string) error {
	return c.tell(ctx, "resume workflow "+name, workflowPath(name, "/resume"), nil)
}

func workflowPath(name, more string) string { return "workflows/" + api.Segment(name) + more }

// PausedWorkflows lists the workflows that are paused, see [inspect.Client].
func (c *Client) PausedWorkflows(ctx context.Context) ([]inspect.PausedWorkflow, error) {
	var out api.PausedWorkflows
	err := c.look(ctx, "list paused workflows", get("workflows/paused", nil), &out)
	return out.Workflows, err
}

func (c *Client) order(ctx context.Context, verb, runID string, body any) error {
	return c.tell(ctx, verb+" run "+runID, runPath(runID, "/"+verb), body)
}

// tell orders something that has no answer.
func (c *Client) tell(ctx context.Context, what, path string, body any) error {
	if err := c.usable(ctx); err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	_, err := c.call(ctx, post(path, body), nil)
	return about(what, err)
}

// Runs lists runs, see [inspect.Client].
func (c *Client) Runs(ctx context.Context, f inspect.RunFilter) ([]workflow.RunInfo, error) {
	if err := f.Validate(); err != nil {
		return nil, fmt.Errorf("list runs: %w", err)
	}
	q := query{}
	q.text("status", string(f.Status))
	q.text("workflow", f.Workflow)
	q.text("parent_id", f.ParentID)
	q.text("forked_from", f.ForkedFrom)
	q.text("awaits", f.Awaits)
	if f.Paused {
		q.text("paused", "true")
	}
	q.time("since", f.Since)
	q.time("until", f.Until)
	q.text("prefix", f.Prefix)
	q.text("before", f.Before)
	q.number("limit", int64(f.Limit))
	var page api.Runs
	err := c.look(ctx, "list runs", get("runs", url.Values(q)), &page)
	return page.Runs, err
}

// Failures groups failed runs by their causes, see [inspect.Client].
func (c *Client) Failures(ctx context.Context, f inspect.FailureFilter) (inspect.Failures, error) {
	if err := f.Validate(); err != nil {
		return inspect.Failures{}, fmt.Errorf("group failed runs: %w", err)
	}
	q := query{}
	q.text("workflow", f.Workflow)
	q.time("since", f.Since)
	q.time("until", f.Until)
	var failures inspect.Failures
	err := c.look(ctx, "group failed runs", get("failures", url.Values(q)), &failures)
	return failures, err
}

// query are the parameters of a request, without those that are zero.
type query url.Values

func (q query) text(name, v string) {
	if v != "" {
		q[name] = []string{v}
	}
}

func (q query) time(name string, t time.Time) {
	if !t.IsZero() {
		q.text(name, t.UTC().Format(time.RFC3339Nano))
	}
}

func (q query) number(name string, n int64) {
	if n != 0 {
		q.text(name, strconv.FormatInt(n, 10))
	}
}

// CountRuns counts the runs of each status, see [inspect.Client].
func (c *Client) CountRuns(ctx context.Context) (inspect.Counts, error) {
	var out api.Counts
	err := c.look(ctx, "count runs", get("counts", nil), &out)
	return out.Counts, err
}

// Journal returns events of a run after a position, see [inspect.Client].
func (c *Client) Journal(ctx context.Context, runID string, after int64, limit int) ([]inspect.Event, error) {
	events := []inspect.Event{}
	for {
		q := query{}
		q.number("after", max(after, 0))
		q.number("limit", inspect.MaxLimit)
		if limit > 0 {
			q.number("limit", int64(min(limit, inspect.MaxLimit)))
		}
		var page api.Journal
		if err := c.look(ctx, "read journal of run "+runID, get(runPath(runID, "/journal"), url.Values(q)), &page); err != nil {
			return nil, err
		}
		events = append(events, page.Events...)
		if limit > 0 || len(page.Events) == 0 {
			return events, nil
		}
		after = events[len(events)-1].Position
	}
}

// Generations lists the generations of a run that are over, see [inspect.Client].
func (c *Client) Generations(ctx context.Context, runID string) ([]inspect.Generation, error) {
	var out api.Generations
	err := c.look(ctx, "list generations of run "+runID, get(runPath(runID, "/generations"), nil), &out)
	return out.Generations, err
}

// Unread returns the payloads that a generation of a run has left unread, see [inspect.Client].
func (c *Client) Unread(ctx context.Context, runID string, generation int) ([]inspect.Message, error) {
	var out api.Mailbox
	query := url.Values{"generation": {strconv.Itoa(generation)}}
	err := c.look(ctx, "read unread payloads of run "+runID, get(runPath(runID, "/unread"), query), &out)
	return out.Messages, err
}

// Mailbox returns what was sent to a run and its journal has not taken in, see
// [inspect.Client].
func (c *Client) Mailbox(ctx context.Context, runID string) ([]inspect.Message, error) {
	var out api.Mailbox
	err := c.look(ctx, "read mailbox of run "+runID, get(runPath(runID, "/mailbox"), nil), &out)
	return out.Messages, err
}

// Executing returns attempts of steps, see [inspect.Client].
func (c *Client) Executing(ctx context.Context, runID string) ([]inspect.Attempt, error) {
	var out api.Executing
	err := c.look(ctx, "list attempts of run "+runID, get(runPath(runID, "/executing"), nil), &out)
	return out.Attempts, err
}

// Catalog returns what can be started and resumed, see [inspect.Client].
func (c *Client) Catalog(ctx context.Context) (cat inspect.Catalog, err error) {
	return cat, c.look(ctx, "list workflows", get("catalog", nil), &cat)
}
