package server

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"reflect"
	"strings"
	"time"

	"github.com/tenter-dev/tenter/inspect"
	"github.com/tenter-dev/tenter/internal/api"
	"github.com/tenter-dev/tenter/internal/run"
	"github.com/tenter-dev/tenter/workflow"
)

// route is an operation of the API. The OpenAPI document is made of them.
type route struct {
	method  string
	path    string // below api.Path; {run_id}, {token}, {topic} and {workflow} stand for names
	write   bool   // it needs the scope write
	id      string // of the operation
	summary string
	more    string // description
	query   []param
	body    reflect.Type // of the request
	status  int          // of the answer, if it has a body
	answer  reflect.Type // nil: none, or a stream
	empty   string       // what 204 means; empty: there is no such answer
	faults  []string     // codes of problems besides those that every operation has
	serve   func(*call) (any, error)
}

// param is a parameter of the query.
type param struct {
	name   string
	schema string // JSON Schema
	about  string
}

const (
	aText   = `{"type":"string"}`
	aTime   = `{"type":"string","format":"date-time"}`
	aTrue   = `{"type":"boolean","enum":[true]}`
	aLimit  = `{"type":"integer","minimum":1,"maximum":1000,"default":100}`
	aStatus = `{"type":"string","enum":["running","waiting","blocked","completed","failed","canceled"]}`

	aReasonCode = "why the run is blocked: no_worker, no_workflow, no_version, no_definition, non_deterministic, killed_workers, " +
		"no_public_url, no_sender, no_answer_keys, no_hook_type, or unknown; there may be more of them"
)

// aWait is how long a call is held.
var aWait = param{"wait", `{"type":"integer","minimum":1,"maximum":60,"default":25}`, "how long to wait for the answer at most, in seconds"}

// match returns the name that stands in the path.
func (r *route) match(segments []string) (name string, ok bool) {
	pattern := strings.Split(r.path, "/")
	if len(pattern) != len(segments) {
		return "", false
	}
	for i, p := range pattern {
		switch {
		case strings.HasPrefix(p, "{") && segments[i] != "":
			name = segments[i]
		case p != segments[i]:
			return "", false
		}
	}
	return name, true
}

// checkName refuses a name in the path that nothing can have.
func (r *route) checkName(name string) error {
	what, limit, is := "run ID", run.MaxName, workflow.ErrInvalidName
	switch {
	case strings.Contains(r.path, "{token}"):
		what, limit, is = "token", run.MaxToken, workflow.ErrInvalidToken
	case strings.Contains(r.path, "{workflow}"):
		what = "workflow name"
	case strings.Contains(r.path, "{topic}"):
		what = "topic name"
	case !strings.Contains(r.path, "{run_id}"):
		return nil
	}
	if bad := run.BadName(name, limit); bad != "" {
		return fmt.Errorf("%s %q: %w: %s", what, name, is, bad)
	}
	return nil
}

// nameFault is the code of what checkName fails with.
func (r *route) nameFault() []string {
	switch {
	case strings.Contains(r.path, "{token}"):
		return []string{"invalid_token"}
	case strings.Contains(r.path, "{run_id}"), strings.Contains(r.path, "{workflow}"), strings.Contains(r.path, "{topic}"):
		return []string{"invalid_name"}
	}
	return nil
}

var routes []route

