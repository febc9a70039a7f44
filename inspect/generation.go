package inspect

import (
	"context"
	"fmt"
	"time"

	"github.com/tenter-dev/tenter/workflow"
)

// Generation is a generation of a run that is over: the run has restarted.
type Generation struct {
	Number  int       `json:"number"` // from 0
	EndedAt time.Time `json:"ended_at"`
	Base    int64     `json:"base"` // position of the last event before it
	Last    int64     `json:"last"` // position of its last event
}

// LoadGeneration gathers what is to be seen of a generation that is over: its journal and timeline, and
// as its Mail the payloads that it has left unread. The rest of a [Detail] belongs to the present one. It
// fails with [workflow.ErrRunNotFound], and if
// there is no such generation, or its journal was pruned.
func LoadGeneration(ctx context.Context, c Client, runID string, number int) (*Detail, error) {
	over, err := c.Generations(ctx, runID)
	if err != nil {
		return nil, err
	}
	for _, g := range over {
		if g.Number == number {
			return loadOver(ctx, c, runID, g)
		}
	}
	run, err := c.RunInfo(ctx, runID)
	switch {
	case err != nil:
		return nil, err
	case number == run.Generation:
		return Load(ctx, c, runID)
	case number > run.Generation || number < 0:
		return nil, fmt.Errorf("run %s has no generation %d: the present one is %d", runID, number, run.Generation)
	}
	return nil, fmt.Errorf("the journal of generation %d of run %s was pruned, see engine.Options.KeepGenerationsFor", number, runID)
}

func loadOver(ctx context.Context, c Client, runID string, g Generation) (*Detail, error) {
	run, err := c.RunInfo(ctx, runID)
	if err != nil {
		return nil, err
	}
	d := &Detail{Run: run, Generation: g.Number}
	for after := g.Base; after < g.Last; {
		page, err := c.Journal(ctx, runID, after, int(min(MaxLimit, g.Last-after)))
		if err != nil {
			return nil, err
		}
		if len(page) == 0 {
			break
		}
		d.Events = append(d.Events, page...)
		after = page[len(page)-1].Position
	}
	if d.Mail, err = c.Unread(ctx, runID, g.Number); err != nil {
		return nil, err
	}
	if len(d.Events) > 0 && d.Events[0].Kind == EventStarted {
		d.Input = d.Events[0].Data
	}
	run.Status = workflow.StatusRunning // it was, all the time
	d.Items = Timeline(run, d.Events, nil, nil, nil)
	return d, nil
}
