package workflowtest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/tenter-dev/tenter/internal/journal"
	"github.com/tenter-dev/tenter/internal/run"
	"github.com/tenter-dev/tenter/workflow"
)

// FakeClient is a [workflow.Client] that executes nothing: it records what it is asked for. It is
// for tests of code that starts runs, resumes hooks or awaits results, where the workflow itself
// does not matter; where it does, use [Test]. The zero value works. It is safe for concurrent use.
//
// A run exists once it was started, and ends by [FakeClient.Complete], [FakeClient.Fail] or
// TerminateRun. A hook exists once [FakeClient.OpenHook] has opened it. What
// can't be done fails with the error of an engine, and is not recorded.
type FakeClient struct {
	workflow.UnimplementedClient

	mu           sync.Mutex
	err          error
	starts       []workflow.StartRequest
	resumes      []workflow.ResumeRequest
	controls     []Control
	startedBy    []workflow.Actor
	resumedBy    []workflow.Actor
	forkedBy     []workflow.Actor
	forks        []workflow.ForkRequest
	runs         map[string]*fakeRun
	hooks        map[string]workflow.HookInfo // by token
	keys         map[[2]string]workflow.HookInfo
	publications []workflow.PublishRequest
	known        map[[3]string]workflow.Publication // by topic, subject and idempotency key

	answer  func(workflow.CallRequest) (any, error)
	calls   []workflow.CallRequest
	answers map[[2]string]workflow.CallAnswer // by token and key
}

var _ workflow.Client = (*FakeClient)(nil)

// Control is what was asked of a run, or of a workflow.
type Control struct {
	Verb   string // cancel, terminate, wake, retry, pause or resume
	RunID  string // empty: it was asked of Workflow
	Reason string // of a terminate or pause

	Workflow string
	By       workflow.Actor // who asked, see [workflow.WithActor]
}

type fakeRun struct {
	info   workflow.RunInfo
	result workflow.RunResult
	ended  chan struct{}
}

// Starts returns the requests for runs so far, in order, those of OrStart included. The ID of a run
// is there also if the request had none.
func (c *FakeClient) Starts() []workflow.StartRequest {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.starts)
}

// Resumes returns the payloads that were accepted so far, in order.
func (c *FakeClient) Resumes() []workflow.ResumeRequest {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.resumes)
}

// Publications returns what was published so far, in order, whether somebody listened or not. A hook
// listens that [FakeClient.OpenHook] has opened with a Subject; its Type is the topic.
func (c *FakeClient) Publications() []workflow.PublishRequest {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.publications)
}

// Controls returns what was asked of runs so far, in order.
func (c *FakeClient) Controls() []Control {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.controls)
}

// Forks returns the requests to fork runs so far, in order, without those that were dry runs. The ID
// of a fork is there also if the request had none.
func (c *FakeClient) Forks() []workflow.ForkRequest {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.forks)
}

// StartedBy returns the actors of what [FakeClient.Starts] has, in the same order, see
// [workflow.WithActor].
func (c *FakeClient) StartedBy() []workflow.Actor { return c.actors(&c.startedBy) }

// ResumedBy returns the actors of what [FakeClient.Resumes] has.
func (c *FakeClient) ResumedBy() []workflow.Actor { return c.actors(&c.resumedBy) }

// ForkedBy returns the actors of what [FakeClient.Forks] has.
func (c *FakeClient) ForkedBy() []workflow.Actor { return c.actors(&c.forkedBy) }

func (c *FakeClient) actors(of *[]workflow.Actor) []workflow.Actor {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(*of)
}

// OpenHook opens a hook, which takes payloads from now on. Its token is needed, the rest is up to
// the test.
func (c *FakeClient) OpenHook(h workflow.HookInfo) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.open(h)
}

func (c *FakeClient) open(h workflow.HookInfo) {
	if c.hooks == nil {
		c.hooks = map[string]workflow.HookInfo{}
	}
	c.hooks[h.Token] = h
}

// CloseHook closes the hook that has a token.
func (c *FakeClient) CloseHook(token string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.hooks, token)
}

// Refuse has all further calls fail with err, as if the engine could not be reached; nil ends it.
func (c *FakeClient) Refuse(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.err = err
}

