package execution

import (
	"fmt"

	"github.com/tenter-dev/tenter/internal/journal"
	"github.com/tenter-dev/tenter/internal/run"
)

// Divergence says where the code departs from the journal.
type Divergence struct {
	Position  int64  // of the event after which the code asked for something else
	Event     string // that event
	Recorded  string // what the journal has there; empty: nothing more
	Attempted string // what the code asked for; empty: nothing more
	Caller    string // where the code asked
	Unable    string // not a divergence: what this engine lacks to go on
}

func (d *Divergence) String() string {
	if d.Unable != "" {
		return d.Unable
	}
	const most = run.MaxToken + run.MaxName
	where := journal.Divergence{
		Position: d.Position, Event: d.Event, Recorded: run.CutTo(d.Recorded, most), Attempted: run.CutTo(d.Attempted, most), Caller: d.Caller,
	}
	return run.Cut(where.Reason())
}

// notDrawn says that a recording without the secret of its run has less than the code derives.
func notDrawn(label journal.Label, n uint64) string {
	return fmt.Sprintf("the code draws more than the export for replay has: %s %d", label, n)
}

// callerLine returns the line of the author's code that makes a durable call.
func callerLine() string {
	at, _ := run.Caller()
	return at
}
