package dashboard

import (
	"cmp"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/oklog/ulid/v2"

	"github.com/tenter-dev/tenter/inspect"
	"github.com/tenter-dev/tenter/internal/form"
	"github.com/tenter-dev/tenter/workflow"
)

type workflowsPage struct {
	inspect.Catalog
	Workflows []workflowRow
}

type workflowRow struct {
	Name     string
	Versions []int
	Known    bool                    // here, so that it can be started
	Paused   *inspect.PausedWorkflow // nil: it is not
	Actions  []action
}

// workflows shows what can be started and resumed.
func (d *dashboard) workflows(r *request) error {
	catalog, err := r.client.Catalog(r.Context())
	if err != nil {
		return err
	}
	paused, err := r.client.PausedWorkflows(r.Context())
	if err != nil {
		return err
	}
	p := &workflowsPage{Catalog: catalog}
	for _, w := range catalog.Workflows {
		row := workflowRow{Name: w.Name, Versions: w.Versions, Known: true}
		if i := slices.IndexFunc(paused, func(q inspect.PausedWorkflow) bool { return q.Workflow == w.Name }); i >= 0 {
			row.Paused = &paused[i]
		}
		p.Workflows = append(p.Workflows, row)
	}
	for i, q := range paused { // by others, perhaps
		if !slices.ContainsFunc(p.Workflows, func(row workflowRow) bool { return row.Name == q.Workflow }) {
			p.Workflows = append(p.Workflows, workflowRow{Name: q.Workflow, Paused: &paused[i]})
		}
	}
	for i := range p.Workflows {
		row := &p.Workflows[i]
		row.Actions = workflowActions(row.Name, row.Paused != nil)
	}
	return d.render(r, http.StatusOK, "workflows", view{Title: "Workflows", Nav: "workflows", Data: p})
}

type startPage struct {
	Workflow string
	Like     string // the run whose input is the prefill
	RunID    string // as it was asked for
	Fresh    string // the ID that it gets otherwise: sending the form twice starts one run
	Form     *form.Form
	Error    string
}

// startForm shows the form that starts a run.
func (d *dashboard) startForm(r *request) error {
	like := r.query.Get("like")
	var input json.RawMessage
	if like != "" {
		events, err := r.client.Journal(r.Context(), like, 0, 1)
		if err != nil {
			return err
		}
		if len(events) > 0 && events[0].Kind == inspect.EventStarted {
			input = events[0].Data
		}
	}
	p, err := d.startPage(r, r.query, input)
	if err != nil {
		return err
	}
	p.Like = like
	return d.showStart(r, http.StatusOK, p)
}

func (d *dashboard) showStart(r *request, status int, p *startPage) error {
	return d.render(r, status, "start", view{Title: "Start " + p.Workflow, Nav: "workflows", Here: to("start", "workflow", p.Workflow), Data: p})
}

func (d *dashboard) startPage(r *request, values url.Values, prefill json.RawMessage) (*startPage, error) {
	name := r.query.Get("workflow")
	if name == "" {
		return nil, badRequest(errors.New("which workflow? pick one of the list"))
	}
	catalog, err := r.client.Catalog(r.Context())
	if err != nil {
		return nil, err
	}
	var input json.RawMessage
	for _, w := range catalog.Workflows {
		if w.Name == name {
			input = w.Input
		}
	}
	p := &startPage{
		Workflow: name, RunID: strings.TrimSpace(values.Get("run_id")), Fresh: values.Get("fresh"), Form: form.New(form.Options{Schema: input, Label: "Input", Values: values, Prefill: prefill}),
	}
	if _, err := ulid.ParseStrict(p.Fresh); err != nil {
		p.Fresh = strings.ToLower(ulid.Make().String()) // as the engine makes them
	}
	return p, nil
}

// start starts a run. Another button of the form changes the form alone.
func (d *dashboard) start(r *request) error {
	if err := r.parseForm(); err != nil {
		return err
	}
	p, err := d.startPage(r, r.PostForm, nil)
	if err != nil {
		return err
	}
	if p.Form.Changed {
		return d.showStart(r, http.StatusOK, p)
	}
	input, ok := p.Form.Payload()
	if !ok {
		return d.showStart(r, http.StatusUnprocessableEntity, p)
	}
	id, err := r.client.StartRun(r.Context(), workflow.StartRequest{
		Workflow: p.Workflow, RunID: cmp.Or(p.RunID, p.Fresh), Input: input,
	})
	if taken, ok := errors.AsType[*workflow.RunExistsError](err); ok {
		if p.RunID == "" { // sent twice
			return r.redirect(to("run", "id", taken.RunID))
		}
		p.Error = "There is a run " + taken.RunID + " already: choose another ID, or none."
		return d.showStart(r, http.StatusConflict, p)
	}
	if err != nil {
		p.Error = err.Error()
		return d.showStart(r, explain(err).status, p)
	}
	return r.redirect(to("run", "id", id, "notice", "started"))
}
