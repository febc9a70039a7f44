package engine_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/tenter-dev/tenter/engine"
	"github.com/tenter-dev/tenter/internal/run"
	"github.com/tenter-dev/tenter/workflow"
)

// answerKeys sign the links of a world.
var answerKeys = []engine.AnswerKey{{ID: "k1", Key: []byte(strings.Repeat("simulated", 4))}}

// addressees are whom links are for.
var addressees = []string{"ada", "bob"}

// sentLink is a link that the code of a run has made, whether that is durable or not.
type sentLink struct {
	signed    string
	id        string
	run       string
	hook      string
	addressee string
	expires   time.Time
	once      bool
}

// answerCall is an answer by a link, and what came of it.
type answerCall struct {
	sentLink
	n          int // of the payload
	begin, end int // in ticks
	at         time.Time
	recorded   bool
	err        error
}

// revokeCall is a link that somebody outside has revoked.
type revokeCall struct {
	id  string
	end int
}

// linkOp makes a link, or revokes one.
func (e *env) linkOp(ctx workflow.Context, o op) {
	if o.verb == vUnlink {
		if len(e.links) > 0 {
			e.links[o.slot%len(e.links)].Revoke()
			e.see(ctx, entry{What: "revoke"}, nil)
		}
		return
	}
	h := e.hook(o.slot)
	if h == nil {
		return
	}
	k := sentLink{run: e.run, hook: h.ID(), addressee: addressees[o.n], once: o.flag}
	opts := []workflow.LinkOption{workflow.Addressee(k.addressee), workflow.ExpiresIn(o.d)}
	if k.once {
		opts = append(opts, workflow.Once())
	}
	l, err := workflow.AnswerLink(ctx, h, opts...)
	e.see(ctx, entry{What: "link", Hook: k.hook}, err)
	if err != nil {
		return
	}
	e.links = append(e.links, l)
	k.id, k.expires = l.ID(), l.ExpiresAt()
	k.signed = strings.TrimPrefix(l.URL(), publicURL+run.AnswerPath)
	e.w.note(func() {
		if !slices.ContainsFunc(e.w.links, func(other sentLink) bool { return other.id == k.id }) {
			e.w.links = append(e.w.links, k)
		}
	})
}

// sentLink returns one of the links.
func (w *world) sentLink(i int) (k sentLink, ok bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.links) == 0 {
		return k, false
	}
	return w.links[i%len(w.links)], true
}

// reply answers by a link, as a server does, and remembers what came of it.
func (w *world) reply(ctx context.Context, e *engine.Engine, k sentLink, r sendRequest) {
	a := answerCall{sentLink: k, n: r.n, begin: w.now(), at: time.Now()}
	data, err := json.Marshal(payload{N: r.n, Bad: r.bad})
	var p *engine.AnswerPage
	if err == nil {
		p, err = e.AnswerPage(ctx, k.signed)
	}
	if err == nil {
		a.recorded, err = p.Answer(by(ctx, senderOf(r.n)), data)
	}
	c := sendCall{sendRequest: r, begin: a.begin, at: a.at, err: err}
	c.info.ID, c.info.RunID = k.hook, k.run
	if errors.Is(err, workflow.ErrLinkNotFound) || err == nil && !a.recorded {
		c.err = workflow.ErrHookNotFound
	}
	a.err, a.end = err, w.now()
	c.end, c.done = a.end, time.Now()
	w.failed(ctx, fmt.Sprintf("answer %d", r.n), err)
	w.note(func() { w.sends, w.answers = append(w.sends, c), append(w.answers, a) })
}

// takeBack revokes a link from outside.
func (w *world) takeBack(ctx context.Context, e *engine.Engine, k sentLink) {
	err := e.RevokeLink(ctx, k.id)
	end := w.now()
	w.failed(ctx, "revocation of a link", err)
	if err == nil {
		w.note(func() { w.revoked = append(w.revoked, revokeCall{k.id, end}) })
	}
}
