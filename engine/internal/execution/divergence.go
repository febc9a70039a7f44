package execution

import (
	"fmt"
	"strings"

	"github.com/tenter-dev/tenter/internal/run"
)

// divergence says where code and journal part.
type Divergence struct {
	Position  int64  // of the event after which the code asked for something else
	Event     string // that event
	Recorded  string // what the journal has there; empty: nothing more
	Attempted string // what the code asked for; empty: nothing more
	Caller    string // where it asked
	Unable    string // not a divergence at all: what this engine lacks to go on
}

func (d *Divergence) String() string {
	if d.Unable != "" {
		return d.Unable
	}
	var s strings.Builder
	fmt.Fprintf(&s, "the code diverges from the journal after event %d (%s): recorded %s, attempted %s",
		d.Position, d.Event, orNothing(d.Recorded), orNothing(d.Attempted))
	if d.Caller != "" {
		fmt.Fprintf(&s, ", at %s", d.Caller)
	}
	s.WriteString("; deploy code that makes the recorded calls, keep the old code as a version of its own, or terminate the run")
	return run.Cut(s.String())
}

func orNothing(line string) string {
	if line == "" {
		return "nothing more"
	}
	return fmt.Sprintf("%q", run.CutTo(line, run.MaxToken+run.MaxName))
}

// whatInstead describes what the code does where the journal has more asks.
func (x *Execution) whatInstead() string {
	if x.finished && x.failure != nil {
		return "return the error: " + x.failure.Text
	}
	if x.finished {
		return "return"
	}
	return ""
}

// callerLine is the line of the author's code that makes a durable call.
func callerLine() string {
	at, _ := run.Caller()
	return at
}
