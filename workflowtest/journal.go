package workflowtest

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/tenter-dev/tenter/internal/journal"
	"github.com/tenter-dev/tenter/internal/run"
	"github.com/tenter-dev/tenter/store"
)

// maxShown is how much of a payload or result a journal shows, in bytes.
const maxShown = 300

// Journal returns the history of a run as text that is the same in each execution of the
// test, to be compared with a golden one:
//
//	0s      started "doc-7"
//	          hook 1 token approval:doc-7
//	          sleep 1 for 24h
//	24h     timer_fired 1
//	          step ask#1
//	        step_completed ask#1
//
// There is a line for each event, with the time since the run's start where it has
// changed, and one for each thing that the code asked for in answer. The run's own ID is
// RUN, other generated IDs are ID1, ID2 and so on.
func (e *Engine) Journal(run Run) string {
	e.t.Helper()
	ctx := context.WithoutCancel(e.t.Context())
	e.settle(ctx)
	a, err := e.store.Export(ctx, run.ID())
	if err != nil {
		e.t.Fatalf("journal of run %s: %v", run.ID(), err)
	}
	return formatJournal(run.ID(), a.Events)
}

func formatJournal(runID string, events []store.Event) string {
	var b strings.Builder
	last := ""
	for i, e := range events {
		at := duration(e.At.Sub(events[0].At))
		if i > 0 && at == last {
			at = ""
		} else {
			last = at
		}
		fmt.Fprintf(&b, "%s\n", strings.TrimRight(fmt.Sprintf("%-7s %s %s", at, e.Kind, eventText(runID, e)), " "))
		if e.Asked == "" {
			continue
		}
		for line := range strings.SplitSeq(e.Asked, "\n") {
			fmt.Fprintf(&b, "%10s%s\n", "", relative(line, e.At))
		}
	}
	return readable(runID, b.String())
}

// readable gives generated IDs names.
func readable(runID, text string) string {
	text = strings.ReplaceAll(text, runID, "RUN")
	names := map[string]string{}
	return generatedID.ReplaceAllStringFunc(text, func(id string) string {
		if names[id] == "" {
			names[id] = fmt.Sprint("ID", len(names)+1)
		}
		return names[id]
	})
}

func eventText(runID string, e store.Event) string {
	switch e.Kind {
	case store.StepRetried:
		r, _ := journal.DecodeRetry(e.Data)
		return fmt.Sprintf("%s %q, again in %s", e.Ref, r.Text, duration(r.RetryAt.Sub(e.At)))
	case store.StepFailed:
		return fmt.Sprintf("%s %q", e.Ref, journal.DecodeFailure(e.Data).Text)
	case store.ChildFailed, store.AwaitedFailed, store.RunFailed, store.RunCanceled:
		return strings.TrimSpace(fmt.Sprintf("%s %q", e.Ref, journal.DecodeFailure(e.Data).Text))
	case store.PayloadReceived:
		hook := journal.HookNumber(runID, e.Ref)
		if r, body, err := run.DecodeRequest(e.Data); err == nil && r.Method != "" {
			return fmt.Sprintf("%s %s %s", hook, r.Method, strings.TrimSpace(shown(query(r.URL)+" "+string(body))))
		}
		return fmt.Sprintf("%s %s", hook, shown(string(e.Data)))
	default:
		return strings.TrimSpace(e.Ref + " " + shown(string(e.Data)))
	}
}

// query is what a URL has behind its path, which ends in a token.
func query(url string) string {
	if _, q, ok := strings.Cut(url, "?"); ok {
		return "?" + q
	}
	return ""
}

// shown is a text in one line, cut if it is long.
func shown(s string) string {
	s = strings.NewReplacer("\n", `\n`, "\r", `\r`).Replace(s)
	if len(s) > maxShown {
		s = fmt.Sprintf("%s… (%d bytes)", strings.ToValidUTF8(s[:maxShown], ""), len(s))
	}
	return s
}

// relative has timers tell how long they last.
func relative(asked string, at time.Time) string {
	a, ok := journal.Parse(asked)
	if !ok || a.Until.IsZero() {
		return asked
	}
	return fmt.Sprintf("%s %s for %s", a.Op, a.Ref, duration(a.Until.Sub(at)))
}
