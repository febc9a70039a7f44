package client

import (
	"context"
	"fmt"
	"net/url"

	"github.com/tenter-dev/tenter/inspect"
	"github.com/tenter-dev/tenter/internal/api"
	"github.com/tenter-dev/tenter/workflow"
)

// Resume sends a payload to a hook, see [workflow.Client].
func (c *Client) Resume(ctx context.Context, token string, payload any, opts ...workflow.ResumeOption) (workflow.HookInfo, error) {
	var info workflow.HookInfo
	if err := c.usable(ctx); err != nil {
		return info, fmt.Errorf("resume hook: %w", err)
	}
	req, err := workflow.NewResume(token, payload, opts...)
	if err != nil {
		return info, err
	}
	body := api.Resume{Payload: req.Payload, Type: req.Type}
	if req.IdempotencyKey != "" {
		body.IdempotencyKey = &req.IdempotencyKey
	}
	if req.OrStart != nil {
		start := api.NewStart(*req.OrStart)
		body.OrStart = &start
	}
	r := post("hooks/"+api.Segment(token)+"/resume", body)
	r.safe = req.IdempotencyKey != ""
	_, err = c.call(ctx, r, &info)
	return info, about(fmt.Sprintf("resume hook %q", token), err)
}

// HookByToken looks at the open hook that has the token, see [workflow.Client].
func (c *Client) HookByToken(ctx context.Context, token string) (info workflow.HookInfo, err error) {
	return info, c.look(ctx, fmt.Sprintf("look up hook %q", token), get("hooks/"+api.Segment(token), nil), &info)
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
