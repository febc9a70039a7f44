package inspect_test

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tenter-dev/tenter/engine"
	"github.com/tenter-dev/tenter/inspect"
	"github.com/tenter-dev/tenter/internal/memdir"
	"github.com/tenter-dev/tenter/store/sqlite"
	"github.com/tenter-dev/tenter/workflow"
)

var update = flag.Bool("update", false, "write testdata")

// TestTimeline compares the timelines of real runs with golden files, at moments that each scene
// names.
func TestTimeline(t *testing.T) {
	t.Parallel()
	for _, s := range scenes {
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			inScene(t, s.play)
		})
	}
}

// scene plays runs on an engine in fake time, and shows what becomes of them.
type scene struct {
	*testing.T
	eng  *engine.Engine
	st   *sqlite.Store
	defs []workflow.Definition
	stop func()
	text strings.Builder
}

func newScene(t *testing.T) *scene {
	t.Helper()
	st, err := sqlite.OpenWith(filepath.Join(memdir.TempDir(t), "scene.db"), sqlite.Options{Private: true})
	if err != nil {
		t.Fatal(err)
	}
	s := &scene{T: t, st: st, stop: func() {}}
	t.Cleanup(func() {
		s.stop()
		_ = st.Close()
	})
	return s
}

func inScene(t *testing.T, play func(s *scene)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		s := newScene(t)
		play(s)
		name := filepath.Join("testdata", strings.ReplaceAll(strings.TrimPrefix(t.Name(), "TestTimeline/"), "/", "_")+".txt")
		if *update {
			if err := os.WriteFile(name, []byte(s.text.String()), 0o644); err != nil { //nolint:gosec // it is read by people
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(string(want), s.text.String()); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	})
}

// work starts an engine that has the workflows, after it has stopped the one before.
func (s *scene) work(defs ...workflow.Definition) {
	s.Helper()
	s.stop()
	eng, err := engine.New(s.st, engine.Options{Workflows: defs, Build: fmt.Sprint(len(s.defs))})
	if err != nil {
		s.Fatal(err)
	}
	s.defs = append(s.defs, defs...)
	ctx, cancel := context.WithCancel(context.WithoutCancel(s.Context()))
	done := make(chan error, 1)
	go func() { done <- eng.Run(ctx) }()
	s.eng = eng
	s.stop = func() {
		cancel()
		if err := errors.Join(<-done, eng.Close()); err != nil {
			s.Error(err)
		}
	}
	synctest.Wait()
}

func (s *scene) start(name, id string, input string) {
	s.Helper()
	_, err := s.eng.StartRun(s.Context(), workflow.StartRequest{Workflow: name, RunID: id, Input: json.RawMessage(input)})
	s.must(err)
}

func (s *scene) resume(token string, payload any, opts ...workflow.ResumeOption) {
	s.Helper()
	_, err := workflow.Resume(s.Context(), s.eng, token, payload, opts...)
	s.must(err)
}

func (s *scene) must(err error) {
	s.Helper()
	if err != nil {
		s.Fatal(err)
	}
	synctest.Wait()
}

func (s *scene) pass(d time.Duration) {
	time.Sleep(d) //nolint:forbidigo // fake time
	synctest.Wait()
}

// show writes what is to be seen of a run now.
func (s *scene) show(runID string) {
	s.Helper()
	d := s.load(runID)
	now := time.Now()
	fmt.Fprintf(&s.text, "%s, %s after its start: %s\n", runID, inspect.Duration(now.Sub(d.Run.CreatedAt)), d.Explain(now))
	at := func(t time.Time) string {
		if t.IsZero() {
			return "…"
		}
		return t.Sub(d.Run.CreatedAt).Round(time.Second).String()
	}
	for _, it := range d.Items {
		fmt.Fprintf(&s.text, "  %d %s %s: %s, %s to %s", it.Position, it.Kind, it.Name, it.State, at(it.Begin), at(it.End))
		for _, part := range []struct{ name, value string }{
			{"hook", it.HookID},
			{"type", it.HookType},
			{"run", it.RunID},
			{"request", it.Request},
			{"result", string(it.Result)},
			{"error", it.Error},
		} {
			if part.value != "" {
				fmt.Fprintf(&s.text, ", %s %s", part.name, part.value)
			}
		}
		if !it.Until.IsZero() {
			fmt.Fprintf(&s.text, ", until %s", at(it.Until))
		}
		fmt.Fprintln(&s.text)
		for _, try := range it.Attempts {
			fmt.Fprintf(&s.text, "    attempt %d: %s to %s %s\n", try.Number, at(try.Begin), at(try.End), try.Error)
		}
		for _, p := range it.Payloads {
			fmt.Fprintf(&s.text, "    payload at %s, position %d: %s\n", at(p.At), p.Position, p.Data)
		}
	}
	for _, w := range d.Waits {
		fmt.Fprintf(&s.text, "  waits (%s, %s) for %s, %s to %s\n", w.For, w.Code, w.What, at(w.Since), at(w.Until))
	}
}

