package dashboard

import (
	"encoding/json"
	"errors"
	"net/http"
	"strconv"
	"time"

	"github.com/tenter-dev/tenter/inspect"
)

type payloadPage struct {
	RunID    string
	Doc      *doc
	Download string
}

// payload gives all of what an event or a message has brought, to be read or kept.
func (d *dashboard) payload(r *request) error {
	id := r.query.Get("run")
	var data json.RawMessage
	var request *inspect.Request
	if at := r.query.Get("mail"); at != "" {
		m, err := oneMessage(r, id, r.query.Get("generation"), at)
		if err != nil {
			return err
		}
		data, request = m.Data, m.Request
	} else {
		e, err := d.oneEvent(r, id, r.query.Get("event"))
		if err != nil {
			return err
		}
		data, request = e.Data, e.Request
	}
	if r.query.Get("download") != "" {
		// As a file of no type: a browser never takes it for a page.
		name := "payload.json"
		if request != nil {
			data, name = request.Body, "payload"
		}
		r.w.Header().Set("Content-Type", "application/octet-stream")
		r.w.Header().Set("Content-Disposition", `attachment; filename="`+name+`"`)
		_, _ = r.w.Write(data)
		return nil
	}
	q := r.URL.Query()
	q.Set("download", "1")
	p := &payloadPage{RunID: id, Download: link("payload", q), Doc: jsonDoc(data, len(data), "")}
	if request != nil {
		p.Doc = bodyDoc(request.Header, request.Body, len(request.Body), "")
	}
	return d.render(r, http.StatusOK, "payload", view{Title: "Payload of " + id, Nav: "runs", Data: p})
}

// oneEvent reads the event at a position.
func (d *dashboard) oneEvent(r *request, id, position string) (inspect.Event, error) {
	at, err := strconv.ParseInt(position, 10, 64)
	if err != nil || at < 1 {
		return inspect.Event{}, badRequest(errors.New("the position of an event is a number, from 1"))
	}
	events, err := r.client.Journal(r.Context(), id, at-1, 1)
	if err != nil {
		return inspect.Event{}, err
	}
	if len(events) == 0 || events[0].Position != at {
		return inspect.Event{}, &problem{http.StatusNotFound, "No such event", errors.New("the journal of run " + id + " has no event " + position)}
	}
	return events[0], nil
}

// oneMessage reads the message that was accepted at a time: of a run's mailbox, or of what a generation
// that is over has left unread.
func oneMessage(r *request, id, generation, at string) (m inspect.Message, err error) {
	var mail []inspect.Message
	if generation == "" {
		mail, err = r.client.Mailbox(r.Context(), id)
	} else {
		n, e := strconv.Atoi(generation)
		if e != nil || n < 0 {
			return m, badRequest(errors.New("generation is a number, from 0"))
		}
		mail, err = r.client.Unread(r.Context(), id, n)
	}
	if err != nil {
		return inspect.Message{}, err
	}
	for _, m := range mail {
		if m.At.UTC().Format(time.RFC3339Nano) == at {
			return m, nil
		}
	}
	return inspect.Message{}, &problem{http.StatusNotFound, "No such message", errors.New("it is not in the mailbox of run " + id + ": the run may have taken it")}
}
