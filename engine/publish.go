package engine

import (
	"cmp"
	"context"
	"fmt"

	"github.com/tenter-dev/tenter/engine/internal/execution"
	"github.com/tenter-dev/tenter/inspect"
	"github.com/tenter-dev/tenter/store"
	"github.com/tenter-dev/tenter/workflow"
)

// Publish sends a payload to all hooks that listen to a topic and a subject, and returns when it is
// durable. Use [workflow.Topic.Publish], which documents the errors.
func (e *Engine) Publish(ctx context.Context, req workflow.PublishRequest) (workflow.Publication, error) {
	return e.publish(ctx, e.direct(), nil, req)
}

// publish carries out a publication, unless refused says why it can't.
func (e *Engine) publish(ctx context.Context, in operations, refused error, req workflow.PublishRequest) (workflow.Publication, error) {
	if err := e.usable(ctx); err != nil {
		return workflow.Publication{}, fmt.Errorf("publish to topic %q: %w", req.Topic, err)
	}
	if refused == nil {
		refused = e.checkPublication(&req)
	}
	if refused == nil {
		refused = ctx.Err()
	}
	actor := ""
	if refused == nil {
		actor, refused = actorOf(ctx)
	}
	if refused != nil {
		return workflow.Publication{}, fmt.Errorf("publish to topic %q: %w", req.Topic, refused)
	}
	p := store.Publication{
		Topic: req.Topic, Subject: req.Subject, Data: req.Payload, Key: storeKey(req.IdempotencyKey), KeepFor: e.opts.DedupeFor, AtOnce: e.opts.PublishAtOnce,
		Actor: actor,
	}
	published := e.tel.Publishing(ctx, &p)
	done, err := in.Publish(ctx, p)
	published(done, err)
	if err != nil {
		return workflow.Publication{}, fmt.Errorf("publish to topic %q: %w", req.Topic, err)
	}
	return workflow.Publication{Topic: req.Topic, Subject: req.Subject, Listeners: done.Count, Number: done.Seq, Duplicate: done.Duplicate}, nil
}

// Topics lists what open hooks listen to, in the order of topics and subjects.
func (e *Engine) Topics(ctx context.Context, f inspect.TopicFilter) ([]inspect.Topic, error) {
	fail := func(err error) ([]inspect.Topic, error) { return nil, fmt.Errorf("list topics: %w", err) }
	if err := e.usable(ctx); err != nil {
		return fail(err)
	}
	if err := f.Validate(); err != nil {
		return fail(err)
	}
	after, err := parseTopicCursor(f.After)
	if err != nil {
		return fail(err)
	}
	topics, err := e.store.Topics(ctx, store.TopicFilter{Topic: f.Topic, After: after, Limit: cmp.Or(f.Limit, defaultLimit)})
	if err != nil {
		return fail(err)
	}
	all := make([]inspect.Topic, len(topics))
	for i, t := range topics {
		all[i] = inspect.Topic{Topic: t.Topic, Subject: t.Subject, Listeners: t.Listeners, Behind: t.Behind, PublishedAt: t.PublishedAt, Cursor: topicCursor(&t)}
	}
	return all, nil
}

// checkPublication says what is wrong with what is to be published.
func (e *Engine) checkPublication(req *workflow.PublishRequest) error {
	if err := req.Validate(); err != nil {
		return err
	}
	if err := execution.CheckSize("the payload", req.Payload, e.opts.MaxPayload); err != nil {
		return err
	}
	t, known := e.hookTypes[req.Topic]
	switch {
	case !known:
		return nil
	case !t.Topic:
		return fmt.Errorf("%w: %q is a hook type, not a topic", workflow.ErrInvalidName, req.Topic)
	}
	if err := t.Check(req.Payload); err != nil {
		return &workflow.PayloadError{Err: err}
	}
	return nil
}
