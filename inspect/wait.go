package inspect

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/tenter-dev/tenter/internal/journal"
	"github.com/tenter-dev/tenter/workflow"
)

// Wait is a thing that a run waits for now: any of them lets it go on.
type Wait struct {
	For    WaitFor             `json:"for"`
	Code   WaitCode            `json:"code"`             // which of the things of that kind
	Reason workflow.ReasonCode `json:"reason,omitempty"` // of [WaitBlocked]
	What   string              `json:"what"`             // the same for people, such as "a payload to hook approval:doc-7"

	Since time.Time `json:"since,omitzero"`
	Until time.Time `json:"until,omitzero"` // when it is over of itself; zero: never

	Name     string `json:"name,omitempty"`      // of a payload: the token of the hook; else as in [Item]
	HookID   string `json:"hook_id,omitempty"`   // of a payload
	HookType string `json:"hook_type,omitempty"` // of a payload
	RunID    string `json:"run_id,omitempty"`    // of a child, or of a run that is awaited
	Worker   string `json:"worker,omitempty"`    // that executes it
	Attempt  int    `json:"attempt,omitempty"`   // of a step: the one that executes, or the next one
	Error    string `json:"error,omitempty"`     // of the last attempt
	Advice   string `json:"advice,omitempty"`    // how to get it going, if nothing gets it going of itself
	Retry    bool   `json:"retry,omitempty"`     // a retry lets the code that is there try again
}

// WaitFor says what kind of thing a run waits for.
type WaitFor string

// What runs wait for.
const (
	ForWorker   WaitFor = "worker"   // one that can begin it, continue it, or take in what is in its mailbox
	ForStep     WaitFor = "step"     // an attempt that executes, or should
	ForRetry    WaitFor = "retry"    // the next attempt of a step that has failed
	ForChild    WaitFor = "child"    // the result of a child run
	ForRun      WaitFor = "run"      // the end of another run
	ForSleep    WaitFor = "sleep"    // ends earlier if the run is woken
	ForPayload  WaitFor = "payload"  // somebody who resumes a hook
	ForDeadline WaitFor = "deadline" // the end of a context or of a select
)

// WaitCode says what a run waits for more precisely than [WaitFor]. Codes are stable; there may
// be more of them.
type WaitCode string

// The codes of waits.
const (
	WaitBlocked   WaitCode = "blocked"    // for a worker that can continue it
	WaitBegin     WaitCode = "begin"      // for a worker to begin it
	WaitFirstCode WaitCode = "first_code" // for the first part of its code, which a worker executes
	WaitMailbox   WaitCode = "mailbox"    // for a worker to take in what is in its mailbox
	WaitTurn      WaitCode = "turn"       // for its code, which a worker executes, to take in what is in its mailbox
	WaitStep      WaitCode = "step"       // for a step to be executed
	WaitAttempt   WaitCode = "attempt"    // for the attempt of a step that is executing
	WaitRetry     WaitCode = "retry"      // for the next attempt of a step that has failed
	WaitChild     WaitCode = "child"      // for the result of a child run
	WaitRun       WaitCode = "run"        // for the end of another run
	WaitSleep     WaitCode = "sleep"      // for the end of a sleep
	WaitPayload   WaitCode = "payload"    // for a payload to a hook
	WaitDeadline  WaitCode = "deadline"   // for the end of a context or of a select
)

var waitOrder = []WaitFor{ForWorker, ForStep, ForRetry, ForChild, ForRun, ForSleep, ForPayload, ForDeadline}

