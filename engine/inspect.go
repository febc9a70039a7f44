package engine

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/tenter-dev/tenter/engine/internal/execution"
	"github.com/tenter-dev/tenter/inspect"
	"github.com/tenter-dev/tenter/internal/journal"
	"github.com/tenter-dev/tenter/internal/run"
	"github.com/tenter-dev/tenter/internal/saturate"
	"github.com/tenter-dev/tenter/store"
	"github.com/tenter-dev/tenter/workflow"
)

var _ inspect.Client = (*Engine)(nil)

const defaultLimit = 100

// Runs lists runs, newest first, see [inspect.Client].
func (e *Engine) Runs(ctx context.Context, f inspect.RunFilter) ([]workflow.RunInfo, error) {
	fail := func(err error) ([]workflow.RunInfo, error) { return nil, fmt.Errorf("list runs: %w", err) }
	if err := e.usable(ctx); err != nil {
		return fail(err)
	}
	if err := f.Validate(); err != nil {
		return fail(err)
	}
	before, err := parseRunCursor(f.Before)
	if err != nil {
		return fail(err)
	}
	e.refreshLease()
	q := storeFilter(f)
	q.Before, q.Limit = before, cmp.Or(f.Limit, defaultLimit)
	found, err := e.store.Runs(ctx, q)
	if err != nil {
		return fail(err)
	}
	infos := make([]workflow.RunInfo, len(found))
	for i := range found {
		infos[i] = runInfo(&found[i])
		infos[i].Cursor = runCursor(&found[i])
	}
	e.addErrors(ctx, infos)
	return infos, nil
}

// storeFilter is a filter as stores have it, but for its place and length.
func storeFilter(f inspect.RunFilter) store.Filter {
	return store.Filter{
		Status: store.Status(f.Status), Workflow: f.Workflow, ParentID: f.ParentID, ForkedFrom: f.ForkedFrom, Awaits: f.Awaits, Paused: f.Paused, Prefix: f.Prefix,
		Since: saturate.Up(f.Since), Until: saturate.Up(f.Until),
	}
}

// CountRuns counts the runs of each status, up to [inspect.MaxCount].
func (e *Engine) CountRuns(ctx context.Context) (inspect.Counts, error) {
	if err := e.usable(ctx); err != nil {
		return nil, fmt.Errorf("count runs: %w", err)
	}
	found, err := e.store.Count(ctx, inspect.MaxCount)
	if err != nil {
		return nil, fmt.Errorf("count runs: %w", err)
	}
	counts := inspect.Counts{}
	for status, n := range found {
		counts[workflow.Status(status)] = n
	}
	return counts, nil
}

// Journal returns events of a run after a position, see [inspect.Client].
func (e *Engine) Journal(ctx context.Context, runID string, after int64, limit int) ([]inspect.Event, error) {
	if err := e.usable(ctx); err != nil {
		return nil, fmt.Errorf("read journal of run %s: %w", runID, err)
	}
	if err := execution.CheckName(runID); err != nil {
		return nil, e.runError("read journal of", runID, err)
	}
	const page = 1000
	events := []inspect.Event{}
	for {
		found, err := e.store.Journal(ctx, runID, after, cmp.Or(max(limit, 0), page))
		if err != nil {
			return nil, e.runError("read journal of", runID, err)
		}
		for i := range found {
			ev := &found[i]
			shown := inspect.Event{Position: ev.Position, At: ev.At, Kind: inspect.EventKind(ev.Kind), Ref: ev.Ref, By: workflow.Actor(journal.DecodeActor(ev.Actor))}
			if ev.Asked != "" {
				shown.Asked = strings.Split(ev.Asked, "\n")
			}
			if shown.Data, shown.Request, err = e.show(ctx, runID, ev.Kind, ev.Data); err != nil {
				return nil, e.runError("read journal of", runID, err)
			}
			events = append(events, shown)
			after = ev.Position
		}
		if limit > 0 || len(found) == 0 {
			return events, nil
		}
	}
}

