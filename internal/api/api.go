// Package api is what the server of the HTTP API and its clients have in common: paths,
// and the bodies that have no type elsewhere.
package api

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/tenter-dev/tenter/inspect"
	"github.com/tenter-dev/tenter/workflow"
)

// ActorHeader is the header in which a request says who sends it: the JSON of a workflow.Actor, in
// ASCII. An API key has to allow that.
const ActorHeader = "Tenter-Actor"

// Path is where the API is served.
const Path = "/api/v1/"

// MaxWait is how long a request for a result is held at most. A client that waits longer asks
// again.
const MaxWait = 60 * time.Second

// The bodies of answers.
type (
	// Started is the answer to the start of a run.
	Started struct {
		RunID string `json:"run_id"`
	}
	// Runs is a page of a list of runs.
	Runs struct {
		Runs []workflow.RunInfo `json:"runs"`
		Next string             `json:"next,omitempty" jsonschema:"before of the next page, if there may be one"`
	}
	// Counts are numbers of runs.
	Counts struct {
		Counts inspect.Counts `json:"counts" jsonschema:"numbers of runs by status; 10000 means that many or more, and a status that is missing has none"`
	}
	// Journal is a page of a journal.
	Journal struct {
		Events []inspect.Event `json:"events" jsonschema:"none: there are no more"`
	}
	// Generations are the generations of a run that are over.
	Generations struct {
		Generations []inspect.Generation `json:"generations"`
	}
	// Mailbox is a mailbox.
	Mailbox struct {
		Messages []inspect.Message `json:"messages"`
	}
	// Executing are attempts of steps.
	Executing struct {
		Attempts []inspect.Attempt `json:"attempts"`
	}
	// PausedWorkflows are the workflows that are paused.
	PausedWorkflows struct {
		Workflows []inspect.PausedWorkflow `json:"workflows"`
	}
	// Links is a page of a list of links.
	Links struct {
		Links []inspect.Link `json:"links"`
	}
	// RefusedRequests is a page of a list of refused requests.
	RefusedRequests struct {
		Requests []inspect.RefusedRequest `json:"requests"`
	}
	// Topics is a page of a list of topics.
	Topics struct {
		Topics []inspect.Topic `json:"topics"`
		Next   string          `json:"next,omitempty" jsonschema:"after of the next page, if there may be one"`
	}
	// Hooks is a page of a list of hooks.
	Hooks struct {
		Hooks []workflow.HookInfo `json:"hooks"`
		Next  string              `json:"next,omitempty" jsonschema:"after of the next page, if there may be one"`
	}
)

// The bodies of requests that have no type elsewhere.
type (
	// Resume is a payload with its options, as workflow.ResumeRequest has them. A key that is
	// there and empty is not the same as none.
	Resume struct {
		Payload        json.RawMessage `json:"payload"`
		Type           *string         `json:"type,omitempty" jsonschema:"what the hook's type has to be"`
		IdempotencyKey *string         `json:"idempotency_key,omitempty" jsonschema:"makes it safe to repeat; it may not be empty"`
		OrStart        *Start          `json:"or_start,omitempty" jsonschema:"the run to start if no open hook has the token"`
	}
	// Publish is a payload for a topic with its options, as workflow.PublishRequest has them.
	Publish struct {
		Subject        string          `json:"subject" jsonschema:"what within the topic it is about"`
		Payload        json.RawMessage `json:"payload"`
		IdempotencyKey *string         `json:"idempotency_key,omitempty" jsonschema:"makes it safe to repeat; it may not be empty"`
	}
	// Call is a request of a call with its options, as workflow.CallRequest has them. A key that is
	// there and empty is not the same as none.
	Call struct {
		Input          json.RawMessage `json:"input"`
		Type           *string         `json:"type,omitempty" jsonschema:"name of the call that it has to be"`
		IdempotencyKey *string         `json:"idempotency_key,omitempty" jsonschema:"makes it safe to repeat; it may not be empty"`
	}
	// Start asks for a run, as workflow.StartRequest does. An ID that is there and empty
	// is not the same as none.
	Start struct {
		Workflow string          `json:"workflow"`
		Version  int             `json:"version,omitempty" jsonschema:"0: the highest that the worker which begins it has"`
		RunID    *string         `json:"run_id,omitempty" jsonschema:"makes it safe to repeat; it may not be empty"`
		Input    json.RawMessage `json:"input,omitempty"`
	}
	// Fork asks for a new run that begins with the journal of another one, as workflow.ForkRequest
	// does.
	Fork struct {
		Step     string  `json:"step,omitempty" jsonschema:"a step such as charge#1, which the fork executes again; or position"`
		Position int64   `json:"position,omitempty" jsonschema:"of the last event that the fork has; or step"`
		ForkID   *string `json:"fork_id,omitempty" jsonschema:"run ID of the fork; it may not be empty"`
		Version  int     `json:"version,omitempty" jsonschema:"0: that of the origin"`
		DryRun   bool    `json:"dry_run,omitempty" jsonschema:"only say what it would do"`
	}
	// Terminate says why a run is terminated.
	Terminate struct {
		Reason string `json:"reason,omitempty"`
	}
)

// NewResume makes the body of a request.
func NewResume(r workflow.ResumeRequest) Resume {
	b := Resume{Payload: r.Payload, Type: r.Type}
	if r.IdempotencyKey != "" {
		b.IdempotencyKey = &r.IdempotencyKey
	}
	if r.OrStart != nil {
		start := NewStart(*r.OrStart)
		b.OrStart = &start
	}
	return b
}