func init() { // one of them describes them all
	routes = []route{
		{
			method: "GET", path: "runs", id: "listRuns", summary: "List runs, newest first",
			query: []param{
				{"status", aStatus, "as it is recorded: a run that no live worker has the workflow for is listed as running or waiting, though it shows as blocked"},
				{"workflow", aText, "name of the workflow"},
				{"parent_id", aText, "the run whose children they are"},
				{"forked_from", aText, "the run that they were forked from"},
				{"awaits", aText, "the run whose end they await"},
				{"paused", aTrue, "they are paused, or their workflow is"},
				{"since", aTime, "created at or after"},
				{"until", aTime, "created before"},
				{"prefix", aText, "of the run's ID; then the list is in the order of IDs, the greatest first"},
				{"before", aText, "continues a list: next of the page before"},
				{"limit", aLimit, "at most so many"},
			},
			status: 200, answer: reflect.TypeFor[api.Runs](), faults: []string{"invalid_cursor"}, serve: listRuns,
		},
		{
			method: "POST", path: "runs", write: true, id: "startRun", summary: "Start a run",
			more: "It answers once the run is durable. With a run_id it is safe to repeat: the second time it is run_exists.",
			body: reflect.TypeFor[api.Start](), status: 201, answer: reflect.TypeFor[api.Started](),
			faults: []string{"run_exists", "unknown_workflow", "input_invalid", "payload_too_large", "invalid_name", "outcome_unknown"}, serve: startRun,
		},
		{
			method: "GET", path: "runs/{run_id}", id: "getRun", summary: "Describe a run",
			status: 200, answer: reflect.TypeFor[workflow.RunInfo](), faults: []string{"run_not_found"}, serve: getRun,
		},
		{
			method: "GET", path: "runs/{run_id}/result", id: "getResult", summary: "Wait for a run to end, and get its result",
			more:   "A run that has failed or was canceled has an error in place of an output.",
			query:  []param{{"wait", `{"type":"integer","minimum":0,"maximum":60,"default":0}`, "how long to wait at most, in seconds"}},
			status: 200, answer: reflect.TypeFor[workflow.RunResult](), empty: "it has not ended yet: ask again", faults: []string{"run_not_found"}, serve: getResult,
		},
		{
			method: "GET", path: "runs/{run_id}/journal", id: "getJournal", summary: "Read the journal of a run, page by page",
			more: "A page may be shorter than its limit because its events are large; only an empty one means that there are no more. Values of sensitive headers are masked, and long bodies cut.",
			query: []param{
				{"after", `{"type":"integer","minimum":0,"default":0}`, "position of the last event of the page before"},
				{"limit", aLimit, "at most so many"},
			},
			status: 200, answer: reflect.TypeFor[api.Journal](), faults: []string{"run_not_found"}, serve: getJournal,
		},
		{
			method: "GET", path: "runs/{run_id}/generations", id: "listGenerations", summary: "List the generations of a run that are over",
			more:   "A generation ends when the run restarts. Those whose journals were deleted are not listed; the present one is described with the run.",
			status: 200, answer: reflect.TypeFor[api.Generations](), faults: []string{"run_not_found"}, serve: getGenerations,
		},
		{
			method: "GET", path: "runs/{run_id}/unread", id: "getUnread", summary: "Read the payloads that a generation of a run has left unread",
			more:   "None if the generation is not over, or its journal was deleted. At most 1000, or fewer if they are large.",
			query:  []param{{"generation", `{"type":"integer","minimum":0,"default":0}`, "number of the generation"}},
			status: 200, answer: reflect.TypeFor[api.Mailbox](), faults: []string{"run_not_found"}, serve: getUnread,
		},
		{
			method: "GET", path: "runs/{run_id}/mailbox", id: "getMailbox", summary: "Read what a run has not taken in",
			more:   "Of a run that has ended: the payloads that it never took. At most 1000, or fewer if they are large.",
			status: 200, answer: reflect.TypeFor[api.Mailbox](), faults: []string{"run_not_found"}, serve: getMailbox,
		},
		{
			method: "GET", path: "runs/{run_id}/executing", id: "getExecuting", summary: "List attempts of steps that have been executing for longer than a second",
			status: 200, answer: reflect.TypeFor[api.Executing](), faults: []string{"run_not_found"}, serve: getExecuting,
		},
		{
			method: "POST", path: "runs/{run_id}/cancel", write: true, id: "cancelRun", summary: "Ask a run to cancel",
			empty: "it is asked", faults: []string{"run_not_found", "run_ended"}, serve: order(inspect.Client.CancelRun),
		},
		{
			method: "POST", path: "runs/{run_id}/terminate", write: true, id: "terminateRun", summary: "End a run without asking its code",
			body: reflect.TypeFor[api.Terminate](), empty: "it has ended", faults: []string{"run_not_found", "run_ended"}, serve: terminateRun,
		},
		{
			method: "POST", path: "runs/{run_id}/wake", write: true, id: "wakeRun", summary: "End the sleeps of a run",
			empty: "they end", faults: []string{"run_not_found", "run_ended"}, serve: order(inspect.Client.WakeRun),
		},
		{
			method: "POST", path: "runs/{run_id}/retry", write: true, id: "retryRun", summary: "Retry a failed or blocked run, or attempt waiting steps now",
			empty: "it goes on", faults: []string{"run_not_found", "retry_refused", "hook_conflict"}, serve: order(inspect.Client.RetryRun),
		},
		{
			method: "POST", path: "runs/{run_id}/fork", write: true, id: "forkRun", summary: "Make a new run of the beginning of a run's journal",
			more: "The fork executes again what the run has executed after that place. With dry_run the answer says what that is, and nothing happens.",
			body: reflect.TypeFor[api.Fork](), status: 200, answer: reflect.TypeFor[workflow.ForkPlan](),
			faults: []string{"run_not_found", "fork_refused", "hook_conflict", "run_exists", "outcome_unknown"}, serve: forkRun,
		},
		{
			method: "POST", path: "runs/{run_id}/pause", write: true, id: "pauseRun", summary: "Pause a run",
			more: "Its code does not go on, and no attempt of a step begins, until it is resumed. What is sent to it waits. A run that is paused stays so as it is, by whom and why.",
			body: reflect.TypeFor[workflow.PauseRequest](), empty: "it is paused", faults: []string{"run_not_found", "run_ended", "payload_too_large", "old_worker"}, serve: pauseRun,
		},
		{
			method: "POST", path: "runs/{run_id}/resume", write: true, id: "resumeRun", summary: "Let a paused run go on",
			more:  "Unless its workflow is paused too. A run that is not paused stays as it is.",
			empty: "it goes on", faults: []string{"run_not_found", "run_ended"}, serve: order(inspect.Client.ResumeRun),
		},
		{
			method: "GET", path: "workflows/paused", id: "listPausedWorkflows", summary: "List the workflows that are paused, by name",
			status: 200, answer: reflect.TypeFor[api.PausedWorkflows](), serve: listPausedWorkflows,
		},
		{
			method: "POST", path: "workflows/{workflow}/pause", write: true, id: "pauseWorkflow", summary: "Pause all runs of a workflow",
			more: "Those that start later too. A workflow that is paused stays so as it is, by whom and why.",
			body: reflect.TypeFor[workflow.PauseRequest](), empty: "it is paused", faults: []string{"payload_too_large", "old_worker"}, serve: pauseWorkflow,
		},
		{
			method: "POST", path: "workflows/{workflow}/resume", write: true, id: "resumeWorkflow", summary: "Let the runs of a paused workflow go on",
			more:  "Except for those that are paused themselves. A workflow that is not paused stays as it is.",
			empty: "they go on", serve: order(inspect.Client.ResumeWorkflow),
		},
		{
			method: "GET", path: "counts", id: "countRuns", summary: "Count the runs of each status",
			status: 200, answer: reflect.TypeFor[api.Counts](), serve: countRuns,
		},
		{
			method: "GET", path: "failures", id: "listFailures", summary: "Group failed runs by their causes, the largest group first",
			more: "Of the last 1,000 that were created. Runs are in a group if their errors are of the same step, and differ in numbers and IDs at most.",
			query: []param{
				{"workflow", aText, "of this workflow"},
				{"since", aTime, "created at or after"},
				{"until", aTime, "created before"},
			},
			status: 200, answer: reflect.TypeFor[inspect.Failures](), serve: listFailures,
		},
		{
			method: "GET", path: "hooks", id: "listHooks", summary: "List open hooks, in the order in which they were opened",
			query: []param{
				{"run_id", aText, "of this run"},
				{"type", aText, "name of the defined hook type"},
				{"prefix", aText, "of the token; then the list is in the order of tokens"},
				{"after", aText, "continues a list: next of the page before"},
				{"limit", aLimit, "at most so many"},
			},
			status: 200, answer: reflect.TypeFor[api.Hooks](), faults: []string{"invalid_cursor"}, serve: listHooks,
		},
		{
			method: "GET", path: "hooks/{token}", id: "getHook", summary: "Describe the open hook that has a token",
			status: 200, answer: reflect.TypeFor[workflow.HookInfo](), faults: []string{"hook_not_found"}, serve: getHook,
		},
		{
			method: "POST", path: "hooks/{token}/resume", write: true, id: "resumeHook", summary: "Send a payload to the hook that has a token",
			more: "It answers once the payload is durable. With an idempotency_key it is safe to repeat: the second time the answer has duplicate.",
			body: reflect.TypeFor[api.Resume](), status: 202, answer: reflect.TypeFor[workflow.HookInfo](),
			faults: []string{"hook_not_found", "hook_type", "payload_invalid", "payload_too_large", "run_exists", "unknown_workflow", "input_invalid", "invalid_name", "outcome_unknown"},
			serve:  resumeHook,
		},
		{
			method: "GET", path: "links", id: "listLinks", summary: "List links to answer pages, in the order in which they were made",
			more: "Of a run, or those that wait for an addressee. They are without their URLs.",
			query: []param{
				{"run_id", aText, "of this run; it or addressee is needed"},
				{"hook_id", aText, "to this hook of the run"},
				{"addressee", aText, "that this addressee can answer"},
				{"after", `{"type":"integer","minimum":0,"default":0}`, "number of the last link of the page before"},
				{"limit", aLimit, "at most so many"},
			},
			status: 200, answer: reflect.TypeFor[api.Links](), serve: listLinks,
		},
		{
			method: "GET", path: "links/{link_id}", id: "getLink", summary: "Describe a link to an answer page",
			status: 200, answer: reflect.TypeFor[inspect.Link](), faults: []string{"link_not_found"}, serve: getLink,
		},
		{
			method: "POST", path: "links/{link_id}/revoke", write: true, id: "revokeLink", summary: "Take a link to an answer page back",
			empty: "nobody can answer by it any more", faults: []string{"link_not_found"}, serve: order(inspect.Client.RevokeLink),
		},
		{
			method: "GET", path: "webhooks/refused", id: "listRefused", summary: "List requests to webhooks that were refused and kept, the newest first",
			more: "Without their bodies. Values of sensitive headers are masked.",
			query: []param{
				{"before", `{"type":"integer","minimum":0}`, "number of the last request of the page before"},
				{"limit", aLimit, "at most so many"},
			},
			status: 200, answer: reflect.TypeFor[api.RefusedRequests](), serve: listRefused,
		},
		{
			method: "GET", path: "webhooks/refused/{request_id}", id: "getRefused", summary: "Describe a request to a webhook that was refused and kept",
			status: 200, answer: reflect.TypeFor[inspect.RefusedRequest](), faults: []string{"refused_not_found"}, serve: getRefused,
		},
		{
			method: "POST", path: "webhooks/refused/{request_id}/redeliver", write: true, id: "redeliver", summary: "Deliver a refused request after all",
			more: "It is verified again, with the secrets of now and as of the time when it was received, unless the body says unverified: then the caller vouches for it. " +
				"It is delivered once, however often this is repeated, and leaves the list.",
			body: reflect.TypeFor[inspect.Redelivery](), status: 202, answer: reflect.TypeFor[workflow.HookInfo](),
			faults: []string{"refused_not_found", "not_verified", "hook_not_found", "run_exists", "payload_too_large", "outcome_unknown"}, serve: redeliver,
		},
		{
			method: "GET", path: "topics", id: "listTopics", summary: "List topics and subjects that open hooks listen to",
			query: []param{
				{"topic", aText, "name of the topic"},
				{"after", aText, "continues a list: next of the page before"},
				{"limit", aLimit, "at most so many"},
			},
			status: 200, answer: reflect.TypeFor[api.Topics](), faults: []string{"invalid_cursor"}, serve: listTopics,
		},
		{
			method: "POST", path: "topics/{topic}/publish", write: true, id: "publish", summary: "Send a payload to all hooks that listen to a topic",
			more: "It answers once the payload is durable, with how many hooks listen; that nobody does is not an error, and then nothing is kept. " +
				"With an idempotency_key it is safe to repeat: the second time the answer has duplicate.",
			body: reflect.TypeFor[api.Publish](), status: 202, answer: reflect.TypeFor[workflow.Publication](),
			faults: []string{"payload_invalid", "payload_too_large", "invalid_name", "outcome_unknown"}, serve: publish,
		},
		{
			method: "POST", path: "hooks/{token}/call", write: true, id: "callHook", summary: "Send a request to the call that has a token, and wait for the answer",
			more: "The answer has output, or error if the run has refused the request; one that has neither is still to come: ask for it with getAnswer. " +
				"With an idempotency_key it is safe to repeat: the second time it is the answer to the first request, with duplicate.",
			query: []param{aWait}, body: reflect.TypeFor[api.Call](), status: 200, answer: reflect.TypeFor[workflow.CallAnswer](),
			faults: []string{"hook_not_found", "hook_type", "payload_invalid", "payload_too_large", "invalid_name", "outcome_unknown", "unanswered"},
			serve:  callHook,
		},
		{
			method: "GET", path: "hooks/{token}/answer", id: "getAnswer", summary: "Wait for the answer to a request of a call",
			more: "Either of idempotency_key and request is needed; with request the run_id that came with it, and any token will do.",
			query: []param{
				{"idempotency_key", aText, "that of the request"},
				{"request", aText, "ID of the request"},
				{"run_id", aText, "of the run that has got it"},
				aWait,
			},
			status: 200, answer: reflect.TypeFor[workflow.CallAnswer](), faults: []string{"hook_not_found", "run_not_found", "invalid_name", "unanswered"}, serve: getAnswer,
		},
		{
			method: "GET", path: "catalog", id: "getCatalog", summary: "List workflows and hook types, with their JSON Schemas",
			status: 200, answer: reflect.TypeFor[inspect.Catalog](), serve: getCatalog,
		},
		{
			method: "GET", path: "events", id: "watch", summary: "Watch changes, as server-sent events",
			more: "Each event of the type change has a Change as its data. The first one comes at once, also after a reconnect: look then, and after " +
				"each further one, at what you show, and you miss nothing. Events have no IDs, and Last-Event-ID means nothing. Changes of all runs " +
				"come about once a second at most. A slow reader gets fewer events, each of which covers more changes.",
			query:  []param{{"run_id", aText, "only of this run, and of each progress that it makes"}},
			status: 200, faults: []string{"run_not_found"}, serve: watch,
		},
		{
			method: "GET", path: "openapi.json", id: "getDescription", summary: "Get this description",
			status: 200, answer: reflect.TypeFor[map[string]any](), serve: func(*call) (any, error) { return json.RawMessage(description()), nil },
		},
	}
}

