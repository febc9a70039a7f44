package main

import (
	"strconv"
	"time"

	"github.com/tenter-dev/tenter/inspect"
	"github.com/tenter-dev/tenter/workflow"
)

type topicsListCmd struct {
	Topic string `arg:"" optional:"" help:"Only subjects of this topic."`
	Limit int    `short:"n" default:"50" placeholder:"N" help:"At most this many (${default}); 0 is all."`
}

func (c *topicsListCmd) Help() string {
	return `Hooks listen to a topic and a subject, such as "paid" and the ID of an order. What nobody listens to is not listed. "tenter hooks list --type TOPIC" lists the hooks.

  tenter topics list
  tenter topics list paid

With --json each line is a subject: topic, subject, listeners, published_at (the last time), behind (some of them have still to get what was published).`
}

func (c *topicsListCmd) Run(a *app) error {
	cl, err := a.client()
	if err != nil {
		return err
	}
	f := inspect.TopicFilter{Topic: c.Topic}
	l := list[inspect.Topic]{
		limit: c.Limit,
		page: func(limit int) ([]inspect.Topic, error) {
			f.Limit = limit
			topics, err := cl.Topics(a.ctx, f)
			if len(topics) > 0 {
				f.After = topics[len(topics)-1].Cursor
			}
			return topics, err
		},
		table: table{head: []string{"TOPIC", "SUBJECT", "LISTENERS", "PUBLISHED", ""}, keep: []int{0, 1}},
		row: func(s inspect.Topic) []cell {
			published, behind := "", ""
			if !s.PublishedAt.IsZero() {
				published = ago(s.PublishedAt, time.Now())
			}
			if s.Behind {
				behind = "a publication is under way"
			}
			return []cell{text(s.Topic), text(s.Subject), text(strconv.Itoa(s.Listeners)), text(published), text(behind)}
		},
		none: "Nobody listens to a topic.",
		more: listAll,
	}
	return l.print(a)
}

type topicsPublishCmd struct {
	Topic   string `arg:"" help:"Name of the topic."`
	Subject string `arg:"" help:"What it is about, such as the ID of an order."`
	Payload string `arg:"" help:"Payload as JSON, @FILE, or - for standard input."`
	Key     string `placeholder:"KEY" help:"Idempotency key: a second payload with it is dropped, so that this is safe to repeat."`
}

func (c *topicsPublishCmd) Help() string {
	return `Sends a payload to all hooks that listen, and returns when it is durable: then each of them gets it once, whatever crashes. If nobody listens, nothing is kept; that is not an error.

  tenter topics publish paid order-7 '{"amount": 100}' --key payment-3

A server that has the topic checks the payload, and refuses one that does not fit with exit code 4. On a database the code is elsewhere and nothing is checked: each run is told,
as a PayloadError, and may wait again or fail.

With --json it is one object: topic, subject, listeners, number; duplicate says that the key was known and the payload was dropped.`
}

func (c *topicsPublishCmd) Run(a *app) error {
	payload, err := a.payload("payload", c.Payload)
	if err != nil {
		return err
	}
	cl, err := a.client()
	if err != nil {
		return err
	}
	p, err := workflow.DefineTopic[any](c.Topic).Publish(a.ctx, cl, c.Subject, payload, keyed(c.Key)...)
	if err != nil {
		return err
	}
	if a.cli.JSON {
		return a.out.json(p)
	}
	hooks := "1 hook listens"
	if p.Listeners != 1 {
		hooks = strconv.Itoa(p.Listeners) + " hooks listen"
	}
	switch {
	case p.Duplicate:
		a.out.printf("A payload with this key was published before, to as many hooks as listened then (%d); this one was dropped.\n", p.Listeners)
	case p.Listeners == 0:
		a.out.printf("Nobody listens to %s of topic %s: nothing was kept.\n", line(c.Subject), line(c.Topic))
	default:
		a.out.printf("Published: %s to %s of topic %s.\n", hooks, line(c.Subject), line(c.Topic))
	}
	return nil
}

// keyed are the options of a publication with an idempotency key, if there is one.
func keyed(key string) []workflow.PublishOption {
	if key == "" {
		return nil
	}
	return []workflow.PublishOption{workflow.IdempotencyKey(key)}
}
