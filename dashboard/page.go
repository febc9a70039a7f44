package dashboard

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"html/template"
	"net/http"
	"net/url"
	"sync"
	"time"

	"github.com/tenter-dev/tenter/inspect"
	"github.com/tenter-dev/tenter/internal/form"
	"github.com/tenter-dev/tenter/workflow"
)

// request is a request for a page.
type request struct {
	*http.Request
	w        http.ResponseWriter
	query    url.Values
	now      time.Time
	client   inspect.Client // what the caller may see, and do
	write    bool           // the caller may change things
	signedIn bool           // with a session
}

// view is what a template gets.
type view struct {
	Assets   string
	App      string // the title of the dashboard
	Title    string
	Nav      string // what of the navigation it belongs to
	Theme    string // light, dark, or empty for what the browser prefers
	Here     string // this page, relative
	Live     string // where its changes are told; empty: nowhere
	Notice   string // what has just been done
	Query    string // in the search box
	Write    bool   // show what changes something
	SignedIn bool
	By       workflow.Actor // who looks, and is recorded with what is done
	Now      time.Time
	Data     any
}

// page makes a handler of a function that answers who may look, or fails.
func (d *dashboard) page(answer func(*request) error) http.HandlerFunc {
	return d.open(func(r *request) error {
		if done, err := d.identify(r); done || err != nil {
			return err
		}
		return answer(r)
	})
}

// open makes a handler of a function that answers everybody.
func (d *dashboard) open(answer func(*request) error) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		req := &request{Request: r, w: w, query: r.URL.Query(), now: time.Now()}
		if err := answer(req); err != nil && r.Context().Err() == nil {
			d.fail(req, err)
		}
	}
}

// acting lets only those pass who may change things.
func (d *dashboard) acting(answer func(*request) error) func(*request) error {
	return func(r *request) error {
		if !r.write {
			return errReadOnly
		}
		return answer(r)
	}
}

// render answers with a page.
func (d *dashboard) render(r *request, status int, name string, v view) error {
	v.Assets, v.App, v.Now, v.Write, v.SignedIn = assetPath, d.opts.Title, r.now, r.write, r.signedIn
	v.By = workflow.ActorOf(r.Context())
	v.Theme = theme(r.Request)
	if v.Here == "" {
		v.Here = here(r)
	}
	v.Notice = notices[r.query.Get("notice")]
	var page bytes.Buffer
	if err := pages()[name].Execute(&page, v); err != nil {
		return fmt.Errorf("page %s: %w", name, err)
	}
	r.w.Header().Set("Content-Type", "text/html; charset=utf-8")
	r.w.WriteHeader(status)
	_, _ = page.WriteTo(r.w) // if it fails, nobody is there to be told
	return nil
}

// here is the page that is asked for, relative to itself.
func here(r *request) string {
	q := r.URL.Query()
	q.Del("notice")
	return link(r.URL.Path[1:], q)
}

// link makes a relative reference. The page of runs has no name.
func link(name string, q url.Values) string {
	if name == "" {
		name = "./"
	}
	if len(q) == 0 {
		return name
	}
	return name + "?" + q.Encode()
}

// redirect sends the browser to another page. http.Redirect would resolve the reference
// without the path that the dashboard is mounted at.
func (r *request) redirect(to string) error {
	r.w.Header().Set("Location", to)
	r.w.WriteHeader(http.StatusSeeOther)
	return nil
}

// problem is an error that says how to answer it.
type problem struct {
	status int
	title  string
	err    error
}

func (p *problem) Error() string { return p.err.Error() }
func (p *problem) Unwrap() error { return p.err }

var (
	errNoPage   = &problem{http.StatusNotFound, "No such page", errors.New("there is no such page here")}
	errReadOnly = &problem{http.StatusForbidden, "Read-only", errors.New("this dashboard, or the token that you have signed in with, only shows: nothing was changed")}
)

func badRequest(err error) error {
	return &problem{http.StatusBadRequest, "That can't be done", err}
}

