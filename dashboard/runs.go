package dashboard

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/tenter-dev/tenter/inspect"
	"github.com/tenter-dev/tenter/workflow"
)

const pageOfRuns = 50

// statuses are those of runs, in the order in which they are shown.
var statuses = []workflow.Status{
	workflow.StatusRunning, workflow.StatusWaiting, workflow.StatusBlocked,
	workflow.StatusCompleted, workflow.StatusFailed, workflow.StatusCanceled,
}

type runsPage struct {
	Filter    inspect.RunFilter
	Within    string // the last day, say: as a duration
	Since     string // as it was given
	Until     string
	Filtered  bool
	Counts    inspect.Counts
	Tabs      []tab
	Workflows []string
	Runs      []runRow
	First     string // links; empty: there is none
	Next      string
	Fields    url.Values // of the filter, but for the status
}

type runRow struct {
	workflow.RunInfo
	Stranded bool // no live worker has its workflow in its version
}

// tab is a link that shows the runs of one status, or all.
type tab struct {
	Status workflow.Status
	Count  string
	URL    string
	On     bool
}

// periods are those that can be picked.
var periods = []struct{ Value, Name string }{
	{"", "any time"}, {"1h", "the last hour"}, {"24h", "the last 24 hours"}, {"168h", "the last 7 days"}, {"720h", "the last 30 days"},
}

func (p *runsPage) Periods() any { return periods }

// runs shows the list of runs.
func (d *dashboard) runs(r *request) error {
	p, err := parseRunFilter(r)
	if err != nil {
		return badRequest(err)
	}
	f := p.Filter
	f.Limit = pageOfRuns + 1
	runs, err := r.client.Runs(r.Context(), f)
	if err != nil {
		return err
	}
	if p.Counts, err = r.client.CountRuns(r.Context()); err != nil {
		return err
	}
	catalog, err := r.client.Catalog(r.Context())
	if err != nil {
		return err
	}
	versions := make(map[string][]int)
	for _, w := range catalog.Workflows {
		p.Workflows = append(p.Workflows, w.Name)
		versions[w.Name] = w.Versions
	}
	q := r.URL.Query()
	q.Del("notice")
	q.Del("before")
	if p.Filter.Before != "" {
		p.First = link("", q)
	}
	if len(runs) > pageOfRuns {
		runs = runs[:pageOfRuns]
		next := clone(q)
		next.Set("before", runs[pageOfRuns-1].Cursor)
		p.Next = link("", next)
	}
	for _, run := range runs {
		live := versions[run.Workflow]
		p.Runs = append(p.Runs, runRow{run, !run.Status.Ended() && (len(live) == 0 || run.Version > 0 && !slices.Contains(live, run.Version))})
	}
	p.Tabs = append(p.Tabs, tab{URL: link("", without(q, "status")), On: p.Filter.Status == ""})
	for _, s := range statuses {
		of := clone(q)
		of.Set("status", string(s))
		p.Tabs = append(p.Tabs, tab{s, counted(p.Counts[s]), link("", of), p.Filter.Status == s})
	}
	title := "Runs"
	if p.Filter.Status != "" {
		title = "Runs: " + string(p.Filter.Status)
	}
	return d.render(r, http.StatusOK, "runs", view{Title: title, Nav: "runs", Query: p.Filter.Prefix, Live: "live", Data: p})
}

func parseRunFilter(r *request) (*runsPage, error) {
	get := func(name string) string { return strings.TrimSpace(r.query.Get(name)) }
	p := &runsPage{
		Filter: inspect.RunFilter{
			Status: workflow.Status(get("status")), Workflow: get("workflow"), ParentID: r.query.Get("parent"),
			Paused: get("paused") != "", Prefix: get("prefix"), Before: r.query.Get("before"),
		},
		Within: get("within"), Since: get("since"), Until: get("until"),
	}
	if s := p.Filter.Status; s != "" && !slices.Contains(statuses, s) {
		return nil, fmt.Errorf("there is no status %q: the statuses are %v", s, statuses)
	}
	var err1, err2, err3 error
	if p.Within != "" {
		var within time.Duration
		within, err1 = time.ParseDuration(p.Within)
		p.Filter.Since = r.now.Add(-within)
	}
	if p.Since != "" {
		p.Filter.Since, err2 = parseTime(p.Since)
	}
	if p.Until != "" {
		p.Filter.Until, err3 = parseTime(p.Until)
	}
	p.Filtered = p.Filter.Workflow != "" || p.Filter.Prefix != "" || p.Filter.ParentID != "" || p.Filter.Paused || p.Within != "" || p.Since != "" || p.Until != ""
	return p, errors.Join(err1, err2, err3, p.Filter.Validate())
}

// parseTime takes what browsers send, which has no zone: it is UTC, as the form says.
func parseTime(s string) (time.Time, error) {
	for _, layout := range []string{time.RFC3339Nano, "2006-01-02T15:04:05", "2006-01-02T15:04", "2006-01-02"} {
		if t, err := time.Parse(layout, s); err == nil {
			return t, nil
		}
	}
	return time.Time{}, fmt.Errorf("%q is not a time: write it as 2006-01-02T15:04, in UTC", s)
}

func clone(q url.Values) url.Values {
	c := make(url.Values, len(q))
	for k, v := range q {
		c[k] = slices.Clone(v)
	}
	return c
}

func without(q url.Values, name string) url.Values {
	c := clone(q)
	c.Del(name)
	return c
}

// find goes to what the search box has: a run, a hook by its token, or else the runs
// whose IDs begin so.
func (d *dashboard) find(r *request) error {
	q := strings.TrimSpace(r.query.Get("q"))
	if q == "" {
		return r.redirect("./")
	}
	run, err := r.client.RunInfo(r.Context(), q)
	switch {
	case err == nil:
		return r.redirect(to("run", "id", run.ID))
	case !errors.Is(err, workflow.ErrRunNotFound) && !errors.Is(err, workflow.ErrInvalidName):
		return err
	}
	hook, err := r.client.HookByToken(r.Context(), q)
	switch {
	case err == nil:
		return r.redirect(to("hook", "run", hook.RunID, "id", hook.ID))
	case !errors.Is(err, workflow.ErrHookNotFound) && !errors.Is(err, workflow.ErrInvalidToken):
		return err
	}
	return r.redirect(to("", "prefix", q))
}