func listRuns(c *call) (any, error) {
	since, err1 := c.time("since")
	until, err2 := c.time("until")
	limit, err3 := c.limit()
	paused := c.query.Get("paused")
	if paused != "" && paused != "true" {
		return nil, badRequest("paused", fmt.Sprintf("%q is not true: leave it out to ask for all", paused))
	}
	if err := errors.Join(err1, err2, err3); err != nil {
		return nil, err
	}
	f := inspect.RunFilter{
		Paused: paused != "",
		Status: workflow.Status(c.query.Get("status")), Workflow: c.query.Get("workflow"), ParentID: c.query.Get("parent_id"),
		ForkedFrom: c.query.Get("forked_from"), Awaits: c.query.Get("awaits"),
		Since: since, Until: until, Prefix: c.query.Get("prefix"), Before: c.query.Get("before"), Limit: limit,
	}
	if err := f.Validate(); err != nil {
		return nil, badRequest("query", err.Error())
	}
	runs, err := c.client.Runs(c.Context(), f)
	if err != nil {
		return nil, err
	}
	page := api.Runs{Runs: runs}
	if len(runs) == pageLength(limit) {
		page.Next = runs[len(runs)-1].Cursor
	}
	return page, nil
}

func listFailures(c *call) (any, error) {
	since, err1 := c.time("since")
	until, err2 := c.time("until")
	if err := errors.Join(err1, err2); err != nil {
		return nil, err
	}
	f := inspect.FailureFilter{Workflow: c.query.Get("workflow"), Since: since, Until: until}
	if err := f.Validate(); err != nil {
		return nil, badRequest("query", err.Error())
	}
	return answer(c.client.Failures(c.Context(), f))
}

