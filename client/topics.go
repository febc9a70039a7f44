package client

import (
	"context"
	"fmt"
	"net/url"

	"github.com/tenter-dev/tenter/inspect"
	"github.com/tenter-dev/tenter/internal/api"
	"github.com/tenter-dev/tenter/workflow"
)

// Publish sends a payload to all hooks that listen to a topic, see [workflow.Client]. Use
// [workflow.Topic.Publish].
func (c *Client) Publish(ctx context.Context, req workflow.PublishRequest) (workflow.Publication, error) {
	var p workflow.Publication
	if err := c.usable(ctx); err != nil {
		return p, fmt.Errorf("publish: %w", err)
	}
	if err := req.Validate(); err != nil {
		return p, fmt.Errorf("publish: %w", err)
	}
	r := post("topics/"+api.Segment(req.Topic)+"/publish", api.NewPublish(req))
	r.safe = req.IdempotencyKey != ""
	_, err := c.call(ctx, r, &p)
	return p, about(fmt.Sprintf("publish to topic %q", req.Topic), err)
}

// Topics lists what open hooks listen to, see [inspect.Client].
func (c *Client) Topics(ctx context.Context, f inspect.TopicFilter) ([]inspect.Topic, error) {
	if err := f.Validate(); err != nil {
		return nil, fmt.Errorf("list topics: %w", err)
	}
	q := query{}
	q.text("topic", f.Topic)
	q.text("after", f.After)
	q.number("limit", int64(f.Limit))
	var page api.Topics
	err := c.look(ctx, "list topics", get("topics", url.Values(q)), &page)
	return page.Topics, err
}
