package storetest

import "github.com/tenter-dev/tenter/store"

var catalogTests = []test{
	{"a store begins without hook types", func(k *kit) {
		types, err := k.s.HookTypes(k.ctx)
		k.ok(err)
		k.same("hook types", len(types), 0)
	}},
	{"PutHookTypes keeps hook types, in the place of those with the same names, and HookTypes lists them by name", func(k *kit) {
		put := func(types ...store.HookType) {
			k.Helper()
			k.ok(k.s.PutHookTypes(k.ctx, types))
		}
		put(store.HookType{Name: "note", Payload: []byte(`{"type":"string"}`)}, store.HookType{Name: "Zebra", Payload: []byte(`{}`)})
		put(store.HookType{Name: "decision", Payload: []byte(`{"b": 1,  "a": 2}`)}, store.HookType{Name: "note", Payload: []byte(`{"type":"integer"}`)})
		put(store.HookType{Name: "Zebra", Payload: []byte(`{}`)})
		put()
		want := []store.HookType{
			{Name: "Zebra", Payload: []byte(`{}`)},
			{Name: "decision", Payload: []byte(`{"b": 1,  "a": 2}`)},
			{Name: "note", Payload: []byte(`{"type":"integer"}`)},
		}
		types, err := k.s.HookTypes(k.ctx)
		k.ok(err)
		k.same("hook types", types, want)
		types, err = k.h.Open(k.T).HookTypes(k.ctx)
		k.ok(err)
		k.same("hook types for another process", types, want)
	}},
}
