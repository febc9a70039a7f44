package main

import (
	"context"
	"errors"
	"net/http"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tenter-dev/tenter/engine"
	"github.com/tenter-dev/tenter/examples/internal/exampletest"
	"github.com/tenter-dev/tenter/workflow"
	"github.com/tenter-dev/tenter/workflowtest"
)

func TestMain(m *testing.M) { exampletest.Main(m, main) }

const ada, bob, boss = "ada@example.com", "bob@example.com", "boss@example.com"

func lathe() Purchase { return Purchase{"a lathe", ada, boss, 24 * time.Hour} }

func TestApproval(t *testing.T) {
	t.Parallel()
	const question, reminder = ": May a lathe be bought?", ": Reminder: May a lathe be bought?"
	for name, tt := range map[string]struct {
		play  func(t *testing.T, eng *workflowtest.Engine, run workflowtest.Run)
		want  string
		mails []string
	}{
		"at once": {func(_ *testing.T, eng *workflowtest.Engine, run workflowtest.Run) {
			eng.Link(run, ada).Answer(Decision{Answer: approve})
		}, "ada@example.com approves a lathe", []string{ada + question}},
		"after a reminder, by the first link": {func(t *testing.T, eng *workflowtest.Engine, run workflowtest.Run) {
			first := eng.Link(run, ada)
			eng.Advance(25 * time.Hour)
			first.Answer(Decision{Answer: reject})
			refused(t, eng.Link(run, ada)) // both share one answer
		}, "ada@example.com rejects a lathe", []string{ada + question, ada + reminder}},
		"escalated": {func(t *testing.T, eng *workflowtest.Engine, run workflowtest.Run) {
			first := eng.Link(run, ada)
			eng.Advance(25 * time.Hour)
			second := eng.Link(run, ada)
			eng.Advance(24 * time.Hour)
			refused(t, first)
			refused(t, second)
			eng.Link(run, boss).Answer(Decision{Answer: approve})
		}, "boss@example.com approves a lathe", []string{ada + question, ada + reminder, boss + question}},
		"delegated, and back": {func(t *testing.T, eng *workflowtest.Engine, run workflowtest.Run) {
			first := eng.Link(run, ada)
			first.Answer(Decision{Answer: delegate, To: bob})
			refused(t, first)
			eng.Link(run, bob).Answer(Decision{Answer: delegate, To: ada})
			eng.Link(run, ada).Answer(Decision{Answer: approve})
		}, "ada@example.com approves a lathe", []string{ada + question, bob + question, ada + question}},
		"nobody": {
			func(*testing.T, *workflowtest.Engine, workflowtest.Run) {}, "nobody has decided about a lathe",
			[]string{ada + question, ada + reminder, boss + question, boss + reminder},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var mails []string
			o := &office{mail: func(_ context.Context, to, subject, _ string) error {
				mails = append(mails, to+": "+subject)
				return nil
			}}
			workflowtest.Test(t, options(o), func(t *testing.T, eng *workflowtest.Engine) {
				run := workflowtest.Start(eng, Approval, lathe())
				tt.play(t, eng, run)
				if got := workflowtest.Result(eng, run); got != tt.want {
					t.Errorf("the result is %q, want %q", got, tt.want)
				}
				if diff := cmp.Diff(tt.mails, mails); diff != "" {
					t.Errorf("mails (-want +got):\n%s", diff)
				}
			})
		})
	}
}

// Wherever the worker crashes, the same people are asked, and whoever delegates has to say to whom.
func TestCrashes(t *testing.T) {
	t.Parallel()
	o := &office{mail: func(context.Context, string, string, string) error { return nil }}
	workflowtest.CrashEverywhere(t, options(o), func(t *testing.T, eng *workflowtest.Engine) {
		run := workflowtest.Start(eng, Approval, lathe())
		link := eng.Link(run, boss) // lets the time pass
		if err := link.TryAnswer(t.Context(), Decision{Answer: delegate}); !isRefusal(err) {
			t.Errorf("delegated to nobody: %v", err)
		}
		link.Answer(Decision{Answer: delegate, To: bob})
		eng.Link(run, bob).Answer(Decision{Answer: approve})
		if got, want := workflowtest.Result(eng, run), "bob@example.com approves a lathe"; got != want {
			t.Errorf("the result is %q, want %q", got, want)
		}
	})
}

// The pages do what the tests above do without them.
func TestPages(t *testing.T) {
	t.Parallel()
	p := exampletest.Start(t, t.TempDir(), "-addr", "127.0.0.1:0", "-patience", "1h")
	link := func(who string) string {
		return p.WaitFor(`To: ` + who + `\nSubject: May a lathe be bought\?\n\n  (\S+)\n`)[1]
	}
	page := exampletest.Open(t, link(ada))
	if got := page.Press(delegate); got.Status != http.StatusUnprocessableEntity {
		t.Errorf("delegated to nobody: %d\n%s", got.Status, got.Body)
	}
	if got := page.Press(delegate, "to", bob); got.Status != http.StatusOK {
		t.Errorf("delegated: %d\n%s", got.Status, got.Body)
	}
	exampletest.Open(t, link(bob)).Press(approve)
	p.WaitFor(bob + ` approves a lathe\n`)
}

func options(o *office) engine.Options {
	return engine.Options{Workflows: []workflow.Definition{Approval.Implement(o.approval)}, Hooks: []workflow.HookDefinition{Decisions}}
}

// refused tries to answer by a link that is over.
func refused(t *testing.T, l *workflowtest.Link) {
	t.Helper()
	if err := l.TryAnswer(t.Context(), Decision{Answer: approve}); !errors.Is(err, workflowtest.ErrNotAnswered) {
		t.Errorf("an answer by a link of %s: %v", l.Addressee, err)
	}
}

func isRefusal(err error) bool {
	_, ok := errors.AsType[*workflow.PayloadError](err)
	return ok
}
