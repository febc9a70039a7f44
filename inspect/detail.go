package inspect

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/tenter-dev/tenter/workflow"
)

// Detail is all that is to be seen of a run.
type Detail struct {
	Run workflow.RunInfo `json:"run"`

	// Generation is the one that the rest belongs to.
	Generation int `json:"generation,omitempty"`

	StartedBy workflow.Actor      `json:"started_by,omitzero"`
	EndedBy   workflow.Actor      `json:"ended_by,omitzero"` // who terminated it, if that is how it ended
	Input     json.RawMessage     `json:"input,omitempty"`
	Output    json.RawMessage     `json:"output,omitempty"` // if it has completed
	Error     json.RawMessage     `json:"error,omitempty"`  // if it has failed or was canceled; in recorded form
	Events    []Event             `json:"events"`
	Mail      []Message           `json:"mail,omitempty"` // what its journal has not taken in, or what was left unread
	Hooks     []workflow.HookInfo `json:"hooks,omitempty"`
	Executing []Attempt           `json:"executing,omitempty"`
	Children  []workflow.RunInfo  `json:"children,omitempty"` // that it waits for; at most [MaxChildren]
	Items     []Item              `json:"items"`              // its timeline
	Waits     []Wait              `json:"waits,omitempty"`
}

// MaxChildren is how many children of a run are looked up for its [Detail].
const MaxChildren = 20

// Explain says in a sentence what the run waits for, or how it ended, see [Explain].
func (d *Detail) Explain(now time.Time) string {
	return Explain(d.Run, d.Waits, Failure(d.Error), now)
}

// Load gathers all that is to be seen of a run, of its present generation if it has restarted, see
// [LoadGeneration]. It fails with [workflow.ErrRunNotFound].
func Load(ctx context.Context, c Client, runID string) (*Detail, error) {
	d := &Detail{}
	if err := d.loadJournal(ctx, c, runID); err != nil {
		return nil, err
	}
	var err error
	if d.Mail, err = c.Mailbox(ctx, runID); err != nil {
		return nil, err
	}
	if d.Executing, err = c.Executing(ctx, runID); err != nil {
		return nil, err
	}
	if d.Hooks, err = hooksOf(ctx, c, runID); err != nil {
		return nil, err
	}
	d.Items = Timeline(d.Run, d.Events, d.Mail, d.Hooks, d.Executing)
	d.Waits = Waits(d.Run, d.Items, d.Mail)
	return d, d.loadChildren(ctx, c)
}

// loadJournal reads the head of the run and its journal as of one moment, nearly: a run
// that does not stand still is never quite told.
func (d *Detail) loadJournal(ctx context.Context, c Client, runID string) error {
	for range 3 {
		var err error
		if d.Run, err = c.RunInfo(ctx, runID); err != nil {
			return err
		}
		d.Generation = d.Run.Generation
		last := d.Run.Base
		if n := len(d.Events); n > 0 {
			last = d.Events[n-1].Position
			if last > d.Run.Events || d.Events[0].Position != d.Run.Base+1 {
				d.Events, last = nil, d.Run.Base // a retry has cut it, or the run has restarted
			}
		}
		if last == d.Run.Events {
			break
		}
		if d.Events, err = Journal(ctx, c, runID, last, d.Events); err != nil {
			return err
		}
	}
	if len(d.Events) == 0 {
		return nil
	}
	first, last := d.Events[0], d.Events[len(d.Events)-1]
	if first.Kind == EventStarted {
		d.Input, d.StartedBy = first.Data, first.By
	}
	switch last.Kind {
	case EventRunCompleted:
		d.Output = last.Data
	case EventRunFailed, EventRunCanceled:
		d.Error, d.EndedBy = last.Data, last.By
	default: // it has not ended
	}
	return nil
}

// Journal appends to events those that follow after a position in the journal of a run, all of them.
func Journal(ctx context.Context, c Client, runID string, after int64, events []Event) ([]Event, error) {
	for {
		more, err := c.Journal(ctx, runID, after, MaxLimit)
		if err != nil {
			return events, err
		}
		if len(more) == 0 {
			return events, nil
		}
		events = append(events, more...)
		after = events[len(events)-1].Position
	}
}

// hooksOf lists the open hooks of a run, all of them.
func hooksOf(ctx context.Context, c Client, runID string) ([]workflow.HookInfo, error) {
	var hooks []workflow.HookInfo
	f := HookFilter{RunID: runID, Limit: MaxLimit}
	for {
		more, err := c.Hooks(ctx, f)
		if err != nil {
			return nil, err
		}
		hooks = append(hooks, more...)
		if len(more) < MaxLimit {
			return hooks, nil
		}
		f.After = more[len(more)-1].Cursor
	}
}

// loadChildren looks up the children, and the other runs, that the run waits for.
func (d *Detail) loadChildren(ctx context.Context, c Client) error {
	others := 0
	for i := range d.Waits {
		w := &d.Waits[i]
		wanted := w.For == ForChild && len(d.Children) < MaxChildren || w.For == ForRun && others < MaxChildren
		if !wanted {
			continue
		}
		r, err := c.RunInfo(ctx, w.RunID)
		if errors.Is(err, workflow.ErrRunNotFound) {
			continue // it is still to be started, or it was imported without the run that it awaits
		}
		if err != nil {
			return fmt.Errorf("look up %s: %w", w.What, err)
		}
		if w.For == ForChild {
			d.Children = append(d.Children, r)
		} else {
			others++
		}
		w.What += " (" + string(r.Status) + ")"
	}
	return nil
}