// Complete ends a run with a result. It panics if there is no such run, it has ended, or the result
// does not encode.
func (c *FakeClient) Complete(runID string, result any) {
	data, err := json.Marshal(result)
	if err != nil {
		panic("workflowtest: the result of run " + runID + ": " + err.Error())
	}
	c.mustEnd(runID, workflow.RunResult{Status: workflow.StatusCompleted, Output: data})
}

// Fail ends a run with an error. It panics if there is no such run or it has ended.
func (c *FakeClient) Fail(runID string, err error) {
	c.mustEnd(runID, workflow.RunResult{Status: workflow.StatusFailed, Error: run.EncodeError(err)})
}

func (c *FakeClient) mustEnd(runID string, how workflow.RunResult) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := c.end(runID, how); err != nil {
		panic("workflowtest: end run " + runID + ": " + err.Error())
	}
}

func (c *FakeClient) end(runID string, how workflow.RunResult) error {
	r, err := c.live(runID)
	if err != nil {
		return err
	}
	how.RunID, how.Workflow = runID, r.info.Workflow
	r.result, r.info.Status, r.info.EndedAt = how, how.Status, time.Now()
	close(r.ended)
	for token, h := range c.hooks {
		if h.RunID == runID {
			delete(c.hooks, token)
		}
	}
	return nil
}

// live finds a run that has not ended.
func (c *FakeClient) live(runID string) (*fakeRun, error) {
	r, ok := c.runs[runID]
	switch {
	case !ok:
		return nil, workflow.ErrRunNotFound
	case r.info.Status.Ended():
		return nil, workflow.ErrRunEnded
	}
	return r, nil
}

// check says why a call fails before it is looked at.
func (c *FakeClient) check(ctx context.Context) error {
	if err := run.CheckOutside(ctx); err != nil {
		return err
	}
	if c.err != nil {
		return c.err
	}
	return ctx.Err()
}

// StartRun implements [workflow.Client]. A run without an ID gets run-1, run-2 and so on.
func (c *FakeClient) StartRun(ctx context.Context, req workflow.StartRequest) (string, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	err := c.check(ctx)
	if err == nil {
		err = c.start(ctx, &req)
	}
	if err != nil {
		return "", fmt.Errorf("start %s: %w", req.Workflow, err)
	}
	return req.RunID, nil
}

func (c *FakeClient) start(ctx context.Context, req *workflow.StartRequest) error {
	for n := len(c.starts) + 1; req.RunID == ""; n++ {
		if id := "run-" + strconv.Itoa(n); c.runs[id] == nil {
			req.RunID = id
		}
	}
	if c.runs[req.RunID] != nil {
		return &workflow.RunExistsError{RunID: req.RunID}
	}
	if c.runs == nil {
		c.runs = map[string]*fakeRun{}
	}
	now := time.Now()
	c.runs[req.RunID] = &fakeRun{
		info: workflow.RunInfo{
			ID: req.RunID, Workflow: req.Workflow, Version: req.Version, Status: workflow.StatusRunning, CreatedAt: now, UpdatedAt: now,
		},
		ended: make(chan struct{}),
	}
	c.starts, c.startedBy = append(c.starts, *req), append(c.startedBy, workflow.ActorOf(ctx))
	return nil
}

// ResumeHook implements [workflow.Client].
func (c *FakeClient) ResumeHook(ctx context.Context, req workflow.ResumeRequest) (workflow.HookInfo, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	err := c.check(ctx)
	if err == nil {
		err = req.Validate()
	}
	if err != nil {
		return workflow.HookInfo{}, fmt.Errorf("resume hook: %w", err)
	}
	h, err := c.resume(ctx, &req)
	if err != nil {
		return workflow.HookInfo{}, fmt.Errorf("resume hook %s: %w", run.QuoteToken(req.Token), err)
	}
	return h, nil
}

// Publish implements [workflow.Client].
func (c *FakeClient) Publish(ctx context.Context, req workflow.PublishRequest) (workflow.Publication, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	err := c.check(ctx)
	if err == nil {
		err = req.Validate()
	}
	if err != nil {
		return workflow.Publication{}, fmt.Errorf("publish to topic %q: %w", req.Topic, err)
	}
	key := [3]string{req.Topic, req.Subject, req.IdempotencyKey}
	if p, known := c.known[key]; known && req.IdempotencyKey != "" {
		p.Duplicate = true
		return p, nil
	}
	c.publications = append(c.publications, req)
	p := workflow.Publication{Topic: req.Topic, Subject: req.Subject}
	for _, h := range c.hooks {
		if h.Type == req.Topic && h.Subject == req.Subject {
			p.Listeners++
			p.Number = int64(len(c.publications))
		}
	}
	if req.IdempotencyKey != "" && p.Listeners > 0 {
		if c.known == nil {
			c.known = map[[3]string]workflow.Publication{}
		}
		c.known[key] = p
	}
	return p, nil
}