// pageLength is how long a page is if there is another one.
func pageLength(limit int) int {
	if limit == 0 {
		return 100
	}
	return limit
}

func startRun(c *call) (any, error) {
	body, err := decode[api.Start](c)
	if err != nil {
		return nil, err
	}
	if body.Version < 0 {
		return nil, badRequest("version", "versions count from 1")
	}
	req, err := body.Request()
	if err != nil {
		return nil, err
	}
	id, err := c.client.StartRun(c.Context(), req)
	if err != nil {
		return nil, err
	}
	c.w.Header().Set("Location", "runs/"+api.Segment(id))
	return api.Started{RunID: id}, nil
}

func getRun(c *call) (any, error) { return answer(c.client.RunInfo(c.Context(), c.name)) }

// answer makes an answer of a result.
func answer[T any](v T, err error) (any, error) {
	if err != nil {
		return nil, err
	}
	return v, nil
}

func getResult(c *call) (any, error) {
	wait, err := c.number("wait")
	if err != nil {
		return nil, err
	}
	if limit := int64(api.MaxWait / time.Second); wait > limit {
		return nil, badRequest("wait", "it is more than 60")
	}
	info, err := c.client.RunInfo(c.Context(), c.name)
	switch {
	case err != nil:
		return nil, err
	case info.Status.Ended():
		return answer(c.client.AwaitRun(c.Context(), c.name))
	case wait == 0:
		return nil, nil //nolint:nilnil // there is none yet
	}
	ctx, cancel := context.WithTimeout(c.Context(), time.Duration(wait)*time.Second)
	defer cancel()
	stopping := c.api.stopping()
	go func() {
		select {
		case <-stopping:
			cancel()
		case <-ctx.Done():
		}
	}()
	res, err := c.client.AwaitRun(ctx, c.name)
	switch {
	case err == nil:
		return res, nil
	case c.Context().Err() != nil || ctx.Err() == nil:
		return nil, err
	case errors.Is(ctx.Err(), context.DeadlineExceeded):
		return nil, nil //nolint:nilnil // the same
	}
	return nil, workflow.ErrEngineClosed
}

