package scenario_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tenter-dev/tenter/engine"
	"github.com/tenter-dev/tenter/inspect"
	"github.com/tenter-dev/tenter/store"
	"github.com/tenter-dev/tenter/workflow"
)

// S24: Resume with OrStart when nobody listens, 100 at once, from several processes.

// channelLog returns what was said in a channel, up to /stop.
var channelLog = workflow.Define("channel-log", logChannel)

func logChannel(ctx workflow.Context, channel string) ([]string, error) {
	hook, err := workflow.NewHook[string](ctx, workflow.Token("channel:"+channel))
	if err != nil {
		return nil, err
	}
	defer hook.Close()
	var said []string
	for text, err := range hook.All(ctx) {
		if err != nil {
			return nil, err
		}
		if strings.HasPrefix(text, "/stop") {
			break
		}
		said = append(said, text)
	}
	return said, nil
}

// A saying is a message and when it was sent and acknowledged.
type saying struct {
	text         string
	began, ended time.Time
}

// inOrder checks that all was heard once, and nothing before what had been
// acknowledged when it was sent.
func inOrder(t *testing.T, said []saying, heard []string) {
	t.Helper()
	byText := map[string]saying{}
	for _, s := range said {
		byText[s.text] = s
	}
	if len(heard) != len(said) {
		t.Errorf("%d messages were heard, %d were sent", len(heard), len(said))
	}
	var latest saying // of those heard so far, the one that was sent last
	for _, text := range heard {
		s, ok := byText[text]
		if !ok {
			t.Errorf("%q was heard twice, or never sent", text)
			continue
		}
		delete(byText, text)
		if s.ended.Before(latest.began) {
			t.Errorf("%q was heard after %q, which was sent when it had been acknowledged", text, latest.text)
		}
		if s.began.After(latest.began) {
			latest = s
		}
	}
	for text := range byText {
		t.Errorf("%q was not heard", text)
	}
}

// hundredAtOnce sends 100 messages to a channel, each through its own call of send.
func hundredAtOnce(send func(i int, text string) (workflow.HookInfo, error)) (said []saying, infos []workflow.HookInfo, err error) {
	const n = 100
	said, infos = make([]saying, n), make([]workflow.HookInfo, n)
	errs := make(chan error, n)
	var ready sync.WaitGroup
	ready.Add(n)
	for i := range n {
		go func() {
			text := fmt.Sprint("message ", i)
			ready.Done()
			ready.Wait()
			said[i] = saying{text: text, began: time.Now()}
			info, err := send(i, text)
			said[i].ended, infos[i] = time.Now(), info
			errs <- err
		}()
	}
	for range n {
		if e := <-errs; e != nil {
			err = e
		}
	}
	return said, infos, err
}

// oneRun checks that one message started the run that got them all.
func oneRun(t *testing.T, infos []workflow.HookInfo) (runID string) {
	t.Helper()
	started := 0
	for _, info := range infos {
		if info.Started {
			started++
		}
		if info.RunID != infos[0].RunID || info.ID != infos[0].ID {
			t.Errorf("messages reached hook %s of run %s and hook %s of run %s", info.ID, info.RunID, infos[0].ID, infos[0].RunID)
		}
	}
	if started != 1 {
		t.Errorf("%d messages say that they started the run", started)
	}
	return infos[0].RunID
}

func TestS24HundredAtOnce(t *testing.T) {
	t.Parallel()
	undisturbed(t, func(w *world) {
		w.boot(channelLog)
		for round := range 2 { // after the run has ended, the next message starts a new one
			said, infos, err := hundredAtOnce(func(i int, text string) (workflow.HookInfo, error) {
				opts := []workflow.ResumeOption{workflow.OrStart(channelLog, "c")}
				if w.keyed {
					opts = append(opts, workflow.IdempotencyKey(fmt.Sprint(round, i)))
				}
				return workflow.Resume(w.t.Context(), w.eng, "channel:c", text, opts...)
			})
			if err != nil {
				w.t.Fatal(err)
			}
			runID := oneRun(w.t, infos)
			w.send("channel:c", "/stop")
			heard, err := result(w, workflow.Get[[]string](w.eng, runID))
			if err != nil {
				w.t.Fatal(err)
			}
			inOrder(w.t, said, heard)
		}
		if n := len(runs(w.t, w.st)); n != 2 {
			w.t.Errorf("there are %d runs, want 2", n)
		}
	})
}

func TestS24SeveralProcesses(t *testing.T) {
	t.Parallel()
	onEachStore(t, severalProcesses)
}

func severalProcesses(t *testing.T, db *database) {
	t.Helper()
	services := make([]*service, 3)
	for i := range services {
		services[i] = newService(t, db, longLease)
	}
	said, infos, err := hundredAtOnce(func(i int, text string) (workflow.HookInfo, error) {
		if p := i % (len(services) + 1); p < len(services) {
			start := workflow.StartRequest{Workflow: channelLog.Name(), Input: encode(t, "c")}
			var info workflow.HookInfo
			err := services[p].call("Resume", workflow.ResumeRequest{Token: "channel:c", Payload: encode(t, text), OrStart: &start}, &info)
			return info, err
		}
		return workflow.Resume(t.Context(), db.api, "channel:c", text, workflow.OrStart(channelLog, "c"))
	})
	if err != nil {
		t.Fatal(err)
	}
	runID := oneRun(t, infos)
	if _, err := workflow.Resume(t.Context(), db.api, "channel:c", "/stop"); err != nil {
		t.Fatal(err)
	}
	heard, err := workflow.Get[[]string](db.api, runID).Result(within(t))
	if err != nil {
		t.Fatal(err)
	}
	inOrder(t, said, heard)
}

