package workflowtest

import (
	"context"
	"encoding/json"
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

	mu       sync.Mutex
	err      error
	starts   []workflow.StartRequest
	resumes  []workflow.ResumeRequest
	controls []Control
	runs     map[string]*fakeRun
	hooks    map[string]workflow.HookInfo // by token
	keys     map[[2]string]workflow.HookInfo
}

var _ workflow.Client = (*FakeClient)(nil)

// Control is what was asked of a run.
type Control struct {
	Verb   string // cancel, terminate, wake or retry
	RunID  string
	Reason string // of a terminate
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

// Controls returns what was asked of runs so far, in order.
func (c *FakeClient) Controls() []Control {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.controls)
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
		err = c.start(&req)
	}
	if err != nil {
		return "", fmt.Errorf("start %s: %w", req.Workflow, err)
	}
	return req.RunID, nil
}

func (c *FakeClient) start(req *workflow.StartRequest) error {
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
	c.starts = append(c.starts, *req)
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
	h, err := c.resume(&req)
	if err != nil {
		return workflow.HookInfo{}, fmt.Errorf("resume hook %q: %w", req.Token, err)
	}
	return h, nil
}

func (c *FakeClient) resume(req *workflow.ResumeRequest) (workflow.HookInfo, error) {
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
		if err := c.start(&start); err != nil {
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
	c.resumes = append(c.resumes, *req)
	return h, nil
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
		return workflow.HookInfo{}, fmt.Errorf("look up hook %q: %w", token, err)
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

// RetryRun implements [workflow.Client]. A run that has failed is running again.
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
	c.controls = append(c.controls, what)
	return nil
}
