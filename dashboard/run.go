package dashboard

import (
	"net/http"
	"net/url"
	"time"

	"github.com/tenter-dev/tenter/inspect"
	"github.com/tenter-dev/tenter/workflow"
)

type runPage struct {
	Run     workflow.RunInfo
	End     time.Time // when it ended, or now
	Actions []action
	Waits   []wait
	Chart   *chart // nil: the journal is too long
	Input   *doc
	Output  *doc
	Failure *failure
	Mail    []message
	Journal *journalPage
	Again   string // link to the form that starts such a run
}

// wait is what the run waits for, and the form that ends the waiting.
type wait struct {
	inspect.Wait
	Webhook bool
	Form    string // empty: there is none
	More    *more  // after the last one of its kind that is shown; nil: there are no more
}

// more says where the waits are that are not shown.
type more struct{ Text, URL string }

// shownWaits is how many waits of each kind are shown.
const shownWaits = 20

type message struct {
	inspect.Message
	Doc     *doc
	Request *requestDoc
}

// run shows one run.
func (d *dashboard) run(r *request) error {
	id := r.query.Get("id")
	info, err := r.client.RunInfo(r.Context(), id)
	if err != nil {
		return err
	}
	detail, err := load(r.Context(), r.client, info)
	if err != nil {
		return err
	}
	return d.render(r, http.StatusOK, "run", view{
		Title: info.Workflow + " " + id, Nav: "runs", Live: link("live", url.Values{"run": {id}}), Data: newRunPage(r, detail),
	})
}

func newRunPage(r *request, detail *inspect.Detail) *runPage {
	run := detail.Run
	p := &runPage{
		Run: run, End: run.EndedAt, Actions: actions(run), Again: to("start", "workflow", run.Workflow, "like", run.ID),
	}
	if !run.Status.Ended() {
		p.End = r.now
	}
	hooks := make(map[string]workflow.HookInfo)
	for _, h := range detail.Hooks {
		hooks[h.ID] = h
	}
	waits, left := inspect.Abridge(detail.Waits, shownWaits)
	for i, w := range waits {
		if i > 0 && w.For == inspect.ForWorker {
			continue // the first one says it
		}
		shown := wait{Wait: w}
		if h, ok := hooks[w.HookID]; ok && w.For == inspect.ForPayload {
			shown.Webhook, shown.Form, shown.Name = h.Webhook, to("hook", "run", run.ID, "id", h.ID), h.Token
		}
		if left[w.For] > 0 && (i == len(waits)-1 || waits[i+1].For != w.For) {
			shown.More = moreWaits(run.ID, w.For)
		}
		p.Waits = append(p.Waits, shown)
	}
	if run.Events <= maxDrawn {
		p.Chart = newChart(run.ID, detail.Items, run.CreatedAt, p.End, !run.Status.Ended(), r)
	}
	p.Input = jsonDoc(detail.Input, shown, to("payload", "run", run.ID, "event", 1))
	for _, m := range detail.Mail {
		all := to("payload", "run", run.ID, "mail", m.At.UTC().Format(time.RFC3339Nano))
		if m.Kind == inspect.EventStarted {
			p.Input = jsonDoc(m.Data, shown, all) // no worker has begun it
			continue
		}
		p.Mail = append(p.Mail, message{m, jsonDoc(m.Data, shown, all), newRequestDoc(m.Request, shown, all)})
	}
	p.Output = jsonDoc(detail.Output, shown, to("payload", "run", run.ID, "event", run.Events))
	p.Failure = parseFailure(detail.Error)
	p.Journal = newJournalPage(run.ID, detail.Events[:min(len(detail.Events), pageOfEvents)], run.Events)
	return p
}

func moreWaits(runID string, kind inspect.WaitFor) *more {
	switch kind {
	case inspect.ForPayload:
		return &more{"all its open hooks", to("hooks", "run", runID)}
	case inspect.ForChild:
		return &more{"all its children", to("", "parent", runID)}
	default:
		return &more{"see the timeline", "#timeline"}
	}
}
