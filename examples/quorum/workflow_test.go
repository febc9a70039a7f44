package main

import (
	"context"
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tenter-dev/tenter/engine"
	"github.com/tenter-dev/tenter/workflow"
	"github.com/tenter-dev/tenter/workflowtest"
)

func TestQuorum(t *testing.T) {
	t.Parallel()
	const ada, bob, cyd = "ada@example.com", "bob@example.com", "cyd@example.com"
	type vote struct {
		who string
		Vote
	}
	for name, tt := range map[string]struct {
		votes []vote
		want  string
	}{
		"two say yes":                {[]vote{{ada, Vote{Approved: true}}, {cyd, Vote{Approved: true}}}, "contract.pdf is published: approved by ada@example.com, cyd@example.com"},
		"one is outvoted":            {[]vote{{bob, Vote{Reason: "no price"}}, {ada, Vote{Approved: true}}, {cyd, Vote{Approved: true}}}, "contract.pdf is published: approved by ada@example.com, cyd@example.com"},
		"two say no, and give cause": {[]vote{{ada, Vote{Approved: true}}, {bob, Vote{Reason: "no price"}}, {cyd, Vote{Reason: "no date"}}}, "contract.pdf is rejected by bob@example.com (no price), cyd@example.com (no date)"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var mails []string
			o := &office{mail: func(_ context.Context, to, _, _ string) error { mails = append(mails, to); return nil }}
			opts := engine.Options{Workflows: []workflow.Definition{Publication.Implement(o.publication)}, Hooks: []workflow.HookDefinition{Votes}}
			workflowtest.Test(t, opts, func(t *testing.T, eng *workflowtest.Engine) {
				run := workflowtest.Start(eng, Publication, "contract.pdf")
				for _, v := range tt.votes {
					eng.Link(run, v.who).Answer(v.Vote)
				}
				if got := workflowtest.Result(eng, run); got != tt.want {
					t.Errorf("the result is %q, want %q", got, tt.want)
				}
				if diff := cmp.Diff(approvers, mails); diff != "" {
					t.Errorf("mails (-want +got):\n%s", diff)
				}
			})
		})
	}
}

// Nobody votes twice, nobody rejects without a reason, and nothing is lost in a crash.
func TestOneVoteEach(t *testing.T) {
	t.Parallel()
	o := &office{mail: func(context.Context, string, string, string) error { return nil }}
	opts := engine.Options{Workflows: []workflow.Definition{Publication.Implement(o.publication)}, Hooks: []workflow.HookDefinition{Votes}}
	workflowtest.CrashEverywhere(t, opts, func(t *testing.T, eng *workflowtest.Engine) {
		run := workflowtest.Start(eng, Publication, "contract.pdf")
		ada := eng.Link(run, "ada@example.com")
		if err := ada.TryAnswer(t.Context(), Vote{}); err == nil || errors.Is(err, workflowtest.ErrNotAnswered) {
			t.Errorf("a rejection without a reason: %v", err)
		}
		ada.Answer(Vote{Approved: true})
		if err := ada.TryAnswer(t.Context(), Vote{Approved: true}); !errors.Is(err, workflowtest.ErrNotAnswered) {
			t.Errorf("a second vote: %v", err)
		}
		eng.Link(run, "bob@example.com").Answer(Vote{Approved: true})
		if got, want := workflowtest.Result(eng, run), "contract.pdf is published: approved by ada@example.com, bob@example.com"; got != want {
			t.Errorf("the result is %q, want %q", got, want)
		}
		if err := eng.Link(run, "cyd@example.com").TryAnswer(t.Context(), Vote{Approved: true}); !errors.Is(err, workflowtest.ErrNotAnswered) {
			t.Errorf("a vote when all is decided: %v", err)
		}
	})
}
