package engine

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"slices"
	"sync/atomic"
	"time"

	"github.com/tenter-dev/tenter/engine/internal/execution"
	"github.com/tenter-dev/tenter/internal/journal"
	"github.com/tenter-dev/tenter/internal/run"
	"github.com/tenter-dev/tenter/store"
	"github.com/tenter-dev/tenter/workflow"
)

// ReplayVerdict says whether a run can go on with the code of an engine.
type ReplayVerdict string

// The verdicts.
const (
	ReplaySame           ReplayVerdict = "same"            // the code does what the journal has
	ReplayDiverges       ReplayVerdict = "diverges"        // it does something else: the run would be blocked
	ReplayPanics         ReplayVerdict = "panics"          // it panics where it did not: the run would fail
	ReplayHangs          ReplayVerdict = "hangs"           // it does not come to its next durable call
	ReplayVersionMissing ReplayVerdict = "version_missing" // the engine has no such workflow or version
	ReplayUnable         ReplayVerdict = "unable"          // the engine's options lack what the code needs, or it misuses Restart: see Detail
)

// ReplayCheck is what [CheckReplay] has learned about a run.
type ReplayCheck struct {
	RunID    string          `json:"run_id"`
	Workflow string          `json:"workflow"`
	Version  int             `json:"version"`
	Status   workflow.Status `json:"status"`
	Verdict  ReplayVerdict   `json:"verdict"`
	Detail   string          `json:"detail,omitempty"` // what is wrong; empty if nothing is

	// Of a run that diverges: the event after which the code asked for something else, what the
	// journal has there, what the code asked for, and its line. Empty is nothing more.
	Position  int64  `json:"position,omitempty"`
	Event     string `json:"event,omitempty"`
	Recorded  string `json:"recorded,omitempty"`
	Attempted string `json:"attempted,omitempty"`
	Caller    string `json:"caller,omitempty"`

	// Of a run that can go on: payloads that wait for it and that the code can't take.
	InvalidPayloads []InvalidPayloads `json:"invalid_payloads,omitempty"`
}

// replay is the execution of recorded events alone.
type replay struct {
	x      *execution.Execution
	env    execution.Environment
	events []store.Event
	next   []byte       // the input with which the generation has ended, nil if that is not known
	at     atomic.Int64 // events that have been fed
	hooks  openedHooks
}

// newReplay returns the replay of a run with some code. Whatever the code asks for, there is no way to
// do it.
func (p *program) newReplay(ctx context.Context, l *store.Loaded, def *run.Workflow) *replay {
	r := &replay{env: *p.env, events: l.Events}
	r.env.Client, r.env.Respond, r.env.Observed, r.env.Opens = nil, nil, false, r.hooks.add
	r.x = execution.New(context.WithoutCancel(ctx), &l.Run, def, &r.env, slog.New(slog.DiscardHandler))
	return r
}

// run feeds all events, unless the code diverges or ctx ends. It returns false if an event takes too
// long: then the goroutine is left behind, until the code gives control back.
func (p *replay) run(ctx context.Context, hangsAfter time.Duration) bool {
	done := make(chan struct{})
	go func() {
		defer close(done)
		for i := range p.events {
			if ctx.Err() != nil || p.x.Replay(&p.events[i]) != nil {
				break
			}
			p.at.Add(1)
		}
	}()
	tick := time.NewTicker(hangsAfter)
	defer tick.Stop()
	for last := int64(-1); ; {
		select {
		case <-done:
			return true
		case <-tick.C:
			at := p.at.Load()
			if at == last {
				go func() {
					<-done
					p.x.Close()
				}()
				return false
			}
			last = at
		}
	}
}

// judge says what has come of the replay.
func (p *replay) judge(check *ReplayCheck) {
	d := p.x.Divergence()
	result, failure, _ := p.x.Result()
	var end *store.Event
	if n := len(p.events); n > 0 {
		end = &p.events[n-1]
	}
	switch {
	case d != nil && d.Unable != "":
		check.Verdict, check.Detail = ReplayUnable, d.Unable
	case panicked(failure) && (end == nil || end.Kind != store.RunFailed):
		check.Verdict, check.Detail = ReplayPanics, failure.Text
	case d != nil:
		check.Verdict, check.Detail = ReplayDiverges, d.String()
		check.Position, check.Event, check.Recorded, check.Attempted, check.Caller = d.Position, d.Event, d.Recorded, d.Attempted, d.Caller
	case end == nil:
	default:
		if check.Detail = p.endsOtherwise(end, result, failure); check.Detail != "" {
			check.Verdict, check.Position = ReplayDiverges, end.Position
		}
	}
}

// endsOtherwise compares the end of the code with that of the journal.
func (p *replay) endsOtherwise(end *store.Event, result []byte, failure *journal.Failure) string {
	ended := end.Kind == store.RunCompleted || end.Kind == store.RunFailed || end.Kind == store.RunCanceled
	switch {
	case end.Kind == store.RunCanceled:
		return "" // the code may have ended otherwise before it could be canceled
	case !ended && p.x.Finished() && p.x.Restarting() == nil:
		return "the code has returned, where the journal has it wait"
	case end.Kind == store.Restarted:
		return p.restartsOtherwise()
	case ended && !p.x.Finished():
		return "the code waits, where the journal has it return"
	case end.Kind == store.RunCompleted && failure != nil:
		return fmt.Sprintf("the code fails with %q, where the journal has a result", failure.Text)
	case end.Kind == store.RunCompleted && !bytes.Equal(result, end.Data):
		return fmt.Sprintf("the code returns %s, where the journal has %s", excerpt(result), excerpt(end.Data))
	case end.Kind == store.RunFailed && failure == nil:
		return fmt.Sprintf("the code returns %s, where the journal has a failure", excerpt(result))
	}
	return ""
}

// restartsOtherwise compares the restart of the code with that of the journal.
func (p *replay) restartsOtherwise() string {
	switch r := p.x.Restarting(); {
	case r == nil:
		return "the code waits, where the journal has it restart"
	case p.next != nil && !bytes.Equal(r.Input, p.next):
		return fmt.Sprintf("the code restarts with %s, where the journal has %s", excerpt(r.Input), excerpt(p.next))
	}
	return ""
}

// excerpt is the beginning of a result, for people.
func excerpt(result []byte) string { return run.CutTo(string(result), 200) }

func panicked(f *journal.Failure) bool {
	return f != nil && slices.ContainsFunc(f.As, func(t journal.Typed) bool { return t.Type == journal.AsPanic })
}
