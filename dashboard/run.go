package dashboard

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"time"

	"github.com/tenter-dev/tenter/inspect"
	"github.com/tenter-dev/tenter/workflow"
)

type runPage struct {
	Run     workflow.RunInfo
	Earlier []earlier // generations that are over
	Forks   []string  // IDs of the newest
	Awaited []string  // IDs of the newest that await it
	Shown   int       // the generation that the page shows
	Begin   time.Time // when it began
	End     time.Time // when it ended, or now
	Length  int64     // of the journal of the generation
	Actions []action
	Waits   []wait
	Chart   *chart         // nil: the journal is too long
	Started workflow.Actor // who did
	Stopped workflow.Actor // who terminated it
	Input   *doc
	Output  *doc
	Failure *failure
	Mail    []message
	Journal *journalPage
	Again   string // link to the form that starts such a run
	Links   *linkList
}

// earlier is a generation that is over.
type earlier struct {
	inspect.Generation
	URL string
}

// Length is how many events the generation has had.
func (e earlier) Length() int64 { return e.Last - e.Base }

// wait is what the run waits for, and the form that ends the waiting.
type wait struct {
	inspect.Wait
	Webhook bool
	Call    bool
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
	detail, err := loadShown(r, info)
	if err != nil {
		return err
	}
	p := newRunPage(r, detail)
	if p.Earlier, err = earlierOf(r, info); err != nil {
		return err
	}
	if p.Forks, err = newest(r, inspect.RunFilter{ForkedFrom: info.ID}); err != nil {
		return err
	}
	if p.Awaited, err = newest(r, inspect.RunFilter{Awaits: info.ID}); err != nil {
		return err
	}
	if p.Links, err = linksOf(r, info.ID, ""); err != nil {
		return err
	}
	return d.render(r, http.StatusOK, "run", view{
		Title: info.Workflow + " " + id, Nav: "runs", Live: link("live", url.Values{"run": {id}}), Data: p,
	})
}

// loadShown loads the generation that is asked for, or the present one.
func loadShown(r *request, info workflow.RunInfo) (*inspect.Detail, error) {
	asked := r.query.Get("generation")
	if asked == "" {
		return load(r.Context(), r.client, info)
	}
	n, err := strconv.Atoi(asked)
	if err != nil || n < 0 || n > info.Generation {
		return nil, badRequest(fmt.Errorf("generation is a number from 0 to %d", info.Generation))
	}
	if n == info.Generation {
		return load(r.Context(), r.client, info)
	}
	return inspect.LoadGeneration(r.Context(), frugal{r.client}, info.ID, n)
}

// shownGenerations is how many generations that are over are listed.
const shownGenerations = 20

// earlierOf lists the last generations that are over, the newest first.
func earlierOf(r *request, info workflow.RunInfo) ([]earlier, error) {
	if info.Generation == 0 {
		return nil, nil
	}
	over, err := r.client.Generations(r.Context(), info.ID)
	if err != nil {
		return nil, err
	}
	var list []earlier
	for _, g := range slices.Backward(over) {
		if len(list) == shownGenerations {
			break
		}
		list = append(list, earlier{g, to("run", "id", info.ID, "generation", g.Number)})
	}
	return list, nil
}

// newest returns the IDs of the newest runs of a list.
func newest(r *request, f inspect.RunFilter) (ids []string, err error) {
	f.Limit = 5
	runs, err := r.client.Runs(r.Context(), f)
	for _, run := range runs {
		ids = append(ids, run.ID)
	}
	return ids, err
}

func newRunPage(r *request, detail *inspect.Detail) *runPage {
	run := detail.Run
	p := &runPage{
		Run: run, Shown: detail.Generation, End: run.EndedAt, Actions: actions(run, detail), Again: to("start", "workflow", run.Workflow, "like", run.ID),
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
			shown.Webhook, shown.Call, shown.Form, shown.Name = h.Webhook, h.Call, to("hook", "run", run.ID, "id", h.ID), h.Token
		}
		if left[w.For] > 0 && (i == len(waits)-1 || waits[i+1].For != w.For) {
			shown.More = moreWaits(run.ID, w.For)
		}
		p.Waits = append(p.Waits, shown)
	}
	begin, first, last, over := run.CreatedAt, run.Base+1, run.Events, detail.Generation < run.Generation
	if n := len(detail.Events); n > 0 {
		first = detail.Events[0].Position
		if detail.Generation > 0 {
			begin = detail.Events[0].At
		}
		if over {
			last, p.End = detail.Events[n-1].Position, detail.Events[n-1].At
		}
	}
	p.Begin, p.Length = begin, last-first+1
	drawn := begin
	if run.ForkedFrom != nil && len(detail.Events) > 0 {
		drawn = detail.Events[0].At // it is older than the run
	}
	if p.Length <= maxDrawn {
		p.Chart = newChart(run.ID, detail.Items, drawn, p.End, !run.Status.Ended() && !over, over, r)
		for i := range p.Chart.Rows {
			if row := &p.Chart.Rows[i]; row.Kind == inspect.KindStep {
				row.ForkURL = to("act", "id", run.ID, "do", "fork", "step", row.Name)
			}
		}
	}
	p.Started, p.Stopped = detail.StartedBy, detail.EndedBy
	p.Input = jsonDoc(detail.Input, shown, to("payload", "run", run.ID, "event", first))
	generation := "" // whose unread payloads these are, if it is over
	if over {
		generation = strconv.Itoa(detail.Generation)
	}
	for _, m := range detail.Mail {
		all := to("payload", "run", run.ID, "mail", m.At.UTC().Format(time.RFC3339Nano), "generation", generation)
		if m.Kind == inspect.EventStarted {
			p.Input, p.Started = jsonDoc(m.Data, shown, all), m.By // no worker has begun it
			continue
		}
		p.Mail = append(p.Mail, message{m, jsonDoc(m.Data, shown, all), newRequestDoc(m.Request, shown, all)})
	}
	p.Output = jsonDoc(detail.Output, shown, to("payload", "run", run.ID, "event", run.Events))
	p.Failure = parseFailure(detail.Error)
	until := "" // more may come
	if over {
		until = strconv.FormatInt(last, 10)
	}
	p.Journal = newJournalPage(run.ID, detail.Events[:min(len(detail.Events), pageOfEvents)], last, until)
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
