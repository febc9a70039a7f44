package dashboard

import (
	"cmp"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/tenter-dev/tenter/inspect"
	"github.com/tenter-dev/tenter/internal/form"
	"github.com/tenter-dev/tenter/workflow"
)

const pageOfHooks = 50

type hooksPage struct {
	Filter inspect.HookFilter
	Types  []string
	Hooks  []hookRow
	First  string
	Next   string
}

type hookRow struct {
	workflow.HookInfo
	Meta string // its metadata, in one line
	URL  string
}

// hooks shows the list of open hooks.
func (d *dashboard) hooks(r *request) error {
	p := &hooksPage{Filter: inspect.HookFilter{
		RunID: r.query.Get("run"), Type: strings.TrimSpace(r.query.Get("type")), Prefix: strings.TrimSpace(r.query.Get("prefix")), After: r.query.Get("after"), Limit: pageOfHooks + 1,
	}}
	if err := p.Filter.Validate(); err != nil {
		return badRequest(err)
	}
	hooks, err := r.client.Hooks(r.Context(), p.Filter)
	if err != nil {
		return err
	}
	catalog, err := r.client.Catalog(r.Context())
	if err != nil {
		return err
	}
	for _, t := range catalog.HookTypes {
		p.Types = append(p.Types, t.Name)
	}
	q := without(r.URL.Query(), "after")
	if p.Filter.After != "" {
		p.First = link("hooks", q)
	}
	if len(hooks) > pageOfHooks {
		hooks = hooks[:pageOfHooks]
		next := clone(q)
		next.Set("after", hooks[pageOfHooks-1].Cursor)
		p.Next = link("hooks", next)
	}
	for _, h := range hooks {
		p.Hooks = append(p.Hooks, hookRow{HookInfo: h, Meta: form.Line(h.Metadata), URL: to("hook", "run", h.RunID, "id", h.ID)})
	}
	return d.render(r, http.StatusOK, "hooks", view{Title: "Open hooks", Nav: "hooks", Live: "live", Data: p})
}

type hookPage struct {
	Hook     workflow.HookInfo
	Workflow string
	Metadata []form.Fact
	Form     *form.Form
	Answer   *answer // to the request of the form, if it was sent
	Links    *linkList
}

// answer is what a run has answered to a call. With neither it has not answered yet.
type answer struct {
	Output  *doc
	Refused string
}

// A hook is found by its run and its ID: its token is a secret, which would stay in the
// history of the browser and in logs.
func (d *dashboard) findHook(r *request, runID, id string) (workflow.HookInfo, error) {
	f := inspect.HookFilter{RunID: runID, Limit: 1000}
	if err := f.Validate(); err != nil {
		return workflow.HookInfo{}, badRequest(err)
	}
	for {
		hooks, err := r.client.Hooks(r.Context(), f)
		if err != nil {
			return workflow.HookInfo{}, err
		}
		for _, h := range hooks {
			if h.ID == id {
				return h, nil
			}
		}
		if len(hooks) < f.Limit {
			return workflow.HookInfo{}, &problem{
				http.StatusNotFound, "The hook is not open",
				errors.New("hook " + id + " is not open (any more): it was closed, or its run has ended"),
			}
		}
		f.After = hooks[len(hooks)-1].Cursor
	}
}

// hook shows a hook, with a form to resume it.
func (d *dashboard) hook(r *request) error {
	p, err := d.hookPage(r, r.query)
	if err != nil {
		return err
	}
	return d.showHook(r, http.StatusOK, p)
}

func (d *dashboard) showHook(r *request, status int, p *hookPage) error {
	verb := "Resume"
	if p.Hook.Call {
		verb = "Call"
	}
	return d.render(r, status, "hook", view{
		Title: verb + " " + cmp.Or(p.Hook.Type, "hook"), Nav: "hooks", Here: to("hook", "run", p.Hook.RunID, "id", p.Hook.ID), Data: p,
	})
}

