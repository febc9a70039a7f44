package engine_test

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"path/filepath"
	"testing"
	"time"

	"github.com/tenter-dev/tenter/engine"
	"github.com/tenter-dev/tenter/store"
	"github.com/tenter-dev/tenter/store/sqlite"
	"github.com/tenter-dev/tenter/workflow"
)

// medley uses a bit of everything that leaves a trace in a journal, and waits in the
// end.
var medley = workflow.Define("medley", func(ctx workflow.Context, in string) (string, error) {
	hook, err := workflow.NewHook[string](ctx, workflow.Token("medley"))
	if err != nil {
		return "", err
	}
	other, err := workflow.NewHook[string](ctx, workflow.Token("medley"))
	if conflict, ok := errors.AsType[*workflow.HookConflictError](err); !ok || conflict.RunID != workflow.InfoOf(ctx).RunID {
		return "", errors.New("a token has two hooks")
	}
	_ = other
	page, err := workflow.NewWebhook(ctx, workflow.RespondManually())
	if err != nil {
		return "", err
	}
	first, err := hook.Wait(ctx)
	if err != nil {
		return "", err
	}
	branch := workflow.Go(ctx, func(ctx workflow.Context) (string, error) {
		return workflow.Step(ctx, "fetch", func(context.Context) (string, error) { return "fetched", nil })
	})
	bad := workflow.Do(ctx, "fail", func(context.Context) error { return workflow.Fatal(errors.New("it fails")) })
	if bad == nil {
		return "", errors.New("a step that fails has not")
	}
	fetched, err := branch.Wait(ctx)
	if err != nil {
		return "", err
	}
	if err := workflow.Sleep(ctx, time.Millisecond); err != nil {
		return "", err
	}
	child, err := medleysChild.Call(ctx, fetched)
	if err != nil {
		return "", err
	}
	err = workflow.Select(ctx, workflow.OnRequest(page, func(r *workflow.Request) error {
		return r.Respond(ctx, workflow.Text(http.StatusOK, "thanks"))
	}), workflow.OnTimer(time.Hour, func() error { return nil }))
	if err != nil {
		return "", err
	}
	hook.Close()
	page.Close()
	last, err := workflow.NewHook[string](ctx)
	if err != nil {
		return "", err
	}
	end, err := last.Wait(ctx)
	return in + first + child + end + workflow.NewID(ctx), err
})

var medleysChild = workflow.Define("medleys-child", func(_ workflow.Context, in string) (string, error) { return in + "!", nil })

// journalOfMedley returns the journal of a run of medley that has gone on to its
// last wait, and the engine that it is to be rebuilt by.
func journalOfMedley(f *testing.F) (*engine.Engine, store.Loaded) {
	f.Helper()
	st, err := sqlite.OpenWith(filepath.Join(f.TempDir(), "a.db"), sqlite.Options{Private: true})
	if err != nil {
		f.Fatal(err)
	}
	eng, err := engine.New(st, engine.Options{
		Workflows: []workflow.Definition{medley, medleysChild}, PublicURL: "https://example.com", Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		f.Fatal(err)
	}
	ctx, stop := context.WithCancel(f.Context())
	ran := make(chan error, 1)
	go func() { ran <- eng.Run(ctx) }()
	run, err := medley.Start(ctx, eng, "in")
	if err != nil {
		f.Fatal(err)
	}
	for {
		_, err := workflow.Resume(ctx, eng, "medley", "first")
		if err == nil {
			break
		}
		if !errors.Is(err, workflow.ErrHookNotFound) { // it has not begun
			f.Fatal(err)
		}
	}
	waits := func(last store.Kind) (l store.Loaded) {
		for {
			l, err := st.Load(ctx, run.ID(), 0)
			if err != nil {
				f.Fatal(err)
			}
			if l.Run.Status == store.Waiting && l.Events[len(l.Events)-1].Kind == last {
				return l
			}
			if l.Run.Status.Ended() {
				f.Fatalf("it has ended: %s", l.Events[len(l.Events)-1].Data)
			}
		}
	}
	waits(store.ChildCompleted)
	hooks, err := st.Hooks(ctx, store.HookFilter{RunID: run.ID(), Limit: 10})
	if err != nil {
		f.Fatal(err)
	}
	for _, h := range hooks {
		if h.Webhook == nil {
			continue
		}
		w, err := eng.Webhook(ctx, h.Token)
		if err == nil {
			_, err = w.Deliver(ctx, &workflow.Request{Method: http.MethodPost, Body: []byte("hello")})
		}
		if err != nil {
			f.Fatal(err)
		}
	}
	l := waits(store.Responded)
	stop()
	if err := <-ran; err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() {
		if err := errors.Join(eng.Close(), st.Close()); err != nil {
			f.Error(err)
		}
	})
	return eng, l
}

// FuzzJournal changes an event of a journal, leaves it out or repeats it. Whatever was
// read, the engine says what is wrong, or goes on: it does not crash or hang.
func FuzzJournal(f *testing.F) {
	eng, l := journalOfMedley(f)
	if blocked := eng.Rebuild(l); blocked != "" {
		f.Fatalf("an intact journal: %s", blocked)
	}
	for i, e := range l.Events {
		f.Add(uint8(i), uint8(0), string(e.Kind), e.Ref, e.Data, e.Asked)
		f.Add(uint8(i), uint8(1), string(e.Kind), e.Ref, e.Data, e.Asked)
		f.Add(uint8(i), uint8(2), string(e.Kind), e.Ref, []byte("{"), e.Asked+"\nstep x#1")
	}
	f.Fuzz(func(t *testing.T, at, how uint8, kind, ref string, data []byte, asked string) {
		bad := l
		bad.Events = make([]store.Event, 0, len(l.Events)+1)
		for i, e := range l.Events {
			if i != int(at)%len(l.Events) {
				bad.Events = append(bad.Events, e)
				continue
			}
			e.Kind, e.Ref, e.Data, e.Asked = store.Kind(kind), ref, data, asked
			for range how % 3 {
				bad.Events = append(bad.Events, e)
			}
		}
		eng.Rebuild(bad)
	})
}
