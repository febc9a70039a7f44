package main

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/tenter-dev/tenter/inspect"
	"github.com/tenter-dev/tenter/workflow"
)

// eventText says in words what an event is. Its data follows, if it has any to show.
func eventText(e *inspect.Event) (text string, s style) {
	ref := line(e.Ref)
	switch e.Kind {
	case inspect.EventStarted:
		return "started", bold
	case inspect.EventPayloadReceived:
		return "payload for hook " + ref, cyan
	case inspect.EventCancelRequested:
		return "asked to cancel", yellow
	case inspect.EventWoken:
		return "woken: sleeps end", yellow
	case inspect.EventRetried:
		return "retried", yellow
	case inspect.EventRetryNow:
		return "retry now: waiting steps are attempted at once", yellow
	case inspect.EventResumed:
		return "resumed after a pause", yellow
	case inspect.EventChildStarted:
		return inspect.Title(inspect.KindChild, ref) + " started", plain
	case inspect.EventChildCompleted:
		return inspect.Title(inspect.KindChild, ref) + " completed", green
	case inspect.EventChildFailed, inspect.EventChildExists:
		return inspect.Title(inspect.KindChild, ref) + " failed", red
	case inspect.EventAwaitedCompleted:
		return "await " + ref + " completed", green
	case inspect.EventAwaitedFailed:
		return "await " + ref + " failed", red
	case inspect.EventAwaitRefused:
		return "await " + ref + " is refused", red
	case inspect.EventStepStarted:
		return inspect.Title(inspect.KindStep, ref) + " started, in quarantine", plain
	case inspect.EventStepRetried:
		return inspect.Title(inspect.KindStep, ref) + " failed, to be tried again", yellow
	case inspect.EventStepCompleted:
		return inspect.Title(inspect.KindStep, ref) + " completed", green
	case inspect.EventStepFailed:
		return inspect.Title(inspect.KindStep, ref) + " failed", red
	case inspect.EventTimerFired:
		return "timer " + ref + " fired", plain
	case inspect.EventHookClaimed:
		return "hook " + ref + " has its token", plain
	case inspect.EventHookConflict:
		return "hook " + ref + ": the token is taken", red
	case inspect.EventHookMismatch:
		return "hook " + ref + ": the run carries another form of hook under the token", red
	case inspect.EventForked:
		return "forked from run " + ref + ", whose events are above", bold
	case inspect.EventRestarted:
		return "restarted: generation " + ref + " begins", bold
	case inspect.EventHookDrained:
		return "hook " + ref + " is drained", plain
	case inspect.EventResponded:
		return "response " + ref + " is given", plain
	case inspect.EventRespondConflict:
		return "response " + ref + ": the request had been answered", red
	case inspect.EventRunCompleted:
		return "completed", green
	case inspect.EventRunFailed:
		return "failed", red
	case inspect.EventRunCanceled:
		return "canceled", dim
	default:
		return line(string(e.Kind) + " " + e.Ref), plain
	}
}

// dataText is data in one line: a failure is its text, a request its first line.
func dataText(kind inspect.EventKind, data json.RawMessage, r *inspect.Request) string {
	if r != nil {
		return requestText(r)
	}
	if kind.Failure() {
		return line(inspect.Failure(data))
	}
	return line(string(data))
}

func requestText(r *inspect.Request) string {
	s := fmt.Sprintf("%s %s, %s", r.Method, r.URL, size(int64(r.BodySize)))
	if r.BodySize > 0 {
		s += " " + string(r.Body[:min(len(r.Body), 200)])
	}
	if r.Response != nil {
		s += fmt.Sprintf(" → %d", r.Response.Status)
	}
	return line(s)
}

// byText says who has done something, after what that is. Empty: nobody is known.
func byText(by workflow.Actor) string {
	if by == (workflow.Actor{}) {
		return ""
	}
	return " by " + line(by.String())
}

// pretty is JSON over several lines, clean; anything else as it is.
func pretty(data json.RawMessage) string {
	var v any
	if json.Unmarshal(data, &v) != nil {
		return clean(string(data))
	}
	var b strings.Builder
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	if enc.Encode(data) != nil {
		return clean(string(data))
	}
	return clean(strings.TrimSuffix(b.String(), "\n"))
}
