package workflowtest_test

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tenter-dev/tenter/engine"
	"github.com/tenter-dev/tenter/inspect"
	"github.com/tenter-dev/tenter/workflow"
	"github.com/tenter-dev/tenter/workflowtest"
)

type ballot struct {
	Yes bool `json:"yes"`
}

var ballots = workflow.DefineHook[ballot]("ballot")

// poll asks three people an hour after it began, and returns who has voted, and how.
var poll = workflow.Define("poll", func(ctx workflow.Context, _ string) (votes []string, err error) {
	if err := workflow.Sleep(ctx, time.Hour); err != nil {
		return nil, err
	}
	hook, err := ballots.New(ctx)
	if err != nil {
		return nil, err
	}
	for _, who := range []string{"ada", "bob", "cyd"} {
		if _, err := workflow.AnswerLink(ctx, hook, workflow.Addressee(who), workflow.ExpiresIn(24*time.Hour)); err != nil {
			return nil, err
		}
	}
	for len(votes) < 2 {
		v, err := hook.Wait(ctx)
		if err != nil {
			return nil, err
		}
		votes = append(votes, hook.By().String()+map[bool]string{true: " yes", false: " no"}[v.Yes])
	}
	return votes, nil
})

// Runs that make links can be replayed without keys, as they can be tested without.
func TestReplayOfLinks(t *testing.T) {
	t.Parallel()
	opts := with(poll)
	opts.Hooks = []workflow.HookDefinition{ballots}
	file := filepath.Join(t.TempDir(), "poll.jsonl")
	workflowtest.Test(t, opts, func(t *testing.T, eng *workflowtest.Engine) {
		run := workflowtest.Start(eng, poll, "")
		eng.Link(run, "ada").Answer(ballot{Yes: true})
		var export bytes.Buffer
		if err := eng.Engine().ExportForReplay(t.Context(), &export, []string{run.ID()}, engine.ExportForReplayOptions{}); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, export.Bytes(), 0o600); err != nil {
			t.Fatal(err)
		}
	})
	workflowtest.Replay(t, opts, file)
}

// People answer by their links, wherever processes are killed.
func TestLinks(t *testing.T) {
	t.Parallel()
	opts := with(poll)
	opts.Hooks = []workflow.HookDefinition{ballots}
	workflowtest.CrashEverywhere(t, opts, func(t *testing.T, eng *workflowtest.Engine) {
		run := workflowtest.Start(eng, poll, "")
		ada := eng.Link(run, "ada")
		if ada.State != inspect.LinkOpen || ada.ExpiresAt.Sub(ada.CreatedAt) != 24*time.Hour {
			t.Errorf("the link is %+v", ada.Link)
		}
		resp, err := eng.HTTP().Get(ada.URL()) //nolint:noctx // there is no network
		if err != nil {
			t.Fatal(err)
		}
		page, err := io.ReadAll(resp.Body)
		if err := errors.Join(err, resp.Body.Close()); err != nil || resp.StatusCode != 200 || !strings.Contains(string(page), "issued to") {
			t.Errorf("the page: %s, %v\n%s", resp.Status, err, page)
		}
		if err := ada.TryAnswer(t.Context(), "yes"); !isPayload(err) {
			t.Errorf("an answer that does not fit: %v", err)
		}
		ada.Answer(ballot{Yes: true})
		if err := ada.TryAnswer(t.Context(), ballot{}); !errors.Is(err, workflowtest.ErrNotAnswered) || !strings.Contains(err.Error(), "it is answered") {
			t.Errorf("a second answer: %v", err)
		}
		as := workflow.WithActor(t.Context(), workflow.Actor{Name: "eve", Via: "app"})
		if err := eng.Link(run, "bob").TryAnswer(as, ballot{}); err != nil {
			t.Error(err)
		}
		want := []string{"the link issued to ada yes", "eve (app) no"}
		if diff := cmp.Diff(want, workflowtest.Result(eng, run)); diff != "" {
			t.Errorf("votes (-want +got):\n%s", diff)
		}
		if err := eng.Link(run, "cyd").TryAnswer(t.Context(), ballot{}); !errors.Is(err, workflowtest.ErrNotAnswered) || !strings.Contains(err.Error(), "it is closed") {
			t.Errorf("an answer when all is over: %v", err)
		}
	})
	workflowtest.Test(t, opts, func(t *testing.T, eng *workflowtest.Engine) {
		run := workflowtest.Start(eng, poll, "")
		ada := eng.Link(run, "ada")
		eng.Advance(24 * time.Hour)
		if err := ada.TryAnswer(t.Context(), ballot{}); !errors.Is(err, workflowtest.ErrNotAnswered) || !strings.Contains(err.Error(), "it is expired") {
			t.Errorf("an answer when the link has expired: %v", err)
		}
	})
}

func isPayload(err error) bool {
	_, ok := errors.AsType[*workflow.PayloadError](err)
	return ok
}