func (c *FakeClient) resume(ctx context.Context, req *workflow.ResumeRequest) (workflow.HookInfo, error) {
	key := [2]string{req.Token, req.IdempotencyKey}
	if h, known := c.keys[key]; known && req.IdempotencyKey != "" {
		h.Duplicate = true
		return h, nil
	}
	h, open := c.hooks[req.Token]
	switch {
	case !open && req.OrStart == nil:
		return h, workflow.ErrHookNotFound
	case open && req.Type != nil && *req.Type != h.Type:
		return h, &workflow.HookTypeError{Token: req.Token, Want: *req.Type, Got: h.Type}
	case !open:
		start := *req.OrStart
		if err := c.start(ctx, &start); err != nil {
			return h, err
		}
		h = workflow.HookInfo{ID: start.RunID + ".h0", RunID: start.RunID, Token: req.Token, CreatedAt: time.Now()}
		if req.Type != nil {
			h.Type = *req.Type
		}
		c.open(h)
		h.Started = true
	}
	if req.IdempotencyKey != "" {
		if c.keys == nil {
			c.keys = map[[2]string]workflow.HookInfo{}
		}
		c.keys[key] = h
	}
	c.resumes, c.resumedBy = append(c.resumes, *req), append(c.resumedBy, workflow.ActorOf(ctx))
	return h, nil
}

// AnswerCalls has the requests of calls answered by f: with what it returns, or refused with its error.
// A call is a hook that was opened with HookInfo.Call. Without AnswerCalls, or with nil, nobody answers:
// callers wait as long as their context allows.
func (c *FakeClient) AnswerCalls(f func(workflow.CallRequest) (any, error)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.answer = f
}

// Calls returns the requests of calls that were taken so far, in order.
func (c *FakeClient) Calls() []workflow.CallRequest {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.calls)
}

// CallHook implements [workflow.Client], see AnswerCalls.
func (c *FakeClient) CallHook(ctx context.Context, req workflow.CallRequest) (workflow.CallAnswer, error) {
	a, h, err := c.call(ctx, &req)
	switch {
	case err != nil:
		return workflow.CallAnswer{}, fmt.Errorf("call %s: %w", run.QuoteToken(req.Token), err)
	case a.Output == nil && a.Error == nil:
		<-ctx.Done()
		err := &workflow.UnansweredError{Token: req.Token, RunID: h.RunID, Request: a.Request, Err: ctx.Err()}
		return workflow.CallAnswer{}, fmt.Errorf("call %s: %w", run.QuoteToken(req.Token), err)
	}
	return a, nil
}

func (c *FakeClient) call(ctx context.Context, req *workflow.CallRequest) (a workflow.CallAnswer, h workflow.HookInfo, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := c.check(ctx); err != nil {
		return a, h, err
	}
	if err := req.Validate(); err != nil {
		return a, h, err
	}
	key := [2]string{req.Token, req.IdempotencyKey}
	if first, known := c.answers[key]; known && req.IdempotencyKey != "" {
		first.Duplicate = true
		return first, h, nil
	}
	h, open := c.hooks[req.Token]
	switch {
	case !open:
		return a, h, workflow.ErrHookNotFound
	case req.Type != nil && *req.Type != h.Type:
		return a, h, &workflow.HookTypeError{Token: req.Token, Want: *req.Type, Got: h.Type}
	case !h.Call:
		return a, h, &workflow.PayloadError{Token: req.Token, Err: errors.New("it belongs to a hook that answers nothing")}
	}
	c.calls = append(c.calls, *req)
	a = workflow.CallAnswer{Request: "request-" + strconv.Itoa(len(c.calls)), RunID: h.RunID}
	if c.answer == nil {
		return a, h, nil
	}
	out, refused := c.answer(*req)
	if refused != nil {
		a.Error = run.EncodeError(refused)
	} else if a.Output, err = json.Marshal(out); err != nil {
		return a, h, fmt.Errorf("encode the answer: %w", err)
	}
	if req.IdempotencyKey != "" {
		if c.answers == nil {
			c.answers = map[[2]string]workflow.CallAnswer{}
		}
		c.answers[key] = a
	}
	return a, h, nil
}

