package server

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
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
	path    string // below api.Path; {run_id} and {token} stand for names
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
	aLimit  = `{"type":"integer","minimum":1,"maximum":1000,"default":100}`
	aStatus = `{"type":"string","enum":["running","waiting","blocked","completed","failed","canceled"]}`

	aReasonCode = "why the run is blocked: no_worker, no_workflow, no_version, no_definition, non_deterministic, killed_workers, " +
		"no_public_url, no_verifier, or unknown; there may be more of them"
)

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
	case strings.Contains(r.path, "{run_id}"):
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
			method: "POST", path: "runs/{run_id}/retry", write: true, id: "retryRun", summary: "Let a failed run go on from its journal, or a blocked one try again",
			empty: "it goes on", faults: []string{"run_not_found", "retry_refused", "hook_conflict"}, serve: order(inspect.Client.RetryRun),
		},
		{
			method: "GET", path: "counts", id: "countRuns", summary: "Count the runs of each status",
			status: 200, answer: reflect.TypeFor[api.Counts](), serve: countRuns,
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
	if err := errors.Join(err1, err2, err3); err != nil {
		return nil, err
	}
	f := inspect.RunFilter{
		Status: workflow.Status(c.query.Get("status")), Workflow: c.query.Get("workflow"), ParentID: c.query.Get("parent_id"),
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

func terminateRun(c *call) (any, error) {
	var t api.Terminate
	if len(c.body) > 0 {
		var err error
		if t, err = decode[api.Terminate](c); err != nil {
			return nil, err
		}
	}
	return nil, c.client.TerminateRun(c.Context(), c.name, t.Reason)
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

func getCatalog(c *call) (any, error) { return answer(c.client.Catalog(c.Context())) }
