package dashboard

import (
	"errors"
	"net/http"
	"slices"
	"strconv"

	"github.com/tenter-dev/tenter/inspect"
)

const pageOfEvents = 200

type journalPage struct {
	RunID  string
	Events []event
	After  int64
	Total  int64
	Until  string // the last event of a generation that is over; empty: it is followed
	Next   string // link to the page that follows; empty: this is the last
	Last   string // link to the last page
}

// event is an entry of the journal, in one line.
type event struct {
	inspect.Event
	Line string // the beginning of its data
	URL  string // of all that there is of it
}

// newJournalPage makes a page of the journal that ends with event total. until is total if that is the
// end of a generation, and "" if more may come.
func newJournalPage(id string, events []inspect.Event, total int64, until string) *journalPage {
	p := &journalPage{RunID: id, Total: total, Until: until}
	for _, e := range events {
		shown := event{Event: e, URL: to("event", "id", id, "position", e.Position)}
		switch {
		case e.Request != nil:
			shown.Line = e.Request.Method + " " + e.Request.URL
		case e.Kind.Failure():
			shown.Line = cutLine(inspect.Failure(e.Data))
		case len(e.Data) > 0:
			shown.Line = oneLine(e.Data)
		}
		p.Events = append(p.Events, shown)
	}
	if n := len(p.Events); n > 0 && p.Events[n-1].Position < total {
		p.Next = to("journal", "id", id, "after", p.Events[n-1].Position, "until", until)
	}
	if total > pageOfEvents {
		p.Last = to("journal", "id", id, "after", max(0, total-pageOfEvents), "until", until)
	}
	return p
}

// journal shows a page of the journal.
func (d *dashboard) journal(r *request) error {
	id := r.query.Get("id")
	after, err := strconv.ParseInt(r.query.Get("after"), 10, 64)
	if r.query.Get("after") != "" && (err != nil || after < 0) {
		return badRequest(errors.New("after is the position of an event: a number"))
	}
	info, err := r.client.RunInfo(r.Context(), id)
	if err != nil {
		return err
	}
	events, err := r.client.Journal(r.Context(), id, after, pageOfEvents)
	if err != nil {
		return err
	}
	last := info.Events
	until := r.query.Get("until")
	if until != "" {
		if last, err = strconv.ParseInt(until, 10, 64); err != nil || last < 1 {
			return badRequest(errors.New("until is the position of an event: a number, from 1"))
		}
		events = slices.DeleteFunc(events, func(e inspect.Event) bool { return e.Position > last })
	}
	p := newJournalPage(id, events, last, until)
	p.After = after
	return d.render(r, http.StatusOK, "journal", view{Title: "Journal of " + id, Nav: "runs", Data: p})
}

type eventPage struct {
	RunID   string
	Event   event
	Doc     *doc
	Failure *failure
	Request *requestDoc
}

// event shows one event.
func (d *dashboard) event(r *request) error {
	id := r.query.Get("id")
	e, err := d.oneEvent(r, id, r.query.Get("position"))
	if err != nil {
		return err
	}
	all := to("payload", "run", id, "event", e.Position)
	p := &eventPage{RunID: id, Event: newJournalPage(id, []inspect.Event{e}, 0, "").Events[0], Doc: jsonDoc(e.Data, 4*shown, all), Request: newRequestDoc(e.Request, 4*shown, all)}
	if e.Kind.Failure() {
		p.Failure = parseFailure(e.Data)
	}
	return d.render(r, http.StatusOK, "event", view{Title: "Event " + r.query.Get("position") + " of " + id, Nav: "runs", Data: p})
}
