package dashboard

import (
	"cmp"
	"errors"
	"net/http"
	"strconv"
	"strings"

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

// shownLinks is how many links a page shows, those that were made first.
const shownLinks = 50

// linksOf lists the links of a run, or nil if it has none.
func linksOf(r *request, runID, hookID string) (*linkList, error) {
	links, err := r.client.Links(r.Context(), inspect.LinkFilter{RunID: runID, HookID: hookID, Limit: shownLinks + 1})
	if err != nil || len(links) == 0 {
		return nil, err
	}
	list := &linkList{More: len(links) > shownLinks, Write: r.write}
	for _, l := range links[:min(len(links), shownLinks)] {
		list.Links = append(list.Links, newLinkRow(l))
	}
	return list, nil
}

func newLinkRow(l inspect.Link) linkRow {
	row := linkRow{Link: l}
	if revocable(l) {
		row.Revoke = to("act", "id", l.RunID, "link", l.ID, "do", revokeLink.Name)
	}
	return row
}

type linksPage struct {
	Addressee string
	Links     []linkRow
	First     string
	Next      string
}

// links shows what waits for the answer of one person.
func (d *dashboard) links(r *request) error {
	after, err := strconv.ParseInt(cmp.Or(r.query.Get("after"), "0"), 10, 64)
	if err != nil {
		return badRequest(errors.New("after has to be a number"))
	}
	p := &linksPage{Addressee: strings.TrimSpace(r.query.Get("addressee"))}
	title := "Answer links"
	if p.Addressee != "" {
		title = "Answer links for " + p.Addressee
		if err := p.list(r, after); err != nil {
			return err
		}
	}
	return d.render(r, http.StatusOK, "links", view{Title: title, Nav: "hooks", Live: "live", Data: p})
}

func (p *linksPage) list(r *request, after int64) error {
	f := inspect.LinkFilter{Addressee: p.Addressee, After: after, Limit: shownLinks + 1}
	if err := f.Validate(); err != nil {
		return badRequest(err)
	}
	links, err := r.client.Links(r.Context(), f)
	if err != nil {
		return err
	}
	q := without(r.URL.Query(), "after")
	if after > 0 {
		p.First = link("links", q)
	}
	if len(links) > shownLinks {
		links = links[:shownLinks]
		next := clone(q)
		next.Set("after", strconv.FormatInt(links[shownLinks-1].Number, 10))
		p.Next = link("links", next)
	}
	for _, l := range links {
		p.Links = append(p.Links, newLinkRow(l))
	}
	return nil
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
