package inspect

import (
	"cmp"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/tenter-dev/tenter/internal/journal"
	"github.com/tenter-dev/tenter/workflow"
)

// ErrReadOnly is the error of a [ReadOnly] client that is to change something.
var ErrReadOnly = errors.New("this client only looks: nothing was changed")

// ReadOnly returns a client for those who may look and not act. All that would change something
// fails with [ErrReadOnly], and what it shows has generated tokens of hooks masked, wherever they
// stand: in lists, journals, payloads, headers, URLs and errors, see [MaskTokens]. They can't be
// searched for by their beginning either. So a reader can't resume a hook by another way, such as
// the URL of a webhook. Custom tokens are shown.
func ReadOnly(c Client) Client { return &readOnly{c} }

type readOnly struct{ all Client }

func (c *readOnly) Runs(ctx context.Context, f RunFilter) ([]workflow.RunInfo, error) {
	runs, err := c.all.Runs(ctx, f)
	return each(runs, maskRun), err
}

func (c *readOnly) PausedWorkflows(ctx context.Context) ([]PausedWorkflow, error) {
	paused, err := c.all.PausedWorkflows(ctx)
	return each(paused, func(p PausedWorkflow) PausedWorkflow {
		p.By, p.Why = maskActor(p.By), MaskTokens(p.Why)
		return p
	}), err
}

func (c *readOnly) CountRuns(ctx context.Context) (Counts, error) { return c.all.CountRuns(ctx) }

func (c *readOnly) Failures(ctx context.Context, f FailureFilter) (Failures, error) {
	failures, err := c.all.Failures(ctx, f)
	failures.Groups = each(failures.Groups, func(g FailureGroup) FailureGroup {
		g.Step, g.Error = MaskTokens(g.Step), MaskTokens(g.Error)
		return g
	})
	return failures, err
}

func (c *readOnly) RunInfo(ctx context.Context, runID string) (workflow.RunInfo, error) {
	run, err := c.all.RunInfo(ctx, runID)
	return maskRun(run), err
}

func (c *readOnly) AwaitRun(ctx context.Context, runID string) (workflow.RunResult, error) {
	res, err := c.all.AwaitRun(ctx, runID)
	res.Output, res.Error = maskJSON(res.Output), maskJSON(res.Error)
	return res, err
}

func (c *readOnly) Journal(ctx context.Context, runID string, after int64, limit int) ([]Event, error) {
	events, err := c.all.Journal(ctx, runID, after, limit)
	return each(events, maskEvent), err
}

func (c *readOnly) Unread(ctx context.Context, runID string, generation int) ([]Message, error) {
	unread, err := c.all.Unread(ctx, runID, generation)
	return each(unread, maskMessage), err
}

func (c *readOnly) Mailbox(ctx context.Context, runID string) ([]Message, error) {
	mail, err := c.all.Mailbox(ctx, runID)
	return each(mail, maskMessage), err
}

func (c *readOnly) Executing(ctx context.Context, runID string) ([]Attempt, error) {
	attempts, err := c.all.Executing(ctx, runID)
	return each(attempts, maskAttempt), err
}

// HookByToken finds a hook whose token the caller has.
func (c *readOnly) HookByToken(ctx context.Context, token string) (workflow.HookInfo, error) {
	h, err := c.all.HookByToken(ctx, token)
	return maskHook(h), err
}

// Hooks lists open hooks. By the beginning of their tokens it finds those alone whose tokens it
// shows: otherwise a secret could be guessed letter by letter.
func (c *readOnly) Hooks(ctx context.Context, f HookFilter) ([]workflow.HookInfo, error) {
	if f.Prefix == "" || strings.ContainsFunc(f.Prefix, func(r rune) bool { return r >= utf8.RuneSelf || !journal.InToken(byte(r)) }) {
		hooks, err := c.all.Hooks(ctx, f) // all are listed, or no generated token begins so
		return each(hooks, maskHook), err
	}
	if err := f.Validate(); err != nil {
		return nil, fmt.Errorf("list hooks: %w", err)
	}
	after, err := parseShownCursor(f.After)
	if err != nil {
		return nil, fmt.Errorf("list hooks: %w", err)
	}
	limit := cmp.Or(f.Limit, 100)
	found := []workflow.HookInfo{}
	for f.After, f.Limit = "", MaxLimit; ; {
		hooks, err := c.all.Hooks(ctx, f)
		if err != nil {
			return nil, err
		}
		for _, h := range hooks {
			if isGenerated(h.Token) || h.Token <= after {
				continue
			}
			h = maskHook(h)
			h.Cursor = shownCursor(h.Token)
			if found = append(found, h); len(found) == limit {
				return found, nil
			}
		}
		if len(hooks) < f.Limit {
			return found, nil
		}
		f.After = hooks[len(hooks)-1].Cursor
	}
}