// AwaitAnswer implements [workflow.Client]: it knows the answers that AnswerCalls has given, by their
// keys.
func (c *FakeClient) AwaitAnswer(ctx context.Context, req workflow.AnswerRequest) (workflow.CallAnswer, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	err := c.check(ctx)
	if err == nil {
		err = req.Validate()
	}
	a, known := c.answers[[2]string{req.Token, req.IdempotencyKey}]
	if err == nil && !known {
		err = workflow.ErrHookNotFound
	}
	if err != nil {
		return workflow.CallAnswer{}, fmt.Errorf("await answer of %s: %w", run.QuoteToken(req.Token), err)
	}
	a.Duplicate = true
	return a, nil
}

// HookByToken implements [workflow.Client].
func (c *FakeClient) HookByToken(ctx context.Context, token string) (workflow.HookInfo, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	err := c.check(ctx)
	h, open := c.hooks[token]
	if err == nil && !open {
		err = workflow.ErrHookNotFound
	}
	if err != nil {
		return workflow.HookInfo{}, fmt.Errorf("look up hook %s: %w", run.QuoteToken(token), err)
	}
	return h, nil
}

// RunInfo implements [workflow.Client]. A run is running until it ends.
func (c *FakeClient) RunInfo(ctx context.Context, runID string) (workflow.RunInfo, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	r, err := c.find(ctx, runID)
	if err != nil {
		return workflow.RunInfo{}, fmt.Errorf("look up run %s: %w", runID, err)
	}
	return r.info, nil
}

func (c *FakeClient) find(ctx context.Context, runID string) (*fakeRun, error) {
	if err := c.check(ctx); err != nil {
		return nil, err
	}
	if r, ok := c.runs[runID]; ok {
		return r, nil
	}
	return nil, workflow.ErrRunNotFound
}

// AwaitRun implements [workflow.Client]. It waits until the test ends the run.
func (c *FakeClient) AwaitRun(ctx context.Context, runID string) (workflow.RunResult, error) {
	result, err := c.await(ctx, runID)
	if err != nil {
		return workflow.RunResult{}, fmt.Errorf("await run %s: %w", runID, err)
	}
	return result, nil
}

func (c *FakeClient) await(ctx context.Context, runID string) (workflow.RunResult, error) {
	for {
		c.mu.Lock()
		r, err := c.find(ctx, runID)
		if err != nil || r.info.Status.Ended() {
			defer c.mu.Unlock()
			if err != nil {
				return workflow.RunResult{}, err
			}
			return r.result, nil
		}
		ended := r.ended
		c.mu.Unlock()
		select {
		case <-ended:
		case <-ctx.Done():
			return workflow.RunResult{}, ctx.Err()
		}
	}
}

// CancelRun implements [workflow.Client]. The run goes on until the test ends it.
func (c *FakeClient) CancelRun(ctx context.Context, runID string) error {
	return c.control(ctx, Control{Verb: "cancel", RunID: runID}, c.live)
}

// WakeRun implements [workflow.Client].
func (c *FakeClient) WakeRun(ctx context.Context, runID string) error {
	return c.control(ctx, Control{Verb: "wake", RunID: runID}, c.live)
}

// TerminateRun implements [workflow.Client]. It ends the run.
func (c *FakeClient) TerminateRun(ctx context.Context, runID, reason string) error {
	return c.control(ctx, Control{Verb: "terminate", RunID: runID, Reason: reason}, func(string) (*fakeRun, error) {
		f := journal.Failure{Text: "terminated", Is: []string{journal.IsRunCanceled, journal.IsRunTerminated}}
		if reason != "" {
			f.Text += ": " + reason
		}
		return nil, c.end(runID, workflow.RunResult{Status: workflow.StatusCanceled, Error: f.Encode()})
	})
}