// hookPage prepares the page of a hook. Values are those of its form.
func (d *dashboard) hookPage(r *request, values url.Values) (*hookPage, error) {
	h, err := d.findHook(r, r.query.Get("run"), r.query.Get("id"))
	if err != nil {
		return nil, err
	}
	run, err := r.client.RunInfo(r.Context(), h.RunID)
	if err != nil {
		return nil, err
	}
	var payload []byte // its schema
	if h.Type != "" {
		catalog, err := r.client.Catalog(r.Context())
		if err != nil {
			return nil, err
		}
		for _, t := range catalog.HookTypes {
			if t.Name == h.Type {
				payload = t.Payload
			}
		}
	}
	links, err := linksOf(r, h.RunID, h.ID)
	if err != nil {
		return nil, err
	}
	return &hookPage{
		Hook: h, Workflow: run.Workflow, Metadata: form.Facts(h.Metadata), Links: links,
		Form: form.New(form.Options{Schema: payload, Label: "Payload", Values: values}),
	}, nil
}

// resume sends a payload to a hook. Another button of the form changes the form alone.
func (d *dashboard) resume(r *request) error {
	if err := r.parseForm(); err != nil {
		return err
	}
	p, err := d.hookPage(r, r.PostForm)
	if err != nil {
		return err
	}
	if p.Form.Changed {
		return d.showHook(r, http.StatusOK, p)
	}
	payload, ok := p.Form.Payload()
	if !ok {
		return d.showHook(r, http.StatusUnprocessableEntity, p)
	}
	if p.Hook.Call {
		return d.call(r, p, payload)
	}
	info, err := workflow.Resume(r.Context(), r.client, p.Hook.Token, payload, workflow.IdempotencyKey("dashboard:"+p.Form.Key))
	if problem := (&workflow.PayloadError{}); errors.As(err, &problem) {
		p.Form.Blame(problem.Err)
		return d.showHook(r, http.StatusUnprocessableEntity, p)
	}
	if err != nil {
		return err
	}
	notice := "resumed"
	if info.Duplicate {
		notice = "duplicate"
	}
	return r.redirect(to("run", "id", info.RunID, "notice", notice))
}

// patience is how long a caller waits for the answer of a run before the page says that there is none.
const patience = 10 * time.Second

// call sends a request to a call, and shows the answer. While there is none the form keeps its key, so
// that it asks for the same answer.
func (d *dashboard) call(r *request, p *hookPage, input []byte) error {
	ctx, cancel := context.WithTimeout(r.Context(), patience)
	defer cancel()
	// Another input is another request.
	sum := sha256.Sum256(input)
	key := "dashboard:" + p.Form.Key + ":" + hex.EncodeToString(sum[:8])
	a, err := r.client.CallHook(ctx, workflow.CallRequest{Token: p.Hook.Token, Input: input, IdempotencyKey: key})
	misfit, bad := errors.AsType[*workflow.PayloadError](err)
	unanswered, taken := errors.AsType[*workflow.UnansweredError](err)
	switch {
	case bad:
		p.Form.Blame(misfit.Err)
		return d.showHook(r, http.StatusUnprocessableEntity, p)
	case taken && errors.Is(unanswered.Err, context.DeadlineExceeded):
		p.Answer = &answer{}
	case err != nil:
		return err
	case a.Error != nil:
		p.Answer, p.Form.Key = &answer{Refused: inspect.Failure(a.Error)}, rand.Text()
	default:
		p.Answer, p.Form.Key = &answer{Output: jsonDoc(a.Output, shown, "")}, rand.Text()
	}
	return d.showHook(r, http.StatusOK, p)
}

// These bound what is sent with a form, in bytes. The engine has a limit of its own for what is
// in it.
const (
	maxForm      = 16 << 20
	maxSmallForm = 64 << 10 // without a payload: to sign in, which anybody can try
)

func (r *request) parseForm() error { return r.parseFormOf(maxForm) }

func (r *request) parseFormOf(limit int64) error {
	body, err := io.ReadAll(http.MaxBytesReader(r.w, r.Body, limit))
	if _, large := errors.AsType[*http.MaxBytesError](err); large {
		return err
	}
	if err == nil {
		r.PostForm, err = form.Values(r.Header.Get("Content-Type"), body)
	}
	if err != nil {
		return badRequest(err)
	}
	return nil
}
