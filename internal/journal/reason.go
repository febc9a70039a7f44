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
	NoPublicURL      Code = "no_public_url"   // for the webhook that it opens
	NoSender         Code = "no_sender"       // for the webhook that it opens
	NoAnswerKeys     Code = "no_answer_keys"  // for the link that it makes
	NoHookType       Code = "no_hook_type"    // for the link that it makes
	TopicType        Code = "topic_type"      // that it listens to is another one there
	RestartMisused   Code = "restart_misused" // its code has called Restart, and returned something else, or for another workflow
	InputUnfit       Code = "input_unfit"     // the version that is to go on can't decode the input
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
	{"Options.Senders", NoSender},
	{"Options.Verifiers", NoSender}, // as senders were called
	{"it listens to topic", TopicType},
	{"Options.AnswerKeys", NoAnswerKeys},
	{"Options.Hooks", NoHookType},
	{"its code has called Restart", RestartMisused},
	{"does not fit the workflow", InputUnfit},
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

// ReasonNoSender is the reason of a run that opens a webhook from an unknown sender.
func ReasonNoSender(name string) string {
	return fmt.Sprintf("it opens a webhook from sender %q, which is not in Options.Senders", name)
}

// ReasonNoAnswerKeys is the reason of a run that makes a link without keys to sign it.
func ReasonNoAnswerKeys() string {
	return "it makes a link to an answer page, and the engine has no Options.AnswerKeys to sign it with"
}

// ReasonNoHookType is the reason of a run that makes a link to a hook of an unknown type.
func ReasonNoHookType(name string) string {
	return fmt.Sprintf("it makes a link to an answer page for a hook of type %q, which is not in Options.Hooks", name)
}

// ReasonTopicType is the reason of a run that listens to a topic which the engine has with another type.
func ReasonTopicType(topic, listens, defined string) string {
	return fmt.Sprintf("it listens to topic %q with payloads of type %s, and in Options.Hooks that has %s", topic, listens, defined)
}

// ReasonRestartNotReturned is the reason of a run whose code has called Restart at a line and
// returned something else than its error.
func ReasonRestartNotReturned(line, returned string) string {
	return fmt.Sprintf("its code has called Restart, at %s, and then returned %s; deploy code that returns the error of Restart", orUnknown(line), returned)
}

// ReasonRestartOther is the reason of a run whose code restarts it as another workflow.
func ReasonRestartOther(workflow, other, line string) string {
	return fmt.Sprintf("its code has called Restart of %q, at %s, and it is a run of %q; deploy code that restarts its own workflow", other, orUnknown(line), workflow)
}

// ReasonInputUnfit is the reason of a run that is to restart on a version that can't decode its
// input.
func ReasonInputUnfit(workflow string, version int, why string) string {
	return fmt.Sprintf("the input with which it restarts does not fit the workflow %q, version %d: %s; deploy code that takes it", workflow, version, why)
}

func orUnknown(line string) string {
	if line == "" {
		return "a line that is not known"
	}
	return line
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