// explain finds how to answer an error.
func explain(err error) *problem {
	if p, ok := errors.AsType[*problem](err); ok {
		return p
	}
	p := &problem{status: http.StatusInternalServerError, title: "That went wrong", err: err}
	_, refused := errors.AsType[*workflow.RetryRefusedError](err)
	_, unforkable := errors.AsType[*workflow.ForkRefusedError](err)
	_, conflict := errors.AsType[*workflow.HookConflictError](err)
	_, payload := errors.AsType[*workflow.PayloadError](err)
	_, input := errors.AsType[*workflow.InputError](err)
	_, large := errors.AsType[*http.MaxBytesError](err)
	switch {
	case errors.Is(err, workflow.ErrRunNotFound):
		p.status, p.title = http.StatusNotFound, "No such run"
	case errors.Is(err, workflow.ErrHookNotFound):
		p.status, p.title = http.StatusNotFound, "No such hook"
	case errors.Is(err, workflow.ErrLinkNotFound):
		p.status, p.title = http.StatusNotFound, "No such link"
	case errors.Is(err, inspect.ErrRefusedNotFound):
		p.status, p.title = http.StatusNotFound, "No such request"
	case errors.Is(err, inspect.ErrNotVerified):
		p.status, p.title = http.StatusUnprocessableEntity, "The request can't be verified"
	case errors.Is(err, workflow.ErrRunEnded):
		p.status, p.title = http.StatusConflict, "The run has ended"
	case errors.Is(err, workflow.ErrUnknownWorkflow):
		p.status, p.title = http.StatusUnprocessableEntity, "No such workflow"
	case errors.Is(err, workflow.ErrRunExists):
		p.status, p.title = http.StatusConflict, "There is such a run"
	case unforkable:
		p.status, p.title = http.StatusConflict, "The run can't be forked there"
	case conflict:
		p.status, p.title = http.StatusConflict, "Another run has a token of the run"
	case refused:
		p.status, p.title = http.StatusConflict, "The run can't be retried"
	case input:
		p.status, p.title = http.StatusUnprocessableEntity, "The input does not fit"
	case errors.Is(err, workflow.ErrInvalidName):
		p.status, p.title = http.StatusUnprocessableEntity, "That can't be a name or an ID"
	case payload, errors.Is(err, workflow.ErrInvalidToken):
		p.status, p.title = http.StatusUnprocessableEntity, "The payload does not fit"
	case errors.Is(err, workflow.ErrPayloadTooLarge), large:
		p.status, p.title = http.StatusRequestEntityTooLarge, "That is too large"
	case errors.Is(err, context.DeadlineExceeded):
		p.status, p.title = http.StatusGatewayTimeout, "That took too long"
	}
	return p
}

// fail answers with an error.
func (d *dashboard) fail(r *request, err error) {
	p := explain(err)
	if err := d.render(r, p.status, "problem", view{Title: p.title, Data: p}); err != nil {
		d.opts.Logger.ErrorContext(r.Context(), "dashboard: can't show an error", "error", err)
		http.Error(r.w, p.Error(), p.status)
	}
}

// Status, Text are for the template.
func (p *problem) Status() int  { return p.status }
func (p *problem) Text() string { return p.err.Error() }

// notices are what a page can say has just been done, by the name that its URL has.
var notices = map[string]string{
	"resumed":   "The payload is accepted: it is on disk, and the run will get it.",
	"duplicate": "This form was sent before: the first payload stands, nothing was sent again.",
	"started":   "The run is started.",
	"cancel":    "The run is asked to cancel.",
	"terminate": "The run is terminated.",
	"wake":      "The run's sleeps end now.",
	"retry":     "The run goes on.",
	"fork":      "The run is forked: this is the fork.",
	"pause":     "The run is paused.",
	"goes-on":   "The run is resumed.",
	"revoke":    "The link is revoked: nobody can answer by it any more.",

	"redelivered":       "The request is delivered: it is on disk, and the run will get it.",
	"redelivered-again": "The request was delivered before: the run has got it, and nothing was sent again.",

	"pause-workflow":  "The workflow is paused.",
	"resume-workflow": "The workflow is resumed.",
}

// pages are the templates of all pages, by name. A program that shows none need not parse them.
var pages = sync.OnceValue(func() map[string]*template.Template {
	shared := template.Must(template.New("layout.html").Funcs(funcs).ParseFS(templates,
		"templates/layout.html", "templates/parts.html", "templates/icons.html"))
	template.Must(shared.ParseFS(form.Templates, "templates/*.html"))
	all := make(map[string]*template.Template)
	for _, name := range []string{"runs", "failures", "run", "journal", "event", "payload", "hooks", "hook", "links", "topics", "publish", "refused", "refusedrequest", "workflows", "start", "act", "help", "problem", "signin"} {
		all[name] = template.Must(template.Must(shared.Clone()).ParseFS(templates, "templates/"+name+".html"))
	}
	return all
})
