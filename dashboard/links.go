package dashboard

import (
	"errors"
	"net/http"

	"github.com/tenter-dev/tenter/inspect"
	"github.com/tenter-dev/tenter/workflow"
)

// linkList are links to answer pages that were made for a run or a hook.
type linkList struct {
	Links []linkRow
	More  bool // there are more than are shown
	Write bool
}

type linkRow struct {
	inspect.Link
	Revoke string // the confirmation; empty: nobody can answer by it any more
}

// shownLinks is how many links are shown, those that were made first.
const shownLinks = 50

// linksOf lists the links of a run, or nil if it has none.
func linksOf(r *request, runID, hookID string) (*linkList, error) {
	links, err := r.client.Links(r.Context(), inspect.LinkFilter{RunID: runID, HookID: hookID, Limit: shownLinks + 1})
	if err != nil || len(links) == 0 {
		return nil, err
	}
	list := &linkList{More: len(links) > shownLinks, Write: r.write}
	for _, l := range links[:min(len(links), shownLinks)] {
		row := linkRow{Link: l}
		if revocable(l) {
			row.Revoke = to("act", "id", runID, "link", l.ID, "do", revokeLink.Name)
		}
		list.Links = append(list.Links, row)
	}
	return list, nil
}

func revocable(l inspect.Link) bool {
	return l.State == inspect.LinkOpen || l.State == inspect.LinkCarried
}

var revokeLink = action{
	Name: "revoke", Label: "Revoke", Danger: true,
	Means: []string{
		"Nobody can answer by the link any more. Its page says that it was taken back.",
		"Other links of the same addressee stay as they are.",
		"This can't be undone: the workflow would have to make another link.",
	},
}

// findLink finds a link of a run.
func findLink(r *request, runID, id string) (inspect.Link, error) {
	l, err := r.client.Link(r.Context(), id)
	if err == nil && l.RunID != runID {
		err = workflow.ErrLinkNotFound
	}
	return l, err
}

// confirmRevoke says what revoking a link will do, and asks.
func (d *dashboard) confirmRevoke(r *request, run workflow.RunInfo, id string) error {
	l, err := findLink(r, run.ID, id)
	if err != nil {
		return err
	}
	if !revocable(l) {
		return &problem{http.StatusConflict, "That can't be done now", errors.New("the link of " + l.Addressee + " is " + string(l.State) + " by now, so there is nothing to revoke")}
	}
	return d.render(r, http.StatusOK, "act", view{Title: "Revoke a link of run " + run.ID, Nav: "runs", Data: &actPage{Run: run, Link: &l, Action: revokeLink}})
}
