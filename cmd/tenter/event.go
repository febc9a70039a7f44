package main

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/tenter-dev/tenter/inspect"
)

// eventText says in words what an event is. Its data follows, if it has any to show.
func eventText(e *inspect.Event) (text string, s style) {
	ref := line(e.Ref)
	switch e.Kind {
	case "started":
		return "started", bold
	case "payload_received":
		return "payload for hook " + ref, cyan
	case "cancel_requested":
		return "asked to cancel", yellow
	case "woken":
		return "woken: sleeps end", yellow
	case "retried":
		return "retried", yellow
	case "child_started":
		return inspect.Title(inspect.KindChild, ref) + " started", plain
	case "child_completed":
		return inspect.Title(inspect.KindChild, ref) + " completed", green
	case "child_failed", "child_exists":
		return inspect.Title(inspect.KindChild, ref) + " failed", red
	case "step_started":
		return inspect.Title(inspect.KindStep, ref) + " started, in quarantine", plain
	case "step_retried":
		return inspect.Title(inspect.KindStep, ref) + " failed, to be tried again", yellow
	case "step_completed":
		return inspect.Title(inspect.KindStep, ref) + " completed", green
	case "step_failed":
		return inspect.Title(inspect.KindStep, ref) + " failed", red
	case "timer_fired":
		return "timer " + ref + " fired", plain
	case "hook_claimed":
		return "hook " + ref + " has its token", plain
	case "hook_conflict":
		return "hook " + ref + ": the token is taken", red
	case "hook_drained":
		return "hook " + ref + " is drained", plain
	case "responded":
		return "response " + ref + " is given", plain
	case "respond_conflict":
		return "response " + ref + ": the request had been answered", red
	case "completed":
		return "completed", green
	case "failed":
		return "failed", red
	case "canceled":
		return "canceled", dim
	default:
		return line(e.Kind + " " + e.Ref), plain
	}
}

// dataText is data in one line: a failure is its text, a request its first line.
func dataText(kind string, data json.RawMessage, r *inspect.Request) string {
	if r != nil {
		return requestText(r)
	}
	switch kind {
	case "step_retried", "step_failed", "child_failed", "failed", "canceled":
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