// Waits tells what a run waits for, by its timeline and its mailbox. What only
// somebody outside can mend comes first, deadlines come last. A run that has ended
// waits for nothing. A journal does not say which of the open things the code has
// come to wait at: a hook is among them also while a step executes.
func Waits(run workflow.RunInfo, items []Item, mail []Message) []Wait {
	mail = slices.DeleteFunc(slices.Clone(mail), func(m Message) bool { return m.Deferred })
	if run.Status.Ended() {
		return nil
	}
	var waits []Wait
	if run.Status == workflow.StatusBlocked {
		w := Wait{
			For: ForWorker, Code: WaitBlocked, Reason: run.ReasonCode, What: "a worker that can continue it: " + run.Reason, Advice: Advice(run.ReasonCode),
		}
		if !journal.Code(run.ReasonCode).Unattended() {
			w.Since, w.Retry = run.UpdatedAt, true
		}
		waits = append(waits, w)
	}
	advice := adviceBusy
	if run.Status == workflow.StatusBlocked {
		advice = "" // there is better
	}
	switch {
	case run.Worker != "" && run.Events == 0:
		waits = append(waits, Wait{
			For: ForWorker, Code: WaitFirstCode, What: "its first code, which worker " + run.Worker + " executes", Worker: run.Worker,
			Since: run.CreatedAt, Advice: adviceSlow,
		})
	case run.Worker != "" && len(mail) > 0:
		waits = append(waits, Wait{
			For: ForWorker, Code: WaitTurn, What: "its code, which worker " + run.Worker + " executes, to take in " + contents(mail), Worker: run.Worker,
			Since: mail[0].At, Advice: adviceSlow,
		})
	case run.Events == 0:
		waits = append(waits, Wait{For: ForWorker, Code: WaitBegin, What: "a worker to begin it", Since: run.CreatedAt, Advice: advice})
	case len(mail) > 0:
		waits = append(waits, Wait{For: ForWorker, Code: WaitMailbox, What: "a worker to take in " + contents(mail), Since: mail[0].At, Advice: advice})
	}
	for i := range items {
		if w, ok := waitOf(&items[i]); ok {
			waits = append(waits, w)
		}
	}
	slices.SortStableFunc(waits, func(a, b Wait) int {
		return cmp.Or(
			cmp.Compare(slices.Index(waitOrder, a.For), slices.Index(waitOrder, b.For)),
			compareUntil(a.Until, b.Until),
		)
	})
	return waits
}

// Abridge keeps the first n waits of each kind, and counts the others. A run can wait
// for thousands of things, which nobody reads.
func Abridge(waits []Wait, n int) (kept []Wait, left map[WaitFor]int) {
	seen := map[WaitFor]int{}
	left = map[WaitFor]int{}
	for _, w := range waits {
		if seen[w.For]++; seen[w.For] <= n {
			kept = append(kept, w)
		} else {
			left[w.For]++
		}
	}
	return kept, left
}

// compareUntil puts the earliest first, and never last.
func compareUntil(a, b time.Time) int {
	if a.IsZero() != b.IsZero() {
		if a.IsZero() {
			return 1
		}
		return -1
	}
	return a.Compare(b)
}

func waitOf(it *Item) (Wait, bool) {
	w := Wait{Name: it.Name, Since: it.Begin, Until: it.Until, Error: it.Error, RunID: it.RunID}
	switch {
	case it.State == StateBackoff:
		w.Attempt = it.Attempts[len(it.Attempts)-1].Number + 1
		next := fmt.Sprintf("attempt %d", w.Attempt)
		if it.MaxAttempts > 0 {
			next += fmt.Sprintf(" of %d", it.MaxAttempts)
		}
		w.For, w.Code, w.What = ForRetry, WaitRetry, next+" of "+it.Title()
		return w, true
	case it.State != StateOpen:
		return w, false
	}
	switch it.Kind {
	case KindStep:
		w.For, w.Code, w.What = ForStep, WaitStep, it.Title()
		if n := len(it.Attempts); n > 0 && it.Attempts[n-1].End.IsZero() {
			try := it.Attempts[n-1]
			w.Code, w.Attempt, w.Worker = WaitAttempt, try.Number, try.Worker
			w.What, w.Since = fmt.Sprintf("attempt %d of %s", try.Number, it.Title()), try.Begin
			if try.Worker != "" {
				w.What += ", which worker " + try.Worker + " executes"
			}
		}
	case KindHook:
		if n := len(it.Payloads); it.HookID == "" || n > 0 && it.Payloads[n-1].Position == 0 {
			return w, false // its token is being claimed, which the store decides at once; or it has got one
		}
		w.For, w.Code, w.What, w.HookType = ForPayload, WaitPayload, "a payload to "+it.Title(), it.HookType
		w.HookID = it.HookID
		if it.HookType != "" {
			w.What += " (type " + it.HookType + ")"
		}
	case KindChild:
		w.For, w.Code, w.What = ForChild, WaitChild, it.Title()+", run "+it.RunID
	case KindAwait:
		w.For, w.Code, w.What = ForRun, WaitRun, "the end of "+it.Name
	case KindSleep:
		w.For, w.Code, w.What = ForSleep, WaitSleep, "the end of a sleep"
	case KindDeadline:
		w.For, w.Code, w.What = ForDeadline, WaitDeadline, "a deadline"
	default: // a response is decided by the store at once
		return w, false
	}
	return w, true
}

