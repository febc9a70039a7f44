package engine_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/tenter-dev/tenter/engine"
	"github.com/tenter-dev/tenter/workflow"
)

// asked is a call that no engine knows, so that runs refuse what does not validate.
var asked = workflow.DefineCall[payload, string]("asked")

// callOp opens a call, or takes a request and answers it.
func (e *env) callOp(ctx workflow.Context, o op) {
	if o.verb == vOffer {
		opts := []workflow.HookOption{workflow.Metadata(o.slot)}
		if o.token != "" {
			opts = append(opts, workflow.Token(o.token))
		}
		done := e.block(blocked{verb: vOpen})
		calls, err := asked.Open(ctx, opts...)
		done()
		if err == nil {
			e.calls = append(e.calls, calls)
			e.opened(ctx, o, calls.ID(), calls.Token())
		} else {
			e.notOpened(ctx, o, err)
		}
		return
	}
	if len(e.calls) == 0 {
		return
	}
	calls := e.calls[o.slot%len(e.calls)]
	inner, cancel := workflow.WithTimeout(ctx, o.d)
	defer cancel()
	done := e.block(blocked{verb: vSleep}) // it ends by itself
	call, err := calls.Wait(inner)
	done()
	if err != nil {
		s := entry{What: string(o.verb), Hook: calls.ID(), By: calls.By().Name}
		if bad, ok := errors.AsType[*workflow.PayloadError](err); ok {
			_, scan := fmt.Sscanf(bad.Err.Error(), "bad payload %d", &s.Payload)
			s.Plain = scan != nil // sent to the token before it was a call's
		}
		e.see(ctx, s, err)
		return
	}
	e.see(ctx, entry{What: string(o.verb), Hook: calls.ID(), Payload: call.Input.N, By: calls.By().Name, Value: call.ID}, nil)
	for i := range o.n {
		e.reply(ctx, call, o.flag, o.typed != (i > 0))
	}
}

// reply answers a request, in a step or straight from the workflow.
func (e *env) reply(ctx workflow.Context, call *workflow.Call[payload, string], inStep, refuse bool) {
	answer := func(ctx context.Context, by string) error {
		text := fmt.Sprintf("%d by %s", call.Input.N, by)
		if refuse {
			return call.Refuse(ctx, errors.New(text))
		}
		return call.Return(ctx, text)
	}
	done := e.block(blocked{verb: vStep})
	var err error
	if inStep {
		err = workflow.Do(ctx, "respond", func(ctx context.Context) error {
			info := workflow.InfoOf(ctx)
			client, _ := workflow.ClientFrom(ctx).(*engine.Engine)
			e.w.attemptBegins(e.w.nodeOf(client), info)
			return answer(ctx, info.StepID)
		}, workflow.MaxAttempts(maxAttempts))
	} else {
		err = answer(ctx, "the workflow")
	}
	done()
	e.see(ctx, entry{What: "answer", Value: call.ID}, err)
}

// inquire sends a request to a call, waits for the answer, and remembers what came of it.
func (w *world) inquire(ctx context.Context, e *engine.Engine, r sendRequest) {
	c := sendCall{sendRequest: r, begin: w.now(), at: time.Now(), asked: true}
	input, err := json.Marshal(payload{N: r.n, Bad: r.bad})
	if err == nil {
		c.reply, err = e.CallHook(by(ctx, senderOf(c.n)), workflow.CallRequest{Token: r.token, Input: input, IdempotencyKey: r.key})
		c.info.Duplicate = c.reply.Duplicate
	}
	c.err, c.end, c.done = err, w.now(), time.Now()
	if err == nil {
		w.answerIsRecorded(&c)
	}
	w.failed(ctx, fmt.Sprintf("call %d", c.n), c.err)
	w.note(func() { w.sends = append(w.sends, c) })
}