// Unread returns the payloads that a generation of a run has left unread, see [inspect.Client].
func (e *Engine) Unread(ctx context.Context, runID string, generation int) ([]inspect.Message, error) {
	if err := e.usable(ctx); err != nil {
		return nil, fmt.Errorf("read what run %s has left unread: %w", runID, err)
	}
	if err := execution.CheckName(runID); err != nil {
		return nil, e.runError("read unread payloads of", runID, err)
	}
	found, err := e.store.Unread(ctx, runID, generation, inspect.MaxMailbox)
	if err == nil && len(found) == 0 {
		_, err = e.store.Run(ctx, runID) // does the run exist?
	}
	if err != nil {
		return nil, e.runError("read unread payloads of", runID, err)
	}
	return e.showMail(ctx, runID, found)
}

// Mailbox returns the messages to a run that are not in its journal yet, see [inspect.Client].
func (e *Engine) Mailbox(ctx context.Context, runID string) ([]inspect.Message, error) {
	if err := e.usable(ctx); err != nil {
		return nil, fmt.Errorf("read mailbox of run %s: %w", runID, err)
	}
	if err := execution.CheckName(runID); err != nil {
		return nil, e.runError("read mailbox of", runID, err)
	}
	found, err := e.store.Mailbox(ctx, runID, inspect.MaxMailbox)
	if err != nil {
		return nil, e.runError("read mailbox of", runID, err)
	}
	return e.showMail(ctx, runID, found)
}

// showMail prepares messages for display.
func (e *Engine) showMail(ctx context.Context, runID string, found []store.Message) ([]inspect.Message, error) {
	mail := make([]inspect.Message, len(found))
	for i, m := range found {
		mail[i] = inspect.Message{At: m.AcceptedAt, Kind: inspect.EventKind(m.Kind), Ref: m.Ref, Deferred: m.Deferred, By: workflow.Actor(journal.DecodeActor(m.Actor))}
		var err error
		if mail[i].Data, mail[i].Request, err = e.show(ctx, runID, m.Kind, m.Data); err != nil {
			return nil, e.runError("read mailbox of", runID, err)
		}
	}
	return mail, nil
}

// show prepares data for display: as JSON, or as the HTTP request that it is.
func (e *Engine) show(ctx context.Context, runID string, kind store.Kind, data []byte) (json.RawMessage, *inspect.Request, error) {
	if kind == store.PayloadReceived {
		// A payload sent by Resume could also look like a request.
		if r, body, err := run.DecodeRequest(data); err == nil && r.RunID == runID && r.ID != "" && r.Method != "" {
			shown, err := e.showRequest(ctx, r, body)
			return nil, shown, err
		}
	}
	if data != nil && !json.Valid(data) {
		data, _ = json.Marshal(string(data)) // written by hand
	}
	return data, nil, nil
}

func (e *Engine) showRequest(ctx context.Context, r run.Request, body []byte) (*inspect.Request, error) {
	shown := shownRequest(r, body, len(body))
	a, err := e.store.Response(ctx, r.ID)
	if errors.Is(err, store.ErrNotFound) {
		return &shown, nil
	}
	if err != nil {
		return nil, err
	}
	var header map[string][]string
	if err := json.Unmarshal(a.Header, &header); err != nil {
		return nil, fmt.Errorf("decode the response to request %s: %w", r.ID, err)
	}
	shown.Response = &inspect.Response{
		Status: a.Status, Header: inspect.MaskHeader(header, nil), Body: cut(a.Body), BodySize: len(a.Body), At: a.At,
	}
	return &shown, nil
}

// shownRequest is a request without an answer, and with as much of its body as there is.
func shownRequest(r run.Request, body []byte, size int) inspect.Request {
	return inspect.Request{
		ID: r.ID, Method: r.Method, URL: r.URL, Host: r.Host, Header: inspect.MaskHeader(map[string][]string(r.Header), r.Sensitive),
		RemoteAddr: r.RemoteAddr, ReceivedAt: r.ReceivedAt, Body: cut(body), BodySize: size,
	}
}

