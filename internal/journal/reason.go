package journal

import (
	"fmt"
	"strings"
)

// Code says in a word why a run is blocked. Stores keep the text of the reason; the code
// is found in it.
type Code string

// Why runs are blocked.
const (
	NoWorker         Code = "no_worker"         // none is live
	NoWorkflow       Code = "no_workflow"       // no live worker has it
	NoVersion        Code = "no_version"        // no live worker has that of the workflow
	NoDefinition     Code = "no_definition"     // the worker that has claimed it lacks the workflow
	NonDeterministic Code = "non_deterministic" // the code asks for other things than the journal has
	KilledWorkers    Code = "killed_workers"
	NoPublicURL      Code = "no_public_url" // for the webhook that it opens
	NoVerifier       Code = "no_verifier"   // for the webhook that it opens
	Unknown          Code = "unknown"
)

// signs are what the texts of reasons are known by. A text that is changed keeps its sign here,
// beside the new one: it is stored with blocked runs.
var signs = []struct {
	text string
	code Code
}{
	{"no worker is live", NoWorker},
	{"no live worker has the workflow", NoWorkflow},
	{"no live worker has version", NoVersion},
	{"this worker does not have the workflow", NoDefinition},
	{"the code is non-deterministic", NonDeterministic},
	{"its workflow code killed its worker", KilledWorkers},
	{"Options.PublicURL", NoPublicURL},
	{"Options.Verifiers", NoVerifier},
}

// ReasonCode is the code of a reason.
func ReasonCode(reason string) Code {
	for _, s := range signs {
		if strings.Contains(reason, s.text) {
			return s.code
		}
	}
	return Unknown
}

// Unattended reports whether a run is blocked for the lack of a live worker: then nobody
// has said so, and nobody knows since when.
func (c Code) Unattended() bool { return c == NoWorker || c == NoWorkflow || c == NoVersion }

// ReasonNoWorker is the reason of a run when no worker is live at all.
func ReasonNoWorker() string { return "no worker is live" }

// ReasonNoWorkflow is the reason of a run whose workflow no live worker has.
func ReasonNoWorkflow(workflow string) string {
	return fmt.Sprintf("no live worker has the workflow %q", workflow)
}

// ReasonNoVersion is the reason of a run whose version no live worker has.
func ReasonNoVersion(version int, workflow string) string {
	return fmt.Sprintf("no live worker has version %d of the workflow %q", version, workflow)
}

// ReasonNoDefinition is the reason of a run whose worker lacks its workflow.
func ReasonNoDefinition(workflow string) string {
	return "this worker does not have the workflow " + workflow
}

// ReasonKilledWorkers is the reason of a run that is not let out of quarantine.
func ReasonKilledWorkers(times int) string {
	return fmt.Sprintf("its workflow code killed its worker %d times", times)
}

// ReasonNoPublicURL is the reason of a run that opens a webhook without a public URL.
func ReasonNoPublicURL() string {
	return "it opens a webhook, and the engine has no Options.PublicURL to make its URL from"
}

// ReasonNoVerifier is the reason of a run that opens a webhook with an unknown verifier.
func ReasonNoVerifier(name string) string {
	return fmt.Sprintf("it opens a webhook with verifier %q, which is not in Options.Verifiers", name)
}

// Divergence says where the code of a run and its journal part.
type Divergence struct {
	Position  int64  // of the event after which the code asked for something else
	Event     string // that event
	Recorded  string // what the journal has there; empty: nothing more
	Attempted string // what the code asked for; empty: nothing more
	Caller    string // where it asked; empty: not known
}

// Reason is the reason of a run whose code is non-deterministic.
func (d *Divergence) Reason() string {
	var s strings.Builder
	fmt.Fprintf(&s, "the code is non-deterministic: after event %d (%s) the journal has %s, and the code asked for %s",
		d.Position, d.Event, orNothing(d.Recorded), orNothing(d.Attempted))
	if d.Caller != "" {
		fmt.Fprintf(&s, ", at %s", d.Caller)
	}
	s.WriteString("; deploy code that makes the recorded calls, keep the old code as a version of its own, or terminate the run")
	return s.String()
}

func orNothing(line string) string {
	if line == "" {
		return "nothing more"
	}
	return fmt.Sprintf("%q", line)
}
