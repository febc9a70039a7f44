package worker

import (
	"bytes"
	"slices"

	"github.com/tenter-dev/tenter/engine/internal/outage"
	"github.com/tenter-dev/tenter/store"
)

// keepHookTypes has the store keep the hook types that this worker has, for programs without its
// code. It writes nothing if all are there, as they are unless the code is new.
func (w *Worker) keepHookTypes() {
	var s outage.Backoff
	defer s.Quit(w.outages)
	for !w.Draining() {
		kept, err := w.store.HookTypes(w.ctx)
		if err == nil {
			news := slices.DeleteFunc(slices.Clone(w.hookTypes), func(t store.HookType) bool {
				return slices.ContainsFunc(kept, func(k store.HookType) bool { return k.Name == t.Name && bytes.Equal(k.Payload, t.Payload) })
			})
			if len(news) == 0 {
				return
			}
			err = w.store.PutHookTypes(w.ctx, news)
		}
		if err == nil {
			s.Passed(w.outages)
			return
		}
		if !outage.Sleep(w.ctx, s.Failed(w.outages, "keep hook types", "", err)) {
			return
		}
	}
}