// shownCursor is the cursor of a list by tokens that has only those that are shown: that
// of an engine has the beginning of the token that follows, which may be one that is not.
// So the list is read from its beginning for each page.
func shownCursor(token string) string {
	return base64.RawURLEncoding.EncodeToString([]byte(shownCursorKind + token))
}

const shownCursorKind = "shown "

func parseShownCursor(cursor string) (token string, err error) {
	if cursor == "" {
		return "", nil
	}
	data, err := base64.RawURLEncoding.Strict().DecodeString(cursor)
	token, ok := strings.CutPrefix(string(data), shownCursorKind)
	if err != nil || !ok {
		return "", fmt.Errorf("%w: %q does not come from a list by tokens: take it from the last one of the page before", ErrInvalidCursor, cursor)
	}
	return token, nil
}

func (c *readOnly) Generations(ctx context.Context, runID string) ([]Generation, error) {
	return c.all.Generations(ctx, runID)
}

func (c *readOnly) Links(ctx context.Context, f LinkFilter) ([]Link, error) {
	links, err := c.all.Links(ctx, f)
	return each(links, maskLink), err
}

func (c *readOnly) Link(ctx context.Context, id string) (Link, error) {
	l, err := c.all.Link(ctx, id)
	return maskLink(l), err
}

func maskLink(l Link) Link {
	l.Title, l.Answer, l.RevokedBy = MaskTokens(l.Title), maskJSON(l.Answer), maskActor(l.RevokedBy)
	return l
}

func (c *readOnly) RefusedRequests(ctx context.Context, f RefusedFilter) ([]RefusedRequest, error) {
	all, err := c.all.RefusedRequests(ctx, f)
	return each(all, maskRefused), err
}

func (c *readOnly) RefusedRequest(ctx context.Context, id string) (RefusedRequest, error) {
	r, err := c.all.RefusedRequest(ctx, id)
	return maskRefused(r), err
}

func (c *readOnly) Redeliver(context.Context, Redelivery) (workflow.HookInfo, error) {
	return workflow.HookInfo{}, ErrReadOnly
}

func maskRefused(r RefusedRequest) RefusedRequest {
	r.Token, r.Reason, r.Request = MaskTokens(r.Token), MaskTokens(r.Reason), *maskRequest(&r.Request)
	return r
}

func (c *readOnly) Topics(ctx context.Context, f TopicFilter) ([]Topic, error) {
	topics, err := c.all.Topics(ctx, f)
	return each(topics, func(t Topic) Topic {
		t.Subject = MaskTokens(t.Subject)
		return t
	}), err
}

func (c *readOnly) Publish(context.Context, workflow.PublishRequest) (workflow.Publication, error) {
	return workflow.Publication{}, ErrReadOnly
}

func (c *readOnly) Catalog(ctx context.Context) (Catalog, error) { return c.all.Catalog(ctx) }

func (c *readOnly) Watch(ctx context.Context, runID string, f func(Change)) error {
	return c.all.Watch(ctx, runID, f)
}

func (c *readOnly) StartRun(context.Context, workflow.StartRequest) (string, error) {
	return "", ErrReadOnly
}

func (c *readOnly) ResumeHook(context.Context, workflow.ResumeRequest) (workflow.HookInfo, error) {
	return workflow.HookInfo{}, ErrReadOnly
}

func (c *readOnly) CallHook(context.Context, workflow.CallRequest) (workflow.CallAnswer, error) {
	return workflow.CallAnswer{}, ErrReadOnly
}

func (c *readOnly) AwaitAnswer(ctx context.Context, req workflow.AnswerRequest) (workflow.CallAnswer, error) {
	a, err := c.all.AwaitAnswer(ctx, req)
	a.Output, a.Error = maskJSON(a.Output), maskJSON(a.Error)
	return a, err
}

func (c *readOnly) CancelRun(context.Context, string) error            { return ErrReadOnly }
func (c *readOnly) TerminateRun(context.Context, string, string) error { return ErrReadOnly }
func (c *readOnly) WakeRun(context.Context, string) error              { return ErrReadOnly }
func (c *readOnly) RetryRun(context.Context, string) error             { return ErrReadOnly }
func (c *readOnly) ResumeRun(context.Context, string) error            { return ErrReadOnly }
func (c *readOnly) RevokeLink(context.Context, string) error           { return ErrReadOnly }
func (c *readOnly) ResumeWorkflow(context.Context, string) error       { return ErrReadOnly }

func (c *readOnly) PauseRun(context.Context, string, workflow.PauseRequest) error {
	return ErrReadOnly
}

func (c *readOnly) PauseWorkflow(context.Context, string, workflow.PauseRequest) error {
	return ErrReadOnly
}

func (c *readOnly) ForkRun(context.Context, workflow.ForkRequest) (workflow.ForkPlan, error) {
	return workflow.ForkPlan{}, ErrReadOnly
}

// each changes each item of a list, in place: the lists of a client are its caller's.
func each[T any](list []T, change func(T) T) []T {
	for i, item := range list {
		list[i] = change(item)
	}
	return list
}