// TestS24CrashAnywhere: a first message starts the bot, whatever dies on the way.
func TestS24CrashAnywhere(t *testing.T) {
	t.Parallel()
	everywhere(t, func(w *world) {
		w.boot(channelLog)
		orStart := workflow.OrStart(channelLog, "c")
		var heard []string
		for range 2 {
			info := w.send("channel:c", fmt.Sprint("message ", len(heard)), orStart)
			w.send("channel:c", fmt.Sprint("message ", len(heard)+1), orStart)
			w.send("channel:c", fmt.Sprint("/stop ", len(heard)), orStart)
			got, err := result(w, workflow.Get[[]string](w.eng, info.RunID))
			if err != nil {
				w.t.Fatal(err)
			}
			heard = append(heard, got...)
		}
		if got := strings.Join(heard, ","); got != "message 0,message 1,message 2,message 3" {
			w.t.Errorf("heard %s", got)
		}
	})
}

// nextInLine takes one payload; those behind it go to its successor.
var nextInLine = workflow.Define("next-in-line", func(ctx workflow.Context, _ string) (int, error) {
	hook, err := workflow.NewHook[int](ctx, workflow.Token("line"))
	if err != nil {
		return 0, err
	}
	return hook.Wait(ctx)
})

// TestS24LineOfRuns: of many first messages at once each gets a run, in order, whatever
// workers die while the runs hand them over.
func TestS24LineOfRuns(t *testing.T) {
	t.Parallel()
	onEachStore(t, lineOfRuns)
}

func lineOfRuns(t *testing.T, db *database) {
	t.Helper()
	const n, kills = 60, 4
	id := func(i int) string { return fmt.Sprintf("r%03d", i) }
	for i := range n {
		if _, err := workflow.Resume(t.Context(), db.api, "line", i, workflow.OrStart(nextInLine, "", workflow.RunID(id(i)))); err != nil {
			t.Fatal(err)
		}
	}
	workers := []*service{newService(t, db, shortLease), newService(t, db, shortLease)}
	ctx := within(t)
	for i := range n {
		got, err := nextInLine.Get(db.api, id(i)).Result(ctx)
		if err != nil || got != i {
			t.Fatalf("run %d took payload %d, %v", i, got, err)
		}
		if i%(n/kills) == n/kills/2 {
			workers[i%len(workers)].kill()
		}
	}
	for _, r := range runs(t, db.st) {
		events, err := db.st.Journal(ctx, r.ID, 0, 100)
		if err != nil {
			t.Fatal(err)
		}
		mail, err := db.st.Mailbox(ctx, r.ID, 100)
		if err != nil || len(mail) > 0 {
			t.Errorf("run %s has left %d payloads, %v", r.ID, len(mail), err)
		}
		taken := 0
		for _, e := range events {
			if e.Kind == store.PayloadReceived {
				taken++
			}
		}
		if taken != 1 {
			t.Errorf("run %s has %d payloads in its journal", r.ID, taken)
		}
	}
}

// TestS24RaceWithTheEnd: a message accepted in the very moment in which the run ends
// is not lost.
func TestS24RaceWithTheEnd(t *testing.T) {
	t.Parallel()
	undisturbed(t, func(w *world) {
		w.boot(channelLog)
		const rounds = 60
		var sent []string
		send := func(text string, opts ...workflow.ResumeOption) {
			opts = append(opts, workflow.OrStart(channelLog, "c"))
			if w.keyed {
				opts = append(opts, workflow.IdempotencyKey(text))
			}
			if _, err := workflow.Resume(w.t.Context(), w.eng, "channel:c", text, opts...); err != nil {
				w.t.Errorf("%s: %v", text, err)
			}
		}
		for round := range rounds {
			var all sync.WaitGroup
			send(fmt.Sprintf("%d first", round))
			sent = append(sent, fmt.Sprintf("%d first", round))
			if round%3 == 0 {
				w.idle()
			}
			all.Go(func() { send(fmt.Sprintf("/stop %d", round)) })
			for i := range 4 {
				text := fmt.Sprintf("%d late %d", round, i)
				sent = append(sent, text)
				all.Go(func() { send(text) })
			}
			all.Wait()
		}
		send("/stop for good")
		w.idle()
		heard := w.heard()
		slices.Sort(sent)
		slices.Sort(heard)
		if !slices.Equal(sent, heard) {
			w.t.Errorf("%d messages were heard, %d were accepted: %v", len(heard), len(sent), difference(sent, heard))
		}
	})
}

// heard returns what all channel logs have heard: all runs must have ended.
func (w *world) heard() []string {
	w.t.Helper()
	var heard []string
	for _, r := range runs(w.t, w.st) {
		if r.Status == store.Waiting { // a successor that has not been told to stop
			cancelRun(w, r.ID)
			w.idle()
			events, err := w.eng.Journal(w.t.Context(), r.ID, 0, 0)
			if err != nil {
				w.t.Fatal(err)
			}
			heard = append(heard, payloads(events)...)
			continue
		}
		said, err := do(w, func(ctx context.Context, c *engine.Engine) ([]string, error) {
			return workflow.Get[[]string](c, r.ID).Result(ctx)
		})
		if err != nil {
			w.t.Fatal(err)
		}
		heard = append(heard, said...)
	}
	return heard
}

// payloads returns the payloads in a journal.
func payloads(events []inspect.Event) []string {
	var texts []string
	for _, e := range events {
		if e.Kind == inspect.EventPayloadReceived {
			texts = append(texts, strings.Trim(string(e.Data), `"`))
		}
	}
	return texts
}

func difference(a, b []string) []string {
	return slices.DeleteFunc(slices.Clone(a), func(s string) bool { return slices.Contains(b, s) })
}