func getJournal(c *call) (any, error) {
	after, err1 := c.number("after")
	limit, err2 := c.limit()
	if err := errors.Join(err1, err2); err != nil {
		return nil, err
	}
	events, err := c.client.Journal(c.Context(), c.name, after, pageLength(limit))
	return answer(api.Journal{Events: events}, err)
}

func getGenerations(c *call) (any, error) {
	messages, err := c.client.Generations(c.Context(), c.name)
	return answer(api.Generations{Generations: messages}, err)
}

func getUnread(c *call) (any, error) {
	generation, err := c.number("generation")
	if err != nil {
		return nil, err
	}
	messages, err := c.client.Unread(c.Context(), c.name, int(min(generation, math.MaxInt32)))
	return answer(api.Mailbox{Messages: messages}, err)
}

func getMailbox(c *call) (any, error) {
	messages, err := c.client.Mailbox(c.Context(), c.name)
	return answer(api.Mailbox{Messages: messages}, err)
}

func getExecuting(c *call) (any, error) {
	attempts, err := c.client.Executing(c.Context(), c.name)
	return answer(api.Executing{Attempts: attempts}, err)
}

// order serves what a run is told to do.
func order(do func(inspect.Client, context.Context, string) error) func(*call) (any, error) {
	return func(c *call) (any, error) { return nil, do(c.client, c.Context(), c.name) }
}

