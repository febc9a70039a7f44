package workflowtest

import (
	"context"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/tenter-dev/tenter/internal/journal"
	"github.com/tenter-dev/tenter/internal/run"
	"github.com/tenter-dev/tenter/store"
	"github.com/tenter-dev/tenter/workflow"
)

// State is what a run waits for.
type State struct {
	workflow.RunInfo
	Hooks    []*Hook    // that are open, in the order in which they were opened
	Timers   []Timer    // that its code waits for, the earliest first
	Children []Child    // that its code waits for
	Steps    []StepWait // that its code waits for

	AwaitedRuns []AwaitedRun // that its code waits for

	err string // why it failed
	now time.Time
}

// Hook is an open hook of a run.
type Hook struct {
	workflow.HookInfo
	Awaited bool   // code waits for its next payload now
	At      string // file and line where it waits, or else where it opened the hook

	e *Engine
}

// Timer is a durable timer that code waits for.
type Timer struct {
	Kind  string // "sleep"; "deadline": of WithTimeout, or of OnTimer in a Select
	Until time.Time
	At    string // file and line of the code that waits
}

// Child is a child run that code waits for.
type Child struct {
	RunID    string
	Workflow string
	At       string // file and line of the code that waits
}

// AwaitedRun is another run whose end code waits for, with workflow.Await.
type AwaitedRun struct {
	RunID string
	At    string // file and line of the code that waits
}

// StepWait is a step that code waits for. It is executing, or is to be tried again.
type StepWait struct {
	ID      string    // in the run, such as "charge#1"
	Attempt int       // the one that is executing, or the next one
	Since   time.Time // when the attempt began; zero: it is not executing
	RetryAt time.Time // when the next attempt begins; zero: it is executing
	Err     string    // why the last attempt failed
	At      string    // file and line of the code that waits
}

// State returns what a run waits for, once all runs have gone as far as they can. No
// time passes. Its String is made for people.
func (e *Engine) State(run Run) State {
	e.t.Helper()
	e.settle(e.t.Context())
	s, err := e.look(run.ID())
	if err != nil {
		e.t.Fatalf("state of run %s: %v", run.ID(), err)
	}
	return s
}

// Hook lets time pass until the code of a run waits for a hook, or a webhook, and
// returns that. The test fails if it never will, or waits for several at once: then take
// one from [Engine.State].
func (e *Engine) Hook(run Run) *Hook {
	e.t.Helper()
	var s State
	var failed error
	err := e.until(e.t.Context(), func() bool {
		s, failed = e.look(run.ID())
		return failed != nil || len(s.awaited()) > 0 || s.Status.Ended() || s.Status == workflow.StatusBlocked
	})
	switch hooks := s.awaited(); {
	case failed != nil:
		e.t.Fatalf("hook of run %s: %v", run.ID(), failed)
	case err != nil:
		e.t.Fatalf("run %s does not wait for a hook, and never will: %v\n%s", run.ID(), err, e.state(run.ID()))
	case len(hooks) == 0:
		e.t.Fatalf("run %s does not wait for a hook\n%s", run.ID(), e.state(run.ID()))
	case len(hooks) > 1:
		e.t.Fatalf("run %s waits for several hooks: take one from eng.State(run).Hooks\n%s", run.ID(), e.state(run.ID()))
	default:
		return hooks[0]
	}
	return nil
}

// Resume sends a payload to the hook, and returns when all runs have gone as far as they
// can. The test fails if it is refused; where it is to be refused, use workflow.Resume.
func (h *Hook) Resume(payload any, opts ...workflow.ResumeOption) workflow.HookInfo {
	h.e.t.Helper()
	info, err := workflow.Resume(h.e.t.Context(), h.e, h.Token, payload, opts...)
	if err != nil {
		h.e.t.Fatal(err)
	}
	return info
}

// URL is where a webhook takes requests. Send them with [Hook.PostForm],
// [Hook.PostJSON] or [Engine.Send].
func (h *Hook) URL() string {
	h.e.t.Helper()
	if !h.Webhook {
		h.e.t.Fatalf("hook %s is not a webhook: it has no URL", h.ID)
	}
	return strings.TrimSuffix(h.e.opts.PublicURL, "/") + run.WebhookPath + url.PathEscape(h.Token)
}

func (s *State) awaited() []*Hook {
	return slices.DeleteFunc(slices.Clone(s.Hooks), func(h *Hook) bool { return !h.Awaited })
}

// look puts together what a run waits for: from the database, and from the record of its
// code.
func (e *Engine) look(runID string) (State, error) {
	ctx := context.WithoutCancel(e.t.Context())
	s := State{now: time.Now()}
	var err error
	if s.RunInfo, err = e.client.RunInfo(ctx, runID); err != nil {
		return s, err
	}
	if s.Status.Ended() {
		l, err := e.store.Load(ctx, runID, s.Events-1)
		s.err = errorText(l.Events)
		return s, err
	}
	if s.Hooks, err = e.openHooks(ctx, runID); err != nil {
		return s, err
	}
	e.mu.Lock()
	rec := e.records[runID]
	e.mu.Unlock()
	if rec != nil {
		rec.describe(&s)
	}
	if len(s.Steps) > 0 {
		l, err := e.store.Load(ctx, runID, 0)
		if err != nil {
			return s, err
		}
		e.describeSteps(&s, l.Events)
	}
	slices.SortStableFunc(s.Timers, func(a, b Timer) int { return a.Until.Compare(b.Until) })
	return s, nil
}

