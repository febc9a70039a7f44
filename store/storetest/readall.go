package storetest

import (
	"cmp"
	"errors"
	"math"
	"slices"
	"testing"

	"github.com/tenter-dev/tenter/store"
)

// ReadAll returns all that a reader shows of the runs that are there, by what it is: for a
// comparison of two readers of the same data.
func ReadAll(t *testing.T, r store.Reader) map[string]any {
	t.Helper()
	ctx, all := t.Context(), map[string]any{}
	note := func(name string, v any, err error) {
		t.Helper()
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		all[name] = v
	}
	runs, err := r.Runs(ctx, store.Filter{Limit: math.MaxInt32})
	note("runs", runs, err)
	open, err := r.Runs(ctx, store.Filter{Open: true, Prefix: "a", Limit: math.MaxInt32})
	note("open runs that begin with a", open, err)
	counts, err := r.Count(ctx, math.MaxInt32)
	note("count", counts, err)
	hooks, err := r.Hooks(ctx, store.HookFilter{Limit: math.MaxInt32})
	note("hooks", hooks, err)
	workers, err := r.Workers(ctx)
	note("workers", workers, err)
	var ids []string
	for _, head := range runs {
		id := head.ID
		ids = append(ids, id)
		shown, err := r.Run(ctx, id)
		note("run "+id, shown, err)
		loaded, err := r.Load(ctx, id, 0)
		note("load "+id, loaded, err)
		journal, err := r.Journal(ctx, id, 0, math.MaxInt32)
		note("journal "+id, journal, err)
		mail, err := r.Mailbox(ctx, id, math.MaxInt32)
		note("mailbox "+id, mail, err)
		generations, err := r.Generations(ctx, id)
		note("generations "+id, len(generations), err)
		unread, err := r.Unread(ctx, id, 0, math.MaxInt32)
		note("unread of the first generation of "+id, len(unread), err)
		attempts, err := r.Executing(ctx, id)
		note("executing "+id, attempts, err)
		children, err := r.Runs(ctx, store.Filter{ParentID: id})
		note("children "+id, children, err)
		own, err := r.Hooks(ctx, store.HookFilter{RunID: id})
		note("hooks of "+id, own, err)
		for _, h := range own {
			backlog, _, err := r.Backlog(ctx, id, h.ID, 0, math.MaxInt32)
			note("backlog "+h.ID, backlog, err)
			hook, err := r.Hook(ctx, h.Token)
			note("hook "+h.Token, hook, err)
			if _, err := r.Receipt(ctx, h.Token); err != nil && !errors.Is(err, store.ErrNotFound) {
				t.Fatal(err)
			}
		}
	}
	endings, err := r.Endings(ctx, ids)
	slices.SortFunc(endings, func(a, b store.Ending) int { return cmp.Compare(a.RunID, b.RunID) })
	note("endings", endings, err)
	now, err := r.Resync(ctx, store.Signal{Mail: ids, Ended: ids})
	slices.Sort(now.Mail)
	slices.Sort(now.Ended)
	note("resync", now, err)
	if _, err := r.Response(ctx, "a request"); !errors.Is(err, store.ErrNotFound) {
		t.Fatalf("response: %v, want that there is none", err)
	}
	return all
}