// optional reads the body as a T, if there is one.
func optional[T any](c *call) (v T, err error) {
	if len(c.body) == 0 {
		return v, nil
	}
	return decode[T](c)
}

func terminateRun(c *call) (any, error) {
	t, err := optional[api.Terminate](c)
	if err != nil {
		return nil, err
	}
	return nil, c.client.TerminateRun(c.Context(), c.name, t.Reason)
}

func forkRun(c *call) (any, error) {
	body, err := decode[api.Fork](c)
	if err != nil {
		return nil, err
	}
	switch {
	case (body.Step == "") == (body.Position == 0):
		return nil, badRequest("step", "either it or position is needed, and not both")
	case body.Position < 0:
		return nil, badRequest("position", "positions count from 1")
	case body.Version < 0:
		return nil, badRequest("version", "versions count from 1")
	}
	req, err := body.Request(c.name)
	if err != nil {
		return nil, err
	}
	return answer(c.client.ForkRun(c.Context(), req))
}

func pauseRun(c *call) (any, error) {
	p, err := optional[workflow.PauseRequest](c)
	if err != nil {
		return nil, err
	}
	return nil, c.client.PauseRun(c.Context(), c.name, p)
}

func pauseWorkflow(c *call) (any, error) {
	p, err := optional[workflow.PauseRequest](c)
	if err != nil {
		return nil, err
	}
	return nil, c.client.PauseWorkflow(c.Context(), c.name, p)
}