func cut(body []byte) []byte { return body[:min(len(body), inspect.MaxBody)] }

// Generations lists the generations of a run that are over, see [inspect.Client].
func (e *Engine) Generations(ctx context.Context, runID string) ([]inspect.Generation, error) {
	if err := e.usable(ctx); err != nil {
		return nil, fmt.Errorf("list generations of run %s: %w", runID, err)
	}
	if err := execution.CheckName(runID); err != nil {
		return nil, e.runError("list generations of", runID, err)
	}
	found, err := e.store.Generations(ctx, runID)
	if err == nil && len(found) == 0 {
		_, err = e.store.Run(ctx, runID) // does the run exist?
	}
	if err != nil {
		return nil, e.runError("list generations of", runID, err)
	}
	generations := make([]inspect.Generation, len(found))
	for i, g := range found {
		generations[i] = inspect.Generation{Number: g.Number, EndedAt: g.EndedAt, Base: g.Base, Last: g.Last}
	}
	return generations, nil
}

// Executing returns the attempts of steps that have been executing for longer than a
// second, see [inspect.Client].
func (e *Engine) Executing(ctx context.Context, runID string) ([]inspect.Attempt, error) {
	if err := e.usable(ctx); err != nil {
		return nil, fmt.Errorf("list attempts of run %s: %w", runID, err)
	}
	if err := execution.CheckName(runID); err != nil {
		return nil, e.runError("list attempts of", runID, err)
	}
	found, err := e.store.Executing(ctx, runID)
	if err == nil && len(found) == 0 {
		_, err = e.store.Run(ctx, runID) // does the run exist?
	}
	if err != nil {
		return nil, e.runError("list attempts of", runID, err)
	}
	attempts := make([]inspect.Attempt, len(found))
	for i, a := range found {
		attempts[i] = inspect.Attempt{Step: a.Step, Number: a.Attempt, Begin: a.StartedAt, Worker: a.Worker}
	}
	return attempts, nil
}

// Hooks lists open hooks, see [inspect.Client].
func (e *Engine) Hooks(ctx context.Context, f inspect.HookFilter) ([]workflow.HookInfo, error) {
	fail := func(err error) ([]workflow.HookInfo, error) { return nil, fmt.Errorf("list hooks: %w", err) }
	if err := e.usable(ctx); err != nil {
		return fail(err)
	}
	if err := f.Validate(); err != nil {
		return fail(err)
	}
	q := store.HookFilter{RunID: f.RunID, Type: f.Type, Prefix: f.Prefix}
	if err := parseHookCursor(f.After, &q); err != nil {
		return fail(err)
	}
	limit := cmp.Or(f.Limit, defaultLimit)
	q.Limit = limit + 1 // a cursor may need to know what follows
	hooks, err := e.store.Hooks(ctx, q)
	if err != nil {
		return fail(err)
	}
	infos := make([]workflow.HookInfo, min(limit, len(hooks)))
	for i := range infos {
		infos[i] = hookInfo(hooks[i])
		infos[i].Cursor = hookCursor(&q, hooks[i:])
	}
	return infos, nil
}

func hookInfo(h store.Hook) workflow.HookInfo {
	return workflow.HookInfo{
		ID: h.ID, RunID: h.RunID, Token: h.Token, Type: h.Type, Webhook: isWebhook(&h), Call: isCall(&h), Metadata: h.Metadata, CreatedAt: h.CreatedAt,
		Subject: h.Subject, Reserved: h.Reserved, Carried: h.Carried,
	}
}

// isCall reports whether a hook takes the requests of a call.
func isCall(h *store.Hook) bool { return run.IsCall(h.Webhook) }

// isWebhook reports whether a hook takes HTTP requests.
func isWebhook(h *store.Hook) bool { return h.Webhook != nil && !isCall(h) }
