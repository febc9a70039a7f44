package execution

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/tenter-dev/tenter/internal/journal"
	"github.com/tenter-dev/tenter/internal/run"
	"github.com/tenter-dev/tenter/internal/saturate"
	"github.com/tenter-dev/tenter/store"
	"github.com/tenter-dev/tenter/workflow"
)

// respond is an answer to an HTTP request, given by workflow code.
type respond struct {
	ref     string // its number in the run
	spec    store.Response
	done    bool
	first   string // the responder that came first, if not this one
	waiters waitlist
}

func (r *respond) Ready() bool         { return r.done }
func (r *respond) waitlist() *waitlist { return &r.waiters }

func (s *scope) Respond(request, sentTo string, a run.Response) error {
	x := s.x
	b, err := x.enter()
	if err != nil {
		return err
	}
	if err := CheckResponse(&a, x.env.Limit); err != nil {
		return err
	}
	if x.inherited(sentTo) {
		return nil
	}
	x.respondCount++
	r := &respond{ref: journal.Number(x.info.Generation, x.respondCount)}
	if r.spec, err = NewResponse(request, x.info.RunID, journal.ResponderID(x.runID(), r.ref), a, x.now, x.env.DedupeFor); err != nil {
		return err
	}
	x.ask(b, &journal.Ask{Op: journal.Respond, Ref: r.ref, Request: request})
	x.await(r)
	x.wait(b, r)
	if r.first != "" {
		return &run.RespondConflict{Responder: r.first}
	}
	return nil
}

// CheckResponse refuses an answer whose header or body is too large.
func CheckResponse(a *run.Response, limit int) error {
	header := 0
	for name, values := range a.Header {
		for _, v := range values {
			header += len(name) + len(v)
		}
	}
	if header > limit {
		return fmt.Errorf("%w: the header of the response has %d bytes, the limit is %d", workflow.ErrPayloadTooLarge, header, limit)
	}
	return CheckSize("the response", a.Body, limit)
}

// NewResponse makes the response to a request, given at a time and kept for a duration.
func NewResponse(request, runID, responder string, a run.Response, at time.Time, keep time.Duration) (store.Response, error) {
	header, err := json.Marshal(a.Header)
	if err != nil {
		return store.Response{}, fmt.Errorf("encode header: %w", err)
	}
	at = saturate.Time(at)
	return store.Response{
		Request: request, RunID: runID, Responder: responder, Status: a.Status, Header: header, Body: a.Body,
		At: at, KeepUntil: saturate.After(at, keep),
	}, nil
}

func (r *respond) effect() *store.Effect {
	return &store.Effect{Kind: store.Respond, Response: r.spec}
}

func (r *respond) outcome(o store.Outcome) (store.Kind, string, []byte) {
	if o.Conflict != "" {
		return store.RespondConflict, r.ref, journal.EncodeID(o.Conflict)
	}
	return store.Responded, r.ref, nil
}

func (r *respond) end(x *Execution, e *store.Event) {
	r.done = true
	if e.Kind == store.RespondConflict {
		r.first = journal.DecodeID(e.Data)
	}
	if r.first == journal.Server {
		r.first = "" // the caller's time was over, which is not for the run to know
	}
	r.waiters.wake(x)
}