func listPausedWorkflows(c *call) (any, error) {
	paused, err := c.client.PausedWorkflows(c.Context())
	return answer(api.PausedWorkflows{Workflows: paused}, err)
}

func countRuns(c *call) (any, error) {
	counts, err := c.client.CountRuns(c.Context())
	return answer(api.Counts{Counts: counts}, err)
}

func listHooks(c *call) (any, error) {
	limit, err := c.limit()
	if err != nil {
		return nil, err
	}
	f := inspect.HookFilter{
		RunID: c.query.Get("run_id"), Type: c.query.Get("type"), Prefix: c.query.Get("prefix"), After: c.query.Get("after"), Limit: limit,
	}
	if err := f.Validate(); err != nil {
		return nil, badRequest("query", err.Error())
	}
	hooks, err := c.client.Hooks(c.Context(), f)
	if err != nil {
		return nil, err
	}
	page := api.Hooks{Hooks: hooks}
	if len(hooks) == pageLength(limit) {
		page.Next = hooks[len(hooks)-1].Cursor
	}
	return page, nil
}

func getHook(c *call) (any, error) { return answer(c.client.HookByToken(c.Context(), c.name)) }

func resumeHook(c *call) (any, error) {
	req, err := decode[api.Resume](c)
	if err != nil {
		return nil, err
	}
	if req.Payload == nil {
		return nil, badRequest("payload", "it is missing")
	}
	resume, err := req.Request(c.name)
	if err != nil {
		return nil, fmt.Errorf("resume hook: %w", err)
	}
	return answer(c.client.ResumeHook(c.Context(), resume))
}

func listLinks(c *call) (any, error) {
	after, err1 := c.number("after")
	limit, err2 := c.limit()
	if err := errors.Join(err1, err2); err != nil {
		return nil, err
	}
	f := inspect.LinkFilter{
		RunID: c.query.Get("run_id"), HookID: c.query.Get("hook_id"), Addressee: c.query.Get("addressee"), After: after, Limit: limit,
	}
	if err := f.Validate(); err != nil {
		return nil, badRequest("query", err.Error())
	}
	links, err := c.client.Links(c.Context(), f)
	return answer(api.Links{Links: links}, err)
}

func getLink(c *call) (any, error) { return answer(c.client.Link(c.Context(), c.name)) }