// RetryRun implements [workflow.Client]. A run that has failed is running again. Other runs are
// refused: those of a fake have no steps that could wait for an attempt.
func (c *FakeClient) RetryRun(ctx context.Context, runID string) error {
	return c.control(ctx, Control{Verb: "retry", RunID: runID}, func(string) (*fakeRun, error) {
		r, ok := c.runs[runID]
		switch {
		case !ok:
			return nil, workflow.ErrRunNotFound
		case r.info.Status != workflow.StatusFailed:
			return nil, &workflow.RetryRefusedError{RunID: runID, Reason: "it has not failed"}
		}
		r.info.Status, r.info.EndedAt, r.ended = workflow.StatusRunning, time.Time{}, make(chan struct{})
		return r, nil
	})
}

// ForkRun implements [workflow.Client]. The fork is running until it ends. There is no journal, so any
// place will do, and nothing is executed again.
func (c *FakeClient) ForkRun(ctx context.Context, req workflow.ForkRequest) (workflow.ForkPlan, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	plan := workflow.ForkPlan{RunID: req.RunID, ForkID: req.ForkID, Position: req.Position, Again: []workflow.ForkedAgain{}}
	origin, err := c.find(ctx, req.RunID)
	switch {
	case err == nil && (req.Step == "") == (req.Position == 0):
		err = &workflow.ForkRefusedError{RunID: req.RunID, Reason: "say where: at a step, or at a position, and not both"}
	case err == nil && !req.DryRun:
		start := workflow.StartRequest{Workflow: origin.info.Workflow, RunID: req.ForkID}
		err = c.start(ctx, &start)
		req.ForkID = start.RunID
	}
	if err != nil {
		return workflow.ForkPlan{}, fmt.Errorf("fork run %s: %w", req.RunID, err)
	}
	if req.DryRun {
		return plan, nil
	}
	c.starts, c.startedBy = c.starts[:len(c.starts)-1], c.startedBy[:len(c.startedBy)-1] // the fake keeps starts apart
	c.runs[req.ForkID].info.ForkedFrom = &workflow.ForkedFrom{RunID: req.RunID, Position: req.Position, Step: req.Step}
	c.forks, c.forkedBy = append(c.forks, req), append(c.forkedBy, workflow.ActorOf(ctx))
	plan.ForkID = req.ForkID
	return plan, nil
}

// PauseRun implements [workflow.Client]. The run is shown as paused.
func (c *FakeClient) PauseRun(ctx context.Context, runID string, req workflow.PauseRequest) error {
	return c.control(ctx, Control{Verb: "pause", RunID: runID, Reason: req.Why}, func(string) (*fakeRun, error) {
		r, err := c.live(runID)
		if err == nil && r.info.Paused == nil {
			r.info.Paused = &workflow.Pause{At: time.Now().UTC(), By: workflow.ActorOf(ctx), Why: req.Why}
		}
		return r, err
	})
}

// ResumeRun implements [workflow.Client].
func (c *FakeClient) ResumeRun(ctx context.Context, runID string) error {
	return c.control(ctx, Control{Verb: "resume", RunID: runID}, func(string) (*fakeRun, error) {
		r, err := c.live(runID)
		if err == nil {
			r.info.Paused = nil
		}
		return r, err
	})
}

// PauseWorkflow implements [workflow.Client].
func (c *FakeClient) PauseWorkflow(ctx context.Context, name string, req workflow.PauseRequest) error {
	return c.controlWorkflow(ctx, Control{Verb: "pause", Workflow: name, Reason: req.Why})
}

// ResumeWorkflow implements [workflow.Client].
func (c *FakeClient) ResumeWorkflow(ctx context.Context, name string) error {
	return c.controlWorkflow(ctx, Control{Verb: "resume", Workflow: name})
}

func (c *FakeClient) controlWorkflow(ctx context.Context, what Control) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := c.check(ctx); err != nil {
		return fmt.Errorf("%s workflow %s: %w", what.Verb, what.Workflow, err)
	}
	what.By = workflow.ActorOf(ctx)
	c.controls = append(c.controls, what)
	return nil
}

// control carries out what was asked of a run, and records it.
func (c *FakeClient) control(ctx context.Context, what Control, do func(runID string) (*fakeRun, error)) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	err := c.check(ctx)
	if err == nil {
		_, err = do(what.RunID)
	}
	if err != nil {
		return fmt.Errorf("%s run %s: %w", what.Verb, what.RunID, err)
	}
	what.By = workflow.ActorOf(ctx)
	c.controls = append(c.controls, what)
	return nil
}
