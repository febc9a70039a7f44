package dashboard

import (
	"cmp"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"strings"

	"github.com/tenter-dev/tenter/inspect"
	"github.com/tenter-dev/tenter/internal/form"
	"github.com/tenter-dev/tenter/workflow"
)

const pageOfTopics = 50

type topicsPage struct {
	Filter inspect.TopicFilter
	Names  []string // of topics that are defined
	Topics []inspect.Topic
	First  string
	Next   string
}

// topics shows the list of topics and subjects that hooks listen to.
func (d *dashboard) topics(r *request) error {
	p := &topicsPage{Filter: inspect.TopicFilter{Topic: strings.TrimSpace(r.query.Get("topic")), After: r.query.Get("after"), Limit: pageOfTopics + 1}}
	if err := p.Filter.Validate(); err != nil {
		return badRequest(err)
	}
	var err error
	if p.Topics, err = r.client.Topics(r.Context(), p.Filter); err != nil {
		return err
	}
	catalog, err := r.client.Catalog(r.Context())
	if err != nil {
		return err
	}
	for _, t := range catalog.HookTypes {
		if t.Topic {
			p.Names = append(p.Names, t.Name)
		}
	}
	q := without(r.URL.Query(), "after")
	if p.Filter.After != "" {
		p.First = link("topics", q)
	}
	if len(p.Topics) > pageOfTopics {
		p.Topics = p.Topics[:pageOfTopics]
		next := clone(q)
		next.Set("after", p.Topics[pageOfTopics-1].Cursor)
		p.Next = link("topics", next)
	}
	return d.render(r, http.StatusOK, "topics", view{Title: "Topics", Nav: "hooks", Live: "live", Data: p})
}

type publishPage struct {
	Topic   string
	Subject string
	Form    *form.Form
	Done    *workflow.Publication
	Error   string
}

// publishForm shows the form that publishes to a topic.
func (d *dashboard) publishForm(r *request) error {
	p, err := d.publishPage(r, r.query)
	if err != nil {
		return err
	}
	return d.showPublish(r, http.StatusOK, p)
}

func (d *dashboard) showPublish(r *request, status int, p *publishPage) error {
	return d.render(r, status, "publish", view{
		Title: "Publish to " + p.Topic, Nav: "hooks", Here: to("publish", "topic", p.Topic, "subject", p.Subject), Data: p,
	})
}

func (d *dashboard) publishPage(r *request, values url.Values) (*publishPage, error) {
	p := &publishPage{Topic: r.query.Get("topic"), Subject: cmp.Or(values.Get("subject"), r.query.Get("subject"))}
	if p.Topic == "" {
		return nil, badRequest(errors.New("which topic? pick one of the list"))
	}
	catalog, err := r.client.Catalog(r.Context())
	if err != nil {
		return nil, err
	}
	var payload json.RawMessage // its schema
	for _, t := range catalog.HookTypes {
		if t.Name == p.Topic {
			payload = t.Payload
		}
	}
	p.Form = form.New(form.Options{Schema: payload, Label: "Payload", Values: values})
	return p, nil
}

// publish publishes a payload. Another button of the form changes the form alone.
func (d *dashboard) publish(r *request) error {
	if err := r.parseForm(); err != nil {
		return err
	}
	p, err := d.publishPage(r, r.PostForm)
	if err != nil {
		return err
	}
	if p.Form.Changed {
		return d.showPublish(r, http.StatusOK, p)
	}
	payload, ok := p.Form.Payload()
	if !ok {
		return d.showPublish(r, http.StatusUnprocessableEntity, p)
	}
	done, err := r.client.Publish(r.Context(), workflow.PublishRequest{
		Topic: p.Topic, Subject: p.Subject, Payload: payload, IdempotencyKey: "dashboard:" + p.Form.Key,
	})
	if misfit, bad := errors.AsType[*workflow.PayloadError](err); bad {
		p.Form.Blame(misfit.Err)
		return d.showPublish(r, http.StatusUnprocessableEntity, p)
	}
	if errors.Is(err, workflow.ErrInvalidName) {
		p.Error = err.Error()
		return d.showPublish(r, http.StatusUnprocessableEntity, p)
	}
	if err != nil {
		return err
	}
	p.Done = &done
	return d.showPublish(r, http.StatusOK, p)
}