// Request is the inverse of NewResume.
func (b Resume) Request(token string) (workflow.ResumeRequest, error) {
	r := workflow.ResumeRequest{Token: token, Payload: b.Payload, Type: b.Type}
	if b.IdempotencyKey != nil {
		if *b.IdempotencyKey == "" {
			return r, fmt.Errorf("idempotency key: %w: it is empty", workflow.ErrInvalidName)
		}
		r.IdempotencyKey = *b.IdempotencyKey
	}
	if b.OrStart != nil {
		start, err := b.OrStart.Request()
		if err != nil {
			return r, err
		}
		r.OrStart = &start
	}
	return r, nil
}

// NewPublish makes the body of a request.
func NewPublish(r workflow.PublishRequest) Publish {
	b := Publish{Subject: r.Subject, Payload: r.Payload}
	if r.IdempotencyKey != "" {
		b.IdempotencyKey = &r.IdempotencyKey
	}
	return b
}

// NewCall makes the body of a request.
func NewCall(r workflow.CallRequest) Call {
	b := Call{Input: r.Input, Type: r.Type}
	if r.IdempotencyKey != "" {
		b.IdempotencyKey = &r.IdempotencyKey
	}
	return b
}

// Request is the inverse of NewPublish.
func (b Publish) Request(topic string) (workflow.PublishRequest, error) {
	r := workflow.PublishRequest{Topic: topic, Subject: b.Subject, Payload: b.Payload}
	if b.IdempotencyKey != nil {
		if *b.IdempotencyKey == "" {
			return r, fmt.Errorf("idempotency key: %w: it is empty", workflow.ErrInvalidName)
		}
		r.IdempotencyKey = *b.IdempotencyKey
	}
	return r, nil
}

// Request is the inverse of NewCall.
func (b Call) Request(token string) (workflow.CallRequest, error) {
	r := workflow.CallRequest{Token: token, Input: b.Input, Type: b.Type}
	if b.IdempotencyKey != nil {
		if *b.IdempotencyKey == "" {
			return r, fmt.Errorf("idempotency key: %w: it is empty", workflow.ErrInvalidName)
		}
		r.IdempotencyKey = *b.IdempotencyKey
	}
	return r, nil
}

// NewStart makes the body of a request.
func NewStart(r workflow.StartRequest) Start {
	s := Start{Workflow: r.Workflow, Version: r.Version, Input: r.Input}
	if r.RunID != "" {
		s.RunID = &r.RunID
	}
	return s
}

// Request is the inverse of NewStart.
func (s Start) Request() (workflow.StartRequest, error) {
	r := workflow.StartRequest{Workflow: s.Workflow, Version: s.Version, Input: s.Input}
	if s.Input == nil {
		r.Input = json.RawMessage("null")
	}
	if s.RunID != nil {
		if *s.RunID == "" {
			return r, fmt.Errorf("start %s: run ID: %w: it is empty", s.Workflow, workflow.ErrInvalidName)
		}
		r.RunID = *s.RunID
	}
	return r, nil
}

// Problem is the body of an error answer (RFC 9457).
type Problem struct {
	Type   string `json:"type,omitempty" jsonschema:"urn:tenter:problem: and the code, if there is one"`
	Title  string `json:"title"`
	Status int    `json:"status"`
	Detail string `json:"detail,omitempty"`
	Code   string `json:"code,omitempty" jsonschema:"what is wrong, for programs"`
	Field  string `json:"field,omitempty" jsonschema:"of the payload, if one is wrong"`
	// Recorded is the error in recorded form, see run.DecodeError.
	Recorded json.RawMessage `json:"error,omitempty" jsonschema:"the error in the form that journals have"`
}

// ProblemType is what the type of a problem begins with, before its code.
const ProblemType = "urn:tenter:problem:"

// Segment makes a segment of a path of a token or an ID, which may have any characters:
// of what proxies and clients might take for something else, or rewrite, it is base64.
func Segment(name string) string {
	plain := func(r rune) bool {
		return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("-_.:@", r)
	}
	if name == "" || strings.Trim(name, ".") == "" || strings.ContainsFunc(name, func(r rune) bool { return !plain(r) }) {
		return "~" + base64.RawURLEncoding.EncodeToString([]byte(name))
	}
	return name
}

var errSegment = errors.New("what follows a ~ has to be base64url without padding")

// Name is the inverse of Segment. It takes percent-encoding too.
func Name(segment string) (string, error) {
	if encoded, ok := strings.CutPrefix(segment, "~"); ok {
		name, err := base64.RawURLEncoding.Strict().DecodeString(encoded)
		if err != nil {
			return "", errSegment
		}
		return string(name), nil
	}
	name, err := url.PathUnescape(segment)
	if err != nil {
		return "", fmt.Errorf("path segment %q: %w", segment, err)
	}
	return name, nil
}

// NewFork makes the body of a request.
func NewFork(r workflow.ForkRequest) Fork {
	f := Fork{Step: r.Step, Position: r.Position, Version: r.Version, DryRun: r.DryRun}
	if r.ForkID != "" {
		f.ForkID = &r.ForkID
	}
	return f
}

// Request is the inverse of NewFork.
func (f Fork) Request(runID string) (workflow.ForkRequest, error) {
	r := workflow.ForkRequest{RunID: runID, Step: f.Step, Position: f.Position, Version: f.Version, DryRun: f.DryRun}
	if f.ForkID != nil {
		if *f.ForkID == "" {
			return r, fmt.Errorf("fork run %s: run ID: %w: it is empty", runID, workflow.ErrInvalidName)
		}
		r.ForkID = *f.ForkID
	}
	return r, nil
}
