package client

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"time"

	"github.com/tenter-dev/tenter/inspect"
	"github.com/tenter-dev/tenter/internal/api"
	"github.com/tenter-dev/tenter/internal/run"
	"github.com/tenter-dev/tenter/workflow"
)

// ResumeHook sends a payload to a hook, see [workflow.Client]. Use [workflow.Resume], or
// [workflow.HookType.Resume] where the type is known.
func (c *Client) ResumeHook(ctx context.Context, req workflow.ResumeRequest) (workflow.HookInfo, error) {
	var info workflow.HookInfo
	if err := c.usable(ctx); err != nil {
		return info, fmt.Errorf("resume hook: %w", err)
	}
	if err := req.Validate(); err != nil {
		return info, fmt.Errorf("resume hook: %w", err)
	}
	r := post("hooks/"+api.Segment(req.Token)+"/resume", api.NewResume(req))
	r.safe = req.IdempotencyKey != ""
	_, err := c.call(ctx, r, &info)
	return info, about("resume hook "+run.QuoteToken(req.Token), err)
}

// CallHook sends a request of a call to a hook, and waits for the answer, see [workflow.Client]. Use
// [workflow.CallType.Call].
func (c *Client) CallHook(ctx context.Context, req workflow.CallRequest) (a workflow.CallAnswer, err error) {
	if err := c.usable(ctx); err != nil {
		return a, fmt.Errorf("call: %w", err)
	}
	if err := req.Validate(); err != nil {
		return a, fmt.Errorf("call: %w", err)
	}
	r := post("hooks/"+api.Segment(req.Token)+"/call", api.NewCall(req))
	r.query, r.safe = c.patience(ctx), req.IdempotencyKey != ""
	if _, err := c.call(ctx, r, &a); err != nil {
		return workflow.CallAnswer{}, about("call "+run.QuoteToken(req.Token), err)
	}
	return c.awaitAnswer(ctx, req.Token, a)
}

// AwaitAnswer waits for the answer to a request that was sent before, see [workflow.Client]. Use
// [workflow.CallType.Answer].
func (c *Client) AwaitAnswer(ctx context.Context, req workflow.AnswerRequest) (a workflow.CallAnswer, err error) {
	if err := c.usable(ctx); err != nil {
		return a, fmt.Errorf("await answer: %w", err)
	}
	if err := req.Validate(); err != nil {
		return a, fmt.Errorf("await answer: %w", err)
	}
	if req.Request != "" {
		return c.awaitAnswer(ctx, req.Token, workflow.CallAnswer{Request: req.Request, RunID: req.RunID})
	}
	q := query(c.patience(ctx))
	q.text("idempotency_key", req.IdempotencyKey)
	if err := c.look(ctx, "await answer of "+run.QuoteToken(req.Token), get(answerPath(req.Token), url.Values(q)), &a); err != nil {
		return workflow.CallAnswer{}, err
	}
	return c.awaitAnswer(ctx, req.Token, a)
}

// awaitAnswer asks for an answer until it is there.
func (c *Client) awaitAnswer(ctx context.Context, token string, a workflow.CallAnswer) (workflow.CallAnswer, error) {
	q := query(c.patience(ctx))
	q.text("request", a.Request)
	q.text("run_id", a.RunID)
	repeated := a.Duplicate
	for failed := 0; a.Output == nil && a.Error == nil; {
		_, err := c.call(ctx, get(answerPath(token), url.Values(q)), &a)
		switch {
		case err == nil:
			failed = 0
		case ctx.Err() == nil && passing(err, true) && pause(ctx, attempts+failed):
			failed++
		case ctx.Err() == nil && errors.As(err, new(*engineError)):
			return workflow.CallAnswer{}, about("await answer", err)
		default:
			return workflow.CallAnswer{}, &workflow.UnansweredError{Token: token, RunID: a.RunID, Request: a.Request, Err: ended(ctx, err)}
		}
	}
	a.Duplicate = repeated
	return a, nil
}

// answerPath is where answers to the requests of a token are. One that is asked for by its ID needs
// none.
func answerPath(token string) string {
	if token == "" {
		token = "any"
	}
	return "hooks/" + api.Segment(token) + "/answer"
}

// patience is how long a request waits: not until the caller stops waiting, so that the answer says what
// is still to come.
func (c *Client) patience(ctx context.Context) url.Values {
	wait := c.wait
	if at, ok := ctx.Deadline(); ok {
		wait = min(wait, time.Until(at)-time.Second)
	}
	return url.Values{"wait": {strconv.Itoa(max(1, int(wait/time.Second)))}}
}

// HookByToken looks at the open hook that has the token, see [workflow.Client].
func (c *Client) HookByToken(ctx context.Context, token string) (info workflow.HookInfo, err error) {
	return info, c.look(ctx, "look up hook "+run.QuoteToken(token), get("hooks/"+api.Segment(token), nil), &info)
}

// Hooks lists open hooks, see [inspect.Client].
func (c *Client) Hooks(ctx context.Context, f inspect.HookFilter) ([]workflow.HookInfo, error) {
	if err := f.Validate(); err != nil {
		return nil, fmt.Errorf("list hooks: %w", err)
	}
	q := query{}
	q.text("run_id", f.RunID)
	q.text("type", f.Type)
	q.text("prefix", f.Prefix)
	q.text("after", f.After)
	q.number("limit", int64(f.Limit))
	var page api.Hooks
	err := c.look(ctx, "list hooks", get("hooks", url.Values(q)), &page)
	return page.Hooks, err
}
