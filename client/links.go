package client

import (
	"context"
	"fmt"
	"net/url"

	"github.com/tenter-dev/tenter/inspect"
	"github.com/tenter-dev/tenter/internal/api"
)

// Links lists links to answer pages, see [inspect.Client].
func (c *Client) Links(ctx context.Context, f inspect.LinkFilter) ([]inspect.Link, error) {
	if err := f.Validate(); err != nil {
		return nil, fmt.Errorf("list links: %w", err)
	}
	q := query{}
	q.text("run_id", f.RunID)
	q.text("hook_id", f.HookID)
	q.text("addressee", f.Addressee)
	q.number("after", f.After)
	q.number("limit", int64(f.Limit))
	var page api.Links
	err := c.look(ctx, "list links", get("links", url.Values(q)), &page)
	return page.Links, err
}

// Link returns a link to an answer page by its ID, see [inspect.Client].
func (c *Client) Link(ctx context.Context, id string) (l inspect.Link, err error) {
	return l, c.look(ctx, "look up link", get("links/"+api.Segment(id), nil), &l)
}

// RevokeLink takes a link to an answer page back, see [inspect.Client].
func (c *Client) RevokeLink(ctx context.Context, id string) error {
	return c.tell(ctx, "revoke link", "links/"+api.Segment(id)+"/revoke", nil)
}
