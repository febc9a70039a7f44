package workflowtest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path"

	"github.com/tenter-dev/tenter/inspect"
	"github.com/tenter-dev/tenter/internal/run"
)

// Link is a link to an answer page that a run has made.
type Link struct {
	inspect.Link // as it was when [Engine.Link] returned it

	e *Engine
}

// ErrNotAnswered says that a link can't be answered any more: it has expired, say. Its text has the
// state.
var ErrNotAnswered = errors.New("the link can't be answered")

// Link lets time pass until a run has made a link for an addressee, and returns it, or the last one if
// there are several. The test fails if the run never will.
func (e *Engine) Link(run Run, addressee string) *Link {
	e.t.Helper()
	var found *Link
	var failed error
	err := e.until(e.t.Context(), func() bool {
		found, failed = e.lookForLink(run.ID(), addressee)
		return failed != nil || found != nil
	})
	switch {
	case failed != nil:
		e.t.Fatalf("link of run %s: %v", run.ID(), failed)
	case err != nil:
		e.t.Fatalf("run %s has no link for %s: %v\n%s", run.ID(), addressee, err, e.state(run.ID()))
	}
	return found
}

func (e *Engine) lookForLink(runID, addressee string) (found *Link, err error) {
	f := inspect.LinkFilter{RunID: runID, Limit: inspect.MaxLimit}
	for {
		links, err := e.client.Links(context.WithoutCancel(e.t.Context()), f)
		if err != nil {
			return nil, err
		}
		for _, l := range links {
			if l.Addressee == addressee {
				found = &Link{l, e}
			}
		}
		if len(links) < f.Limit {
			return found, nil
		}
		f.After = links[len(links)-1].Number
	}
}

// URL is that of the answer page, as [workflow.Link.URL] returns it. [Engine.HTTP] reaches it.
func (l *Link) URL() string {
	l.e.t.Helper()
	u, err := run.AnswerURL(context.WithoutCancel(l.e.t.Context()), l.e.client, l.ID)
	if err != nil {
		l.e.t.Fatal(err)
	}
	return u
}

// Answer answers as the addressee does on the page, and returns when all runs have gone as far as
// they can. The test fails if the answer is refused; where it is to be refused, use
// [Link.TryAnswer].
func (l *Link) Answer(answer any) {
	l.e.t.Helper()
	if err := l.TryAnswer(l.e.t.Context(), answer); err != nil {
		l.e.t.Fatal(err)
	}
}

// TryAnswer is Answer that returns why the answer is refused: a *workflow.PayloadError for one that
// does not fit, and [ErrNotAnswered] for a link that can't be answered any more. The answer is
// recorded as that of the actor of ctx, if it has one, see workflow.WithActor.
func (l *Link) TryAnswer(ctx context.Context, answer any) error {
	l.e.t.Helper()
	data, err := json.Marshal(answer)
	if err != nil {
		return fmt.Errorf("answer by the link of %s: %w", l.Addressee, err)
	}
	page, err := l.e.client.AnswerPage(ctx, path.Base(l.URL()))
	if err != nil {
		return err
	}
	recorded, err := page.Answer(ctx, data)
	l.e.settle(ctx)
	if err == nil && !recorded {
		err = fmt.Errorf("answer by the link of %s: %w: it is %s", l.Addressee, ErrNotAnswered, page.Link().State)
	}
	return err
}