// contents says what is in a mailbox, such as "2 payloads and a request to cancel".
func contents(mail []Message) string {
	var payloads, results int
	var parts []string
	for _, m := range mail {
		switch m.Kind {
		case EventPayloadReceived:
			payloads++
		case EventChildCompleted, EventChildFailed, EventStepCompleted, EventAwaitedCompleted, EventAwaitedFailed:
			results++
		case EventCancelRequested:
			parts = append(parts, "a request to cancel")
		case EventWoken:
			parts = append(parts, "a request to wake")
		case EventRetried:
			parts = append(parts, "a request to retry")
		case EventRetryNow:
			parts = append(parts, "a request to try steps again at once")
		case EventResumed:
			parts = append(parts, "an order to go on")
		default: // it is counted only
		}
	}
	if results > 0 {
		parts = slices.Insert(parts, 0, plural(results, "result"))
	}
	if payloads > 0 {
		parts = slices.Insert(parts, 0, plural(payloads, "payload"))
	}
	if len(parts) == 0 {
		return plural(len(mail), "message")
	}
	return join(parts, "and")
}

func plural(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

func join(parts []string, last string) string {
	n := len(parts)
	if n < 2 {
		return strings.Join(parts, "")
	}
	return strings.Join(parts[:n-1], ", ") + " " + last + " " + parts[n-1]
}

const adviceBusy = "see that a worker is up which has the workflow, and is not overloaded; it goes on by itself then"

const adviceSlow = "if it lasts, the code blocks on something that is not durable, or never ends: the worker's log says where. " +
	"Mend the code and restart the worker, or terminate the run"

// Advice says what to do about a run that is blocked for a reason.
func Advice(reason workflow.ReasonCode) string {
	if advice, ok := advices[reason]; ok {
		return advice
	}
	return "deploy code that can continue it; it goes on by itself then. To let the code that is there try again, retry the run"
}

var advices = map[workflow.ReasonCode]string{
	workflow.ReasonNoWorker:     "start a worker: a program whose engine has the workflow, with Run at work; the run goes on by itself then",
	workflow.ReasonNoWorkflow:   "deploy a worker that has the workflow; the run goes on by itself then",
	workflow.ReasonNoVersion:    "deploy a worker that has this version too, beside newer ones; the run goes on by itself then",
	workflow.ReasonNoDefinition: "deploy a worker that has the workflow; the run goes on by itself then",
	workflow.ReasonNonDeterministic: "deploy a build that makes the recorded calls, or one that keeps the old code as a version of its own; " +
		"the run goes on by itself then. Or terminate it",
	workflow.ReasonKilledWorkers: "look for what kills the process (out of memory, os.Exit, a fatal error) in the worker's log, mend and deploy it, " +
		"then retry the run",
	workflow.ReasonNoPublicURL:    "set engine.Options.PublicURL in the worker and restart it; the run goes on by itself then",
	workflow.ReasonNoSender:       "name the sender in engine.Options.Senders of the worker and restart it; the run goes on by itself then",
	workflow.ReasonNoAnswerKeys:   "set engine.Options.AnswerKeys on the worker and restart it; the run goes on by itself then",
	workflow.ReasonNoHookType:     "name the hook type in engine.Options.Hooks of the worker and restart it; the run goes on by itself then",
	workflow.ReasonTopicType:      "define the topic once, and use that definition in workflows and in engine.Options.Hooks; deploy that, and the run goes on by itself",
	workflow.ReasonRestartMisused: "deploy a build whose workflow returns the error of its own Restart; the run goes on by itself then",
	workflow.ReasonInputUnfit:     "deploy a version that can decode the input, or one without a newer version; the run goes on by itself then",
}

// Explain says in a sentence without a subject what has become of a run, or what it
// waits for and for how long, such as "waits for a payload to hook approval:doc-7 (type
// approval), since 3 h, or until the deadline in 21 h". The failure is that of a run
// that has failed.
func Explain(run workflow.RunInfo, waits []Wait, failure string, now time.Time) string {
	if p := run.Paused; p != nil && !run.Status.Ended() {
		run.Paused = nil
		s := fmt.Sprintf("is %s, since %s", PauseText(p), Duration(now.Sub(p.At)))
		if len(waits) > 0 {
			s += "; once it goes on it " + Explain(run, waits, failure, now)
		}
		return s
	}
	if run.Status.Ended() {
		ended := string(run.Status)
		if run.Status == workflow.StatusCanceled {
			ended = "was canceled"
		}
		s := fmt.Sprintf("%s %s ago, after %s", ended, Duration(now.Sub(run.EndedAt)), Duration(run.EndedAt.Sub(run.CreatedAt)))
		if failure != "" {
			s += ": " + failure
		}
		return s
	}
	others := slices.DeleteFunc(slices.Clone(waits), func(w Wait) bool { return w.For == ForWorker })
	if len(waits)-len(others) > 1 && len(others) > 0 && others[0].For == ForDeadline {
		others = nil // it has got what it waits for
	}
	switch {
	case run.Status == workflow.StatusBlocked && len(others) > 0:
		return "is blocked: " + run.Reason + "; once it goes on it " + explain(others, now)
	case run.Status == workflow.StatusBlocked:
		return "is blocked: " + run.Reason
	case len(waits) == 0:
		return "is being executed"
	case len(others) < len(waits):
		return explain(waits[:1], now)
	}
	return explain(waits, now)
}

func explain(waits []Wait, now time.Time) string {
	var deadlines, others []string
	for _, w := range waits {
		if w.For == ForDeadline {
			deadlines = append(deadlines, when(w.Until, now))
		} else {
			others = append(others, w.What+clause(w, now))
		}
	}
	if len(others) == 0 {
		return "waits for a deadline " + deadlines[0]
	}
	const most = 3
	if n := len(others) - most; n > 0 {
		others = append(others[:most], fmt.Sprintf("%d more", n))
	}
	s := "waits for " + join(others, "or")
	if len(deadlines) > 0 {
		s += ", or until the deadline " + deadlines[0]
	}
	return s
}

// clause says since when, and until when, or why.
func clause(w Wait, now time.Time) string {
	switch w.For {
	case ForRetry:
		return fmt.Sprintf(", due %s, after it failed: %s", when(w.Until, now), w.Error)
	case ForSleep:
		return ", " + when(w.Until, now)
	default:
		return since(w, now)
	}
}

func since(w Wait, now time.Time) string {
	if w.Since.IsZero() {
		return ""
	}
	return ", since " + Duration(now.Sub(w.Since))
}

// when says when something is due.
func when(t, now time.Time) string {
	if d := t.Sub(now); d >= 0 {
		return "in " + Duration(d)
	}
	return Duration(now.Sub(t)) + " ago"
}

// Duration writes a duration for people, with one unit or two, such as "3 h 20 min".
// A negative one is 0.
func Duration(d time.Duration) string {
	const day = 24 * time.Hour
	switch {
	case d <= 0:
		return "0 s"
	case d < time.Millisecond:
		return fmt.Sprintf("%d µs", d.Microseconds())
	case d < time.Second:
		return fmt.Sprintf("%d ms", d.Milliseconds())
	case d < time.Minute:
		return fmt.Sprintf("%d s", d/time.Second)
	case d < time.Hour:
		return units(d, time.Minute, "min", time.Second, "s")
	case d < day:
		return units(d, time.Hour, "h", time.Minute, "min")
	case d < 365*day:
		return units(d, day, "d", time.Hour, "h")
	default:
		return units(d, 365*day, "y", day, "d")
	}
}

// units writes the small unit only while the large ones are few.
func units(d, large time.Duration, nameLarge string, small time.Duration, nameSmall string) string {
	s := fmt.Sprintf("%d %s", d/large, nameLarge)
	if rest := d % large / small; rest > 0 && d/large < 10 {
		s += fmt.Sprintf(" %d %s", rest, nameSmall)
	}
	return s
}
