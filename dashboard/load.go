package dashboard

import (
	"context"

	"github.com/tenter-dev/tenter/inspect"
	"github.com/tenter-dev/tenter/workflow"
)

const (
	// maxDrawn is the number of events up to which there is a timeline.
	maxDrawn = 20_000

	// kept is how much is kept of what an event brings, in bytes, while all events of a
	// run are at hand: more than is shown, so that it shows that there is more.
	kept = 2 * shown
)

// load gathers everything that a page of a run shows, except what would not fit into memory if runs
// were made to fill it: all of large payloads, and all of very long journals.
func load(ctx context.Context, c inspect.Client, run workflow.RunInfo) (*inspect.Detail, error) {
	if run.Events-run.Base <= maxDrawn {
		return inspect.Load(ctx, frugal{c}, run.ID)
	}
	detail := &inspect.Detail{Run: run, Generation: run.Generation}
	var err error
	if detail.Events, err = c.Journal(ctx, run.ID, run.Base, pageOfEvents); err != nil {
		return nil, err
	}
	if len(detail.Events) > 0 && detail.Events[0].Kind == inspect.EventStarted {
		detail.Input, detail.StartedBy = detail.Events[0].Data, detail.Events[0].By
	}
	if detail.Mail, err = c.Mailbox(ctx, run.ID); err != nil {
		return nil, err
	}
	if run.Status.Ended() {
		last, err := c.Journal(ctx, run.ID, run.Events-1, 1)
		if err != nil || len(last) == 0 {
			return detail, err
		}
		if run.Status == workflow.StatusCompleted {
			detail.Output = last[0].Data
		} else {
			detail.Error, detail.EndedBy = last[0].Data, last[0].By
		}
		return detail, nil
	}
	return detail, loadWaits(ctx, c, detail)
}

// loadWaits determines what a run waits for without its timeline: what is known of its hooks, its
// next time and its steps.
func loadWaits(ctx context.Context, c inspect.Client, detail *inspect.Detail) error {
	run := detail.Run
	detail.Waits = inspect.Waits(run, nil, detail.Mail)
	executing, err := c.Executing(ctx, run.ID)
	if err != nil {
		return err
	}
	for _, a := range executing {
		detail.Waits = append(detail.Waits, inspect.Wait{
			For: inspect.ForStep, Code: inspect.WaitAttempt, What: "step " + a.Step, Name: a.Step, Attempt: a.Number, Worker: a.Worker, Since: a.Begin,
		})
	}
	if !run.WakeAt.IsZero() {
		detail.Waits = append(detail.Waits, inspect.Wait{For: inspect.ForSleep, Code: inspect.WaitSleep, What: "a timer, or the next attempt of a step", Until: run.WakeAt})
	}
	if detail.Hooks, err = c.Hooks(ctx, inspect.HookFilter{RunID: run.ID, Limit: inspect.MaxLimit}); err != nil {
		return err
	}
	for _, h := range detail.Hooks {
		detail.Waits = append(detail.Waits, inspect.Wait{For: inspect.ForPayload, Code: inspect.WaitPayload, Name: h.Token, HookID: h.ID, HookType: h.Type, Since: h.CreatedAt})
	}
	return nil
}

// frugal is a client that keeps the beginning of what events bring. Errors stay whole:
// they are read, not only shown.
type frugal struct{ inspect.Client }

func (c frugal) Journal(ctx context.Context, runID string, after int64, limit int) ([]inspect.Event, error) {
	events, err := c.Client.Journal(ctx, runID, after, limit)
	for i := range events {
		e := &events[i]
		if len(e.Data) > kept && !e.Kind.Failure() {
			e.Data = append([]byte(nil), e.Data[:kept]...)
		}
		if e.Request != nil && len(e.Request.Body) > kept {
			q := *e.Request
			q.Body = append([]byte(nil), q.Body[:kept]...)
			e.Request = &q
		}
	}
	return events, err
}
