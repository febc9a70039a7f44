package client

import (
	"context"
	"fmt"
	"net/url"

	"github.com/tenter-dev/tenter/inspect"
	"github.com/tenter-dev/tenter/internal/api"
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
	return info, about(fmt.Sprintf("resume hook %q", req.Token), err)
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
