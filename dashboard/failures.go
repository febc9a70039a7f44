package dashboard

import (
	"net/http"

	"github.com/tenter-dev/tenter/inspect"
)

// runsOfGroup is how many runs of a group of failures are shown.
const runsOfGroup = 3

type failuresPage struct {
	*runsPage // the filter
	inspect.Failures
	Groups []failureRow
}

type failureRow struct {
	inspect.FailureGroup
	Shown []string // IDs of some runs
	Rest  int      // how many others there are
}

// failures shows failed runs by their causes.
func (d *dashboard) failures(r *request) error {
	of, err := parseRunFilter(r)
	if err != nil {
		return badRequest(err)
	}
	p := &failuresPage{runsPage: of}
	p.Failures, err = r.client.Failures(r.Context(), inspect.FailureFilter{Workflow: of.Filter.Workflow, Since: of.Filter.Since, Until: of.Filter.Until})
	if err != nil {
		return err
	}
	for _, g := range p.Failures.Groups {
		shown := g.RunIDs[:min(runsOfGroup, len(g.RunIDs))]
		p.Groups = append(p.Groups, failureRow{g, shown, len(g.RunIDs) - len(shown)})
	}
	return d.render(r, http.StatusOK, "failures", view{Title: "Failures", Nav: "runs", Live: "live", Data: p})
}
