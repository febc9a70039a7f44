package inspect_test

import (
	"context"
	"strings"

	"github.com/tenter-dev/tenter/engine"
	"github.com/tenter-dev/tenter/inspect"
	"github.com/tenter-dev/tenter/store"
	"github.com/tenter-dev/tenter/workflow"
)

// client is what of inspect.Client inspect.Load needs, on an engine.
type client struct {
	*engine.Engine
	st store.Store
}

func (c client) Journal(ctx context.Context, runID string, after int64, limit int) ([]inspect.Event, error) {
	found, err := c.Engine.Journal(ctx, runID, after)
	if limit > 0 && len(found) > limit {
		found = found[:limit]
	}
	events := make([]inspect.Event, len(found))
	for i, e := range found {
		events[i] = inspect.Event{Position: e.Position, At: e.At, Kind: string(e.Kind), Ref: e.Ref, Data: e.Data}
		if e.Asked != "" {
			events[i].Asked = strings.Split(e.Asked, "\n")
		}
	}
	return events, err
}

func (c client) Mailbox(ctx context.Context, runID string) ([]inspect.Message, error) {
	l, err := c.st.Load(ctx, runID, 1<<62)
	if err != nil {
		return nil, err
	}
	unread, err := c.st.Unread(ctx, runID)
	var mail []inspect.Message
	for _, m := range append(l.Mail, unread...) {
		mail = append(mail, inspect.Message{At: m.AcceptedAt, Kind: string(m.Kind), Ref: m.Ref, Data: m.Data})
	}
	return mail, err
}

func (c client) Executing(ctx context.Context, runID string) ([]inspect.Attempt, error) {
	found, err := c.st.Executing(ctx, runID)
	var attempts []inspect.Attempt
	for _, a := range found {
		attempts = append(attempts, inspect.Attempt{Step: a.Step, Attempt: a.Attempt, StartedAt: a.StartedAt, Worker: "w"})
	}
	return attempts, err
}

func (c client) Hooks(ctx context.Context, f inspect.HookFilter) ([]workflow.HookInfo, error) {
	return c.Engine.Hooks(ctx, f.RunID)
}

func (c client) Runs(context.Context, inspect.RunFilter) ([]workflow.RunInfo, error) {
	panic("not needed")
}
func (c client) CountRuns(context.Context) (inspect.Counts, error) { panic("not needed") }
func (c client) Catalog(context.Context) (inspect.Catalog, error)  { panic("not needed") }
func (c client) Watch(context.Context, string, func(inspect.Change)) error {
	panic("not needed")
}
