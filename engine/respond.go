package engine

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"

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
	first   string // the responder that came first, if it is another one
	waiters waitlist
}

func (r *respond) Ready() bool         { return r.done }
func (r *respond) waitlist() *waitlist { return &r.waiters }

func (s *scope) Respond(request string, a run.Answer) error {
	x := s.x
	b, err := x.enter()
	if err != nil {
		return err
	}
	if err := checkAnswer(&a, x.env.limit); err != nil {
		return err
	}
	x.respondCount++
	r := &respond{ref: strconv.Itoa(x.respondCount)}
	if r.spec, err = newResponse(request, x.info.RunID, x.info.RunID+"/respond "+r.ref, a, x.now, x.env.dedupeFor); err != nil {
		return err
	}
	x.ask(b, "respond "+r.ref+" to "+request, "")
	x.unsettle(r)
	x.wait(b, r)
	if r.first != "" {
		return &run.RespondConflict{Responder: r.first}
	}
	return nil
}

// checkAnswer refuses an answer that is too large, with its header.
func checkAnswer(a *run.Answer, limit int) error {
	header := 0
	for name, values := range a.Header {
		for _, v := range values {
			header += len(name) + len(v)
		}
	}
	if header > limit {
		return fmt.Errorf("%w: the header of the response has %d bytes, the limit is %d", workflow.ErrPayloadTooLarge, header, limit)
	}
	return checkSize("the response", a.Body, limit)
}

func newResponse(request, runID, responder string, a run.Answer, at time.Time, keep time.Duration) (store.Response, error) {
	header, err := json.Marshal(a.Header)
	if err != nil {
		return store.Response{}, fmt.Errorf("encode header: %w", err)
	}
	at = microseconds(at)
	return store.Response{
		Request: request, RunID: runID, Responder: responder, Status: a.Status, Header: header, Body: a.Body,
		At: at, KeepUntil: saturate.After(at, keep),
	}, nil
}

func (r *respond) settle() *store.Effect {
	return &store.Effect{Kind: store.Respond, Response: r.spec}
}

func (r *respond) outcome(o store.Outcome) (store.Kind, string, []byte) {
	if o.Conflict != "" {
		return store.RespondConflict, r.ref, quote(o.Conflict)
	}
	return store.Responded, r.ref, nil
}

func (r *respond) end(x *execution, e *store.Event) {
	r.done = true
	if e.Kind == store.RespondConflict {
		r.first = unquote(e.Data)
	}
	r.waiters.wake(x)
}

// Respond answers a request from a step. It is for workflow.Request.Respond.
func (e *Engine) Respond(ctx context.Context, request, responder string, a run.Answer) error {
	return e.respond(ctx, e.direct(), request, responder, a)
}

func (e *Engine) respond(ctx context.Context, in operations, request, responder string, a run.Answer) error {
	if err := e.usable(ctx); err != nil {
		return fmt.Errorf("respond: %w", err)
	}
	if err := checkAnswer(&a, e.opts.MaxPayload); err != nil {
		return fmt.Errorf("respond: %w", err)
	}
	r, err := newResponse(request, workflow.InfoOf(ctx).RunID, responder, a, e.store.Now(), e.opts.DedupeFor)
	if err != nil {
		return fmt.Errorf("respond: %w", err)
	}
	err = in.Respond(ctx, r)
	if errors.Is(err, store.ErrExists) {
		return &run.RespondConflict{Responder: "another step or place"}
	}
	if err != nil {
		return fmt.Errorf("respond: %w", err)
	}
	return nil
}
