package server

import (
	"errors"
	"fmt"
	"net/http"

	"github.com/tenter-dev/tenter/inspect"
	"github.com/tenter-dev/tenter/internal/run"
	"github.com/tenter-dev/tenter/workflow"
)

// fault is an error that callers may want to act on, and how the API answers it.
type fault struct {
	code   string
	status int
	title  string
	is     func(error) bool
}

// faults are looked through in this order.
var faults = []fault{
	{"unanswered", http.StatusConflict, "The run has the request, and no answer", isA[*workflow.UnansweredError]},
	{"hook_conflict", http.StatusConflict, "The token belongs to another run", isA[*workflow.HookConflictError]},
	{"run_exists", http.StatusConflict, "The run ID is taken", is(workflow.ErrRunExists)},
	{"hook_type", http.StatusConflict, "The hook is of another type", isA[*workflow.HookTypeError]},
	{"retry_refused", http.StatusConflict, "The run can't be retried", isA[*workflow.RetryRefusedError]},
	{"fork_refused", http.StatusConflict, "The run can't be forked there", isA[*workflow.ForkRefusedError]},
	{"payload_invalid", http.StatusUnprocessableEntity, "The payload is not valid", isA[*workflow.PayloadError]},
	{"input_invalid", http.StatusUnprocessableEntity, "The input is not valid", isA[*workflow.InputError]},
	{"payload_too_large", http.StatusRequestEntityTooLarge, "Too large", is(workflow.ErrPayloadTooLarge)},
	{"unknown_workflow", http.StatusUnprocessableEntity, "There is no such workflow", is(workflow.ErrUnknownWorkflow)},
	{"hook_not_found", http.StatusNotFound, "No open hook has the token", is(workflow.ErrHookNotFound)},
	{"link_not_found", http.StatusNotFound, "There is no such link", is(workflow.ErrLinkNotFound)},
	{"refused_not_found", http.StatusNotFound, "There is no such refused request", is(inspect.ErrRefusedNotFound)},
	{"not_verified", http.StatusUnprocessableEntity, "The request can't be verified", is(inspect.ErrNotVerified)},
	{"run_not_found", http.StatusNotFound, "There is no such run", is(workflow.ErrRunNotFound)},
	{"run_ended", http.StatusConflict, "The run has ended", is(workflow.ErrRunEnded)},
	{"old_worker", http.StatusConflict, "A worker knows no pauses", is(workflow.ErrOldWorker)},
	{"invalid_token", http.StatusBadRequest, "This can't be a token", is(workflow.ErrInvalidToken)},
	{"invalid_name", http.StatusBadRequest, "This can't be a name or an ID", is(workflow.ErrInvalidName)},
	{"invalid_cursor", http.StatusBadRequest, "This list has no such cursor", is(inspect.ErrInvalidCursor)},
	{"outcome_unknown", http.StatusInternalServerError, "Nobody knows whether it was written", is(workflow.ErrOutcomeUnknown)},
	{"engine_closed", http.StatusServiceUnavailable, "The server stops", is(workflow.ErrEngineClosed)},
}

// Codes of problems that are not errors of an engine.
const (
	codeBadRequest   = "bad_request"
	codeUnauthorized = "unauthorized"
	codeForbidden    = "forbidden"
	codeNoSuchPath   = "no_such_path"
	codeMethod       = "method_not_allowed"
	codeTimeout      = "request_timeout"
	codeMediaType    = "unsupported_media_type"
	codeInternal     = "internal"
)

func is(want error) func(error) bool { return func(err error) bool { return errors.Is(err, want) } }

func isA[E error](err error) bool {
	_, ok := errors.AsType[E](err)
	return ok
}

// findFault returns the fault that an error is, or nil.
func findFault(err error) *fault {
	for i := range faults {
		if faults[i].is(err) {
			return &faults[i]
		}
	}
	return nil
}

// fielder is a validation error that knows which field is wrong.
type fielder interface {
	error
	Field() string
}

// apiProblem is how an error is answered by the API, whose callers may know all of it.
func apiProblem(err error) *problem {
	if p, ok := errors.AsType[*problem](err); ok {
		return p
	}
	f := findFault(err)
	if f == nil {
		return &problem{Status: http.StatusInternalServerError, Code: codeInternal, Detail: "see the log of the server"}
	}
	if f.status == http.StatusInternalServerError {
		// What the store says is for the log.
		err = fmt.Errorf("%w: repeat the request with the same run ID or idempotency key", workflow.ErrOutcomeUnknown)
	}
	p := &problem{Status: f.status, Code: f.code, Title: f.title, Detail: err.Error(), Recorded: run.EncodeError(err)}
	if wrong, ok := errors.AsType[fielder](err); ok {
		p.Field = wrong.Field()
	}
	return p
}