// openHooks lists the open hooks of a run, all of them.
func (e *Engine) openHooks(ctx context.Context, runID string) ([]*Hook, error) {
	var open []*Hook
	f := store.HookFilter{RunID: runID, Limit: 1000}
	for {
		hooks, err := e.store.Hooks(ctx, f)
		if err != nil {
			return nil, err
		}
		for _, h := range hooks {
			open = append(open, &Hook{HookInfo: workflow.HookInfo{
				ID: h.ID, RunID: h.RunID, Token: h.Token, Type: h.Type, Webhook: h.Webhook != nil && !run.IsCall(h.Webhook), Call: run.IsCall(h.Webhook), Metadata: h.Metadata, CreatedAt: h.CreatedAt,
				Subject: h.Subject, Reserved: h.Reserved, Carried: h.Carried,
			}, e: e})
		}
		if len(hooks) < f.Limit {
			return open, nil
		}
		f.After = hooks[len(hooks)-1].Number
	}
}

// describe adds what code waits for.
func (r *record) describe(s *State) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, h := range s.Hooks {
		h.At = r.hooks[h.ID].at
	}
	for _, w := range r.waits {
		if w.step != "" {
			s.Steps = append(s.Steps, StepWait{ID: w.step, Attempt: 1, At: w.at})
			continue
		}
		for _, on := range w.on {
			switch on := on.(type) {
			case run.OpenHook:
				for _, h := range s.Hooks {
					if h.ID == on.ID() {
						h.Awaited, h.At = true, w.at
					}
				}
			case run.ChildRun:
				s.Children = append(s.Children, Child{RunID: on.ID(), Workflow: r.children[on], At: w.at})
			case run.AwaitedRun:
				s.AwaitedRuns = append(s.AwaitedRuns, AwaitedRun{RunID: on.RunID(), At: w.at})
			default:
				if t, ok := r.timers[on]; ok {
					s.Timers = append(s.Timers, Timer{Kind: string(t.kind), Until: t.until, At: w.at})
				}
			}
		}
		if !w.deadline.IsZero() {
			s.Timers = append(s.Timers, Timer{Kind: string(run.Deadline), Until: w.deadline, At: w.at})
		}
	}
}

// describeSteps adds how steps fare: from the journal, and from what is executing.
func (e *Engine) describeSteps(s *State, events []store.Event) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for i := range s.Steps {
		step := &s.Steps[i]
		for _, ev := range events {
			if ev.Kind == store.StepRetried && ev.Ref == step.ID {
				r, _ := journal.DecodeRetry(ev.Data)
				step.Attempt, step.RetryAt, step.Err = r.Attempts+1, r.RetryAt, r.Text
			}
			if ev.Kind == store.RetryNow && step.RetryAt.After(ev.At) {
				step.RetryAt = ev.At
			}
		}
		if at, ok := e.attempts[s.ID+"/"+step.ID]; ok && !at.p.dead.Load() {
			step.Attempt, step.Since, step.RetryAt = at.number, at.since, time.Time{}
		}
	}
}

func errorText(events []store.Event) string {
	if len(events) == 0 {
		return ""
	}
	last := events[len(events)-1]
	if last.Kind != store.RunFailed && last.Kind != store.RunCanceled {
		return ""
	}
	return journal.DecodeFailure(last.Data).Text
}

// state describes a run for a failure, whatever becomes of that.
func (e *Engine) state(runID string) string {
	e.mu.Lock()
	e.told[runID] = true
	e.mu.Unlock()
	s, err := e.look(runID)
	if err != nil {
		return err.Error()
	}
	return s.String()
}

// String describes the run in a few lines.
func (s State) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "run %s of %s is %s", s.ID, s.Workflow, s.Status)
	if s.Reason != "" {
		fmt.Fprintf(&b, ": %s", s.Reason)
	}
	if s.err != "" {
		fmt.Fprintf(&b, ": %s", s.err)
	}
	line := func(at, format string, args ...any) {
		fmt.Fprintf(&b, "\n  "+format, args...)
		if at != "" {
			fmt.Fprintf(&b, ", at %s", at)
		}
	}
	for _, w := range s.Steps {
		switch {
		case !w.Since.IsZero():
			line(w.At, "%s is executing attempt %d, for %s", run.StepTitle(w.ID), w.Attempt, duration(s.now.Sub(w.Since)))
		case !w.RetryAt.IsZero():
			line(w.At, "%s begins attempt %d in %s, after the error: %s", run.StepTitle(w.ID), w.Attempt, duration(w.RetryAt.Sub(s.now)), w.Err)
		default:
			line(w.At, "%s is to begin", run.StepTitle(w.ID))
		}
	}
	for _, h := range s.Hooks {
		kind := "hook"
		switch {
		case h.Webhook:
			kind = "webhook"
		case h.Call:
			kind = "call"
		}
		if h.Type != "" {
			kind += " of type " + h.Type
		}
		if h.Metadata != nil {
			kind += " " + string(h.Metadata)
		}
		if h.Awaited {
			line(h.At, "waits for a payload to token %q (%s)", h.Token, kind)
		} else {
			line(h.At, "does not wait for token %q (%s), which is open", h.Token, kind)
		}
	}
	for _, t := range s.Timers {
		line(t.At, "waits for a %s, which ends in %s", t.Kind, duration(t.Until.Sub(s.now)))
	}
	for _, c := range s.Children {
		line(c.At, "waits for run %s of %s", c.RunID, c.Workflow)
	}
	for _, r := range s.AwaitedRuns {
		line(r.At, "awaits the end of run %s", r.RunID)
	}
	return b.String()
}

// duration is d in short: 24h and not 24h0m0s.
func duration(d time.Duration) string {
	s := d.Round(time.Microsecond).String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}