func (s *scene) load(runID string) *inspect.Detail {
	s.Helper()
	d, err := inspect.Load(s.Context(), nameless{s.eng}, runID)
	s.must(err)
	return d
}

// newClient returns an engine that executes nothing.
func newClient(s *scene) *engine.Engine {
	s.Helper()
	eng, err := engine.New(s.st, engine.Options{})
	s.must(err)
	s.Cleanup(func() { _ = eng.Close() })
	return eng
}

// BenchmarkTimeline makes the timeline of a journal of 10,000 events.
func BenchmarkTimeline(b *testing.B) {
	start := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	events := make([]inspect.Event, 10_000)
	for i := range events {
		at := start.Add(time.Duration(i) * time.Second)
		events[i] = inspect.Event{Position: int64(i + 1), At: at, Kind: "payload_received", Ref: "r.h1", Data: json.RawMessage(`{}`), Asked: []string{
			fmt.Sprintf("step charge#%d", i), fmt.Sprintf("deadline %d until %s", i, at.Add(24*time.Hour).Format(time.RFC3339Nano)),
		}}
		if i%2 == 1 {
			events[i].Kind, events[i].Ref = "step_completed", fmt.Sprintf("charge#%d", i-1)
		}
	}
	events[0] = inspect.Event{Position: 1, At: start, Kind: "started", Asked: []string{"hook 1", "step charge#0"}}
	b.ReportAllocs()
	for b.Loop() {
		items := inspect.Timeline(workflow.RunInfo{ID: "r"}, events, nil, nil, nil)
		if len(items) < 19_000 {
			b.Fatal(len(items))
		}
	}
}

// FuzzTimeline checks that no journal, however it came about, is too much.
func FuzzTimeline(f *testing.F) {
	f.Add("step_retried", "a#1", `{"attempts":1}`, "step a#1\nhook 1\nsleep 1 until x")
	f.Add("hook_claimed", "1", `"id"`, "hook 1 token t\nclose 1\nchild a#1 run b")
	f.Add("timer_fired", "1", ``, "deadline 1 until 2026-01-01T00:00:00.000000Z\nrespond 1 to r\nstop 1")
	f.Fuzz(func(_ *testing.T, kindText, ref, data, asked string) {
		kind := inspect.EventKind(kindText)
		lines := strings.Split(asked, "\n")
		events := []inspect.Event{
			{Position: 1, Kind: "started", Asked: lines},
			{Position: 2, Kind: kind, Ref: ref, Data: json.RawMessage(data), Asked: lines},
			{Position: 3, Kind: kind, Ref: ref, Data: json.RawMessage(data)},
		}
		run := workflow.RunInfo{ID: "r", Status: workflow.StatusWaiting, Events: 3}
		mail := []inspect.Message{{Kind: kind, Ref: ref}}
		items := inspect.Timeline(run, events, mail, []workflow.HookInfo{{ID: ref}}, []inspect.Attempt{{Step: ref, Number: 1}})
		inspect.Explain(run, inspect.Waits(run, items, mail), "", time.Now())
	})
}

func TestDuration(t *testing.T) {
	t.Parallel()
	for d, want := range map[time.Duration]string{
		-time.Second:                         "0 s",
		300 * time.Microsecond:               "300 µs",
		1500 * time.Microsecond:              "1 ms",
		59 * time.Second:                     "59 s",
		61 * time.Second:                     "1 min 1 s",
		10*time.Minute + time.Second:         "10 min",
		3*time.Hour + 20*time.Minute:         "3 h 20 min",
		47 * time.Hour:                       "1 d 23 h",
		366 * 24 * time.Hour:                 "1 y 1 d",
		20*365*24*time.Hour + 24*3*time.Hour: "20 y",
	} {
		if got := inspect.Duration(d); got != want {
			t.Errorf("Duration(%d) = %q, want %q", d, got, want)
		}
	}
}

// nameless is an engine whose worker is w in every test.
type nameless struct{ *engine.Engine }

func (n nameless) Executing(ctx context.Context, runID string) ([]inspect.Attempt, error) {
	attempts, err := n.Engine.Executing(ctx, runID)
	for i := range attempts {
		attempts[i].Worker = "w"
	}
	return attempts, err
}
