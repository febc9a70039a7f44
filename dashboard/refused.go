package dashboard

import (
	"errors"
	"net/http"
	"strconv"

	"github.com/tenter-dev/tenter/inspect"
)

const pageOfRefused = 50

type refusedPage struct {
	Requests []inspect.RefusedRequest
	First    string
	Next     string
}

// refused shows the list of requests that were refused and kept, or one of them.
func (d *dashboard) refused(r *request) error {
	if id := r.query.Get("id"); id != "" {
		return d.refusedRequest(r, id)
	}
	before, err := strconv.ParseInt("0"+r.query.Get("before"), 10, 64)
	if err != nil {
		return badRequest(errors.New("before has to be a number"))
	}
	p := &refusedPage{}
	if p.Requests, err = r.client.RefusedRequests(r.Context(), inspect.RefusedFilter{Before: before, Limit: pageOfRefused + 1}); err != nil {
		return err
	}
	if before > 0 {
		p.First = "refused"
	}
	if len(p.Requests) > pageOfRefused {
		p.Requests = p.Requests[:pageOfRefused]
		p.Next = to("refused", "before", strconv.FormatInt(p.Requests[pageOfRefused-1].Number, 10))
	}
	return d.render(r, http.StatusOK, "refused", view{Title: "Refused requests", Nav: "hooks", Data: p})
}

type refusedRequestPage struct {
	inspect.RefusedRequest
	Doc *requestDoc
}

func (d *dashboard) refusedRequest(r *request, id string) error {
	q, err := r.client.RefusedRequest(r.Context(), id)
	if err != nil {
		return err
	}
	p := &refusedRequestPage{RefusedRequest: q, Doc: newRequestDoc(&q.Request, 4*shown, "")}
	return d.render(r, http.StatusOK, "refusedrequest", view{Title: "Refused request", Nav: "hooks", Data: p})
}

// redeliver delivers a refused request.
func (d *dashboard) redeliver(r *request) error {
	if err := r.parseForm(); err != nil {
		return err
	}
	hook, err := r.client.Redeliver(r.Context(), inspect.Redelivery{ID: r.PostForm.Get("id"), Unverified: r.PostForm.Get("unverified") == "true"})
	if err != nil {
		return err
	}
	notice := "redelivered"
	if hook.Duplicate {
		notice = "redelivered-again"
	}
	return r.redirect(to("refused", "notice", notice))
}