func listRefused(c *call) (any, error) {
	before, err1 := c.number("before")
	limit, err2 := c.limit()
	if err := errors.Join(err1, err2); err != nil {
		return nil, err
	}
	f := inspect.RefusedFilter{Before: before, Limit: limit}
	if err := f.Validate(); err != nil {
		return nil, badRequest("query", err.Error())
	}
	all, err := c.client.RefusedRequests(c.Context(), f)
	return answer(api.RefusedRequests{Requests: all}, err)
}

func getRefused(c *call) (any, error) {
	return answer(c.client.RefusedRequest(c.Context(), c.name))
}

func redeliver(c *call) (any, error) {
	body, err := decode[inspect.Redelivery](c)
	if err != nil {
		return nil, err
	}
	body.ID = c.name
	return answer(c.client.Redeliver(c.Context(), body))
}

func listTopics(c *call) (any, error) {
	limit, err := c.limit()
	if err != nil {
		return nil, err
	}
	f := inspect.TopicFilter{Topic: c.query.Get("topic"), After: c.query.Get("after"), Limit: limit}
	if err := f.Validate(); err != nil {
		return nil, badRequest("query", err.Error())
	}
	topics, err := c.client.Topics(c.Context(), f)
	if err != nil {
		return nil, err
	}
	page := api.Topics{Topics: topics}
	if len(topics) == pageLength(limit) {
		page.Next = topics[len(topics)-1].Cursor
	}
	return page, nil
}

func publish(c *call) (any, error) {
	req, err := decode[api.Publish](c)
	if err != nil {
		return nil, err
	}
	if req.Payload == nil {
		return nil, badRequest("payload", "it is missing")
	}
	p, err := req.Request(c.name)
	if err != nil {
		return nil, fmt.Errorf("publish to topic %q: %w", c.name, err)
	}
	return answer(c.client.Publish(c.Context(), p))
}

func callHook(c *call) (any, error) {
	body, err := decode[api.Call](c)
	if err != nil {
		return nil, err
	}
	if body.Input == nil {
		return nil, badRequest("input", "it is missing")
	}
	req, err := body.Request(c.name)
	if err != nil {
		return nil, fmt.Errorf("call: %w", err)
	}
	return c.answered(func(ctx context.Context) (workflow.CallAnswer, error) { return c.client.CallHook(ctx, req) })
}

func getAnswer(c *call) (any, error) {
	req := workflow.AnswerRequest{Token: c.name, IdempotencyKey: c.query.Get("idempotency_key"), Request: c.query.Get("request"), RunID: c.query.Get("run_id")}
	switch {
	case (req.IdempotencyKey == "") == (req.Request == ""):
		return nil, badRequest("request", "either it or idempotency_key is needed, and not both")
	case (req.Request == "") != (req.RunID == ""):
		return nil, badRequest("run_id", "it is needed with request, and only then")
	}
	return c.answered(func(ctx context.Context) (workflow.CallAnswer, error) { return c.client.AwaitAnswer(ctx, req) })
}

// answered waits for an answer, or returns one that has only the request to which it is still to come.
func (c *call) answered(await func(context.Context) (workflow.CallAnswer, error)) (any, error) {
	wait, err := c.number("wait")
	switch {
	case err != nil:
		return nil, err
	case wait > int64(api.MaxWait/time.Second):
		return nil, badRequest("wait", "it is more than 60")
	case wait == 0 && c.query.Has("wait"):
		return nil, badRequest("wait", "it is less than 1")
	case wait == 0:
		wait = 25
	}
	ctx, cancel := context.WithTimeout(c.Context(), time.Duration(wait)*time.Second)
	defer cancel()
	a, err := await(ctx)
	u, unanswered := errors.AsType[*workflow.UnansweredError](err)
	switch {
	case err == nil:
		return a, nil
	case !unanswered || errors.Is(err, workflow.ErrRunEnded) || errors.Is(err, workflow.ErrRunPaused):
		return nil, err
	}
	return workflow.CallAnswer{Request: u.Request, RunID: u.RunID, Duplicate: a.Duplicate}, nil
}

func getCatalog(c *call) (any, error) { return answer(c.client.Catalog(c.Context())) }
