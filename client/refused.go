package client

import (
	"context"
	"fmt"
	"net/url"

	"github.com/tenter-dev/tenter/inspect"
	"github.com/tenter-dev/tenter/internal/api"
	"github.com/tenter-dev/tenter/workflow"
)

// RefusedRequests lists requests to webhooks that were refused and kept, see [inspect.Client].
func (c *Client) RefusedRequests(ctx context.Context, f inspect.RefusedFilter) ([]inspect.RefusedRequest, error) {
	if err := f.Validate(); err != nil {
		return nil, fmt.Errorf("list refused requests: %w", err)
	}
	q := query{}
	q.number("before", f.Before)
	q.number("limit", int64(f.Limit))
	var page api.RefusedRequests
	err := c.look(ctx, "list refused requests", get("webhooks/refused", url.Values(q)), &page)
	return page.Requests, err
}

// RefusedRequest returns a request that was refused and kept, see [inspect.Client].
func (c *Client) RefusedRequest(ctx context.Context, id string) (r inspect.RefusedRequest, err error) {
	return r, c.look(ctx, "look up refused request "+id, get(refusedPath(id), nil), &r)
}

func refusedPath(id string) string { return "webhooks/refused/" + api.Segment(id) }

// Redeliver delivers a refused request after all, see [inspect.Client].
func (c *Client) Redeliver(ctx context.Context, d inspect.Redelivery) (hook workflow.HookInfo, err error) {
	what := "redeliver request " + d.ID
	if err := c.usable(ctx); err != nil {
		return hook, fmt.Errorf("%s: %w", what, err)
	}
	r := post(refusedPath(d.ID)+"/redeliver", d)
	_, err = c.call(ctx, r, &hook)
	return hook, about(what, err)
}
