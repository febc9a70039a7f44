package storetest

import (
	"sync"
	"time"

	"github.com/tenter-dev/tenter/store"
)

func (k *kit) response(request, responder, body string) store.Response {
	return store.Response{
		Request: request, RunID: "r", Responder: responder, Status: 201, Header: []byte(`{"X":["1"]}`), Body: []byte(body),
		At: k.now(), KeepUntil: k.now().Add(time.Hour),
	}
}

var respondTests = []test{
	{"keeps the first answer to a request", func(k *kit) {
		_, err := k.s.Response(k.ctx, "q")
		k.fails(err, store.ErrNotFound)
		first := k.response("q", "step#1", "one\x00\xff")
		k.ok(k.s.Respond(k.ctx, first))
		k.ok(k.s.Respond(k.ctx, k.response("q", "step#1", "two"))) // a repeat
		k.fails(k.s.Respond(k.ctx, k.response("q", "step#2", "three")), store.ErrExists)
		got, err := k.s.Response(k.ctx, "q")
		k.ok(err)
		k.same("response", got, first)
	}},
	{"answers within a transition, and tells who came first", func(k *kit) {
		k.ok(k.s.Respond(k.ctx, k.response("taken", "step#1", "one")))
		o := k.apply(k.begin("r",
			store.Effect{Kind: store.Respond, Response: k.response("taken", "respond#1", "two")},
			store.Effect{Kind: store.Respond, Response: k.response("free", "respond#2", "three")},
			store.Effect{Kind: store.Respond, Response: k.response("free", "respond#2", "again")},
		))
		k.same("outcomes", o, []store.Outcome{{Conflict: "step#1"}, {}, {}})
		got, err := k.s.Response(k.ctx, "free")
		k.ok(err)
		k.same("body", string(got.Body), "three")
	}},
	{"signals answers", func(k *kit) {
		var mu sync.Mutex
		told := make(chan string, 10)
		stop := k.s.Watch(func(s store.Signal) {
			mu.Lock()
			defer mu.Unlock()
			for _, q := range s.Responded {
				told <- q
			}
		})
		defer stop()
		k.ok(k.s.Respond(k.ctx, k.response("q", "step#1", "one")))
		k.same("signal", <-told, "q")
	}},
	{"accepts a payload for one hook only, if that is asked for", func(k *kit) {
		k.park("a", "tok")
		_, err := k.s.Accept(k.ctx, store.Payload{Token: "tok", Hook: "other", Key: "k", KeepFor: time.Hour})
		k.fails(err, store.ErrNotFound)
		_, err = k.s.Accept(k.ctx, store.Payload{Token: "none", Hook: "other"})
		k.fails(err, store.ErrNotFound)
		r, err := k.s.Accept(k.ctx, store.Payload{Token: "tok", Hook: "a/tok", Key: "k", KeepFor: time.Hour, Request: "q1"})
		k.ok(err)
		k.same("duplicate", r.Duplicate, false) // the refused one has used up no key
		r, err = k.s.Accept(k.ctx, store.Payload{Token: "tok", Hook: "a/tok", Key: "k", KeepFor: time.Hour, Request: "q2"})
		k.ok(err)
		k.same("request of the first", r.Request, "q1")
	}},
	{"finds the receipt of a request by the token alone", func(k *kit) {
		h := store.Hook{ID: "h", Token: "tok", Webhook: []byte(`{"dedupe":"Id"}`), OpenedPos: 1, CreatedAt: k.now()}
		k.apply(k.begin("r", store.Effect{Kind: store.OpenHook, Hook: h}))
		_, err := k.s.Receipt(k.ctx, "tok")
		k.fails(err, store.ErrNotFound)
		_, err = k.s.Accept(k.ctx, store.Payload{Token: "tok", Hook: "h", Key: "k", KeepFor: time.Hour, Request: "q"})
		k.ok(err)
		_, err = k.s.Receipt(k.ctx, "other")
		k.fails(err, store.ErrNotFound)
		k.ok(k.s.Terminate(k.ctx, "r", store.Event{At: k.now(), Kind: store.RunCanceled}))
		got, err := k.s.Receipt(k.ctx, "tok")
		k.ok(err)
		h.RunID, h.OpenedPos = "r", 0
		k.same("receipt", got, store.Receipt{Hook: h, Duplicate: true, Request: "q"})
	}},
	{"refuses other payloads for a webhook", func(k *kit) {
		h := store.Hook{ID: "h", Token: "tok", Webhook: []byte(`{}`), OpenedPos: 1, CreatedAt: k.now()}
		k.apply(k.begin("r", store.Effect{Kind: store.OpenHook, Hook: h}))
		r, err := k.s.Accept(k.ctx, store.Payload{Token: "tok", Key: "k", KeepFor: time.Hour})
		k.fails(err, store.ErrMismatch)
		k.same("hook", r.Hook.ID, "h")
		k.park("p", "plain")
		_, err = k.s.Accept(k.ctx, store.Payload{Token: "plain", Key: "k", KeepFor: time.Hour})
		k.ok(err)
		_, err = k.s.Receipt(k.ctx, "plain")
		k.fails(err, store.ErrNotFound) // it was not a request
	}},
	{"takes requests of a call as those of a webhook", func(k *kit) {
		h := store.Hook{ID: "h", Token: "tok", Type: "quote", Webhook: []byte(`{"call":true,"manual":true}`), OpenedPos: 1, CreatedAt: k.now()}
		k.apply(k.begin("r", store.Effect{Kind: store.OpenHook, Hook: h}))
		r, err := k.s.Accept(k.ctx, store.Payload{Token: "tok", Type: &h.Type})
		k.fails(err, store.ErrMismatch)
		k.same("hook", r.Hook.Webhook, h.Webhook)
		_, err = k.s.Accept(k.ctx, store.Payload{Token: "tok", Hook: "h", Key: "k", KeepFor: time.Hour, Request: "q", Data: []byte("1")})
		k.ok(err)
		for _, hook := range []string{"h", "none"} { // any receipt, or those alone
			r, err = k.s.Accept(k.ctx, store.Payload{Token: "tok", Hook: hook, Key: "k", KeepFor: time.Hour, Request: "q2"})
			k.ok(err)
			k.same("receipt", []any{r.Duplicate, r.Request, r.Hook.RunID, r.Hook.Type, r.Hook.Webhook}, []any{true, "q", "r", h.Type, h.Webhook})
		}
		_, err = k.s.Accept(k.ctx, store.Payload{Token: "tok", Hook: "none", Key: "unknown", KeepFor: time.Hour})
		k.fails(err, store.ErrNotFound)
		l, err := k.s.Load(k.ctx, "r", 0)
		k.ok(err)
		k.same("messages", len(l.Mail), 1)
	}},
	{"keeps what a webhook is", func(k *kit) {
		h := store.Hook{ID: "h", Token: "tok", Webhook: []byte(`{"manual":true}`), OpenedPos: 1, CreatedAt: k.now()}
		k.apply(k.begin("r", store.Effect{Kind: store.OpenHook, Hook: h}))
		got, err := k.s.Hook(k.ctx, "tok")
		k.ok(err)
		h.RunID = "r"
		k.same("hook", got, h)
	}},
}
