package storetest

import (
	"fmt"
	"sync"

	"github.com/tenter-dev/tenter/store"
)

// refuse keeps refused requests, so many in all.
func (k *kit) refuse(keep int, ids ...string) {
	k.Helper()
	for _, id := range ids {
		k.ok(k.s.KeepRefused(k.ctx, store.RefusedRequest{ID: id, Token: "tok", Sender: "github", Request: []byte(`{}`), At: k.now()}, keep))
	}
}

func (k *kit) refusedIDs(f store.RefusedFilter) []string {
	k.Helper()
	all, err := k.s.RefusedRequests(k.ctx, f)
	k.ok(err)
	ids := []string{}
	for i, r := range all {
		if i > 0 && r.Number >= all[i-1].Number {
			k.Fatalf("requests are out of order: %+v", all)
		}
		ids = append(ids, r.ID)
	}
	return ids
}

var refusedTests = []test{
	{"is kept as it came", func(k *kit) {
		want := store.RefusedRequest{
			ID: "q1", Token: "tok", HookID: "h", RunID: "r", Workflow: "flow", Sender: "github", Reason: "no signature matches", Delivery: "d1",
			Request: []byte(`{"method":"POST"}`), Body: []byte("a\x00\xff"), At: k.now(),
		}
		k.ok(k.s.KeepRefused(k.ctx, want, 10))
		got, err := k.h.Open(k.T).RefusedRequest(k.ctx, "q1")
		k.ok(err)
		if got.Number < 1 {
			k.Fatalf("its number is %d", got.Number)
		}
		want.Number, want.BodySize = got.Number, 3
		k.same("request", got, want)
		all, err := k.s.RefusedRequests(k.ctx, store.RefusedFilter{})
		k.ok(err)
		want.Body = nil
		k.same("requests", all, []store.RefusedRequest{want})
		want = store.RefusedRequest{ID: "q2", Token: "tok", Sender: "github", Request: []byte(`{}`), At: k.now()}
		k.ok(k.s.KeepRefused(k.ctx, want, 10))
		got, err = k.s.RefusedRequest(k.ctx, "q2")
		k.ok(err)
		want.Number, want.Body = got.Number, []byte{}
		k.same("request without a body", got, want)
		_, err = k.s.RefusedRequest(k.ctx, "none")
		k.fails(err, store.ErrNotFound)
	}},
	{"is listed, the newest first, page by page", func(k *kit) {
		k.same("none", k.refusedIDs(store.RefusedFilter{}), []string{})
		k.refuse(10, "q1", "q2", "q3", "q4")
		k.same("all", k.refusedIDs(store.RefusedFilter{}), []string{"q4", "q3", "q2", "q1"})
		r, err := k.s.RefusedRequest(k.ctx, "q3")
		k.ok(err)
		k.same("a page", k.refusedIDs(store.RefusedFilter{Before: r.Number, Limit: 1}), []string{"q2"})
		k.same("the last page", k.refusedIDs(store.RefusedFilter{Before: r.Number, Limit: 9}), []string{"q2", "q1"})
	}},
	{"gives way to newer ones", func(k *kit) {
		k.refuse(3, "q1", "q2", "q3", "q4", "q5")
		k.same("requests", k.refusedIDs(store.RefusedFilter{}), []string{"q5", "q4", "q3"})
		k.refuse(2, "q6")
		k.same("requests, when fewer are kept", k.refusedIDs(store.RefusedFilter{}), []string{"q6", "q5"})
		k.refuse(9, "q7")
		k.same("requests, when more are kept", k.refusedIDs(store.RefusedFilter{}), []string{"q7", "q6", "q5"})
	}},
	{"is dropped once", func(k *kit) {
		k.refuse(3, "q1", "q2")
		k.ok(k.s.DropRefused(k.ctx, "q1"))
		k.fails(k.s.DropRefused(k.ctx, "q1"), store.ErrNotFound)
		k.same("requests", k.refusedIDs(store.RefusedFilter{}), []string{"q2"})
	}},
	{"is kept with others at the same time", func(k *kit) {
		const n, keep = 40, 5
		var wg sync.WaitGroup
		for i := range n {
			wg.Go(func() {
				err := k.s.KeepRefused(k.ctx, store.RefusedRequest{ID: fmt.Sprintf("q%d", i), Token: "tok", Sender: "s", Request: []byte(`{}`), At: k.now()}, keep)
				if err != nil {
					k.Error(err)
				}
			})
		}
		wg.Wait()
		k.refuse(keep, "last")
		if ids := k.refusedIDs(store.RefusedFilter{}); len(ids) != keep || ids[0] != "last" {
			k.Errorf("requests are %v, want %d", ids, keep)
		}
	}},
}
