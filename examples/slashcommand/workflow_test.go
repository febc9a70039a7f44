package main

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/tenter-dev/tenter/engine"
	"github.com/tenter-dev/tenter/workflow"
	"github.com/tenter-dev/tenter/workflowtest"
)

func TestCommands(t *testing.T) {
	t.Parallel()
	b := &bot{slack: &slack{}}
	opts := engine.Options{Workflows: []workflow.Definition{Commands.Implement(b.run)}}
	workflowtest.CrashEverywhere(t, opts, func(t *testing.T, eng *workflowtest.Engine) {
		workflowtest.ReplaceDo(eng.Step("tell"), func(context.Context) error { return nil })
		workflowtest.ReplaceDo(eng.Step("post"), func(context.Context) error { return nil })
		workflowtest.Replace(eng.Step("check"), func(context.Context) (string, error) { return "on fire", nil })
		eng.Step("post").Fail(errors.New("Slack is down"), 1)

		run := workflowtest.Start(eng, Commands, "general")
		hook := eng.Hook(run)
		if want := "https://app.test/.well-known/workflow/v1/webhook/slack_command:general"; hook.URL() != want {
			t.Errorf("URL is %s, want %s", hook.URL(), want)
		}
		for _, tt := range []struct{ command, text, want string }{
			{"/status", "", "Checking the status."},
			{"/weather", "Paris", "There is no command /weather."},
			{"/status", "stop", "Stopping."},
		} {
			answer := hook.PostForm(url.Values{"command": {tt.command}, "text": {tt.text}})
			if answer.Status != http.StatusOK || !strings.Contains(string(answer.Body), tt.want) {
				t.Errorf("%s %s: %d %s, want %q", tt.command, tt.text, answer.Status, answer.Body, tt.want)
			}
		}
		if n := workflowtest.Result(eng, run); n != 3 {
			t.Errorf("%d commands, want 3", n)
		}
	})
}

func TestNoForm(t *testing.T) {
	t.Parallel()
	b := &bot{slack: &slack{}}
	opts := engine.Options{Workflows: []workflow.Definition{Commands.Implement(b.run)}}
	workflowtest.Test(t, opts, func(t *testing.T, eng *workflowtest.Engine) {
		workflowtest.ReplaceDo(eng.Step("tell"), func(context.Context) error { return nil })
		run := workflowtest.Start(eng, Commands, "general")
		if answer := eng.Hook(run).PostJSON("hello"); answer.Status != http.StatusBadRequest {
			t.Errorf("JSON: %d, want 400", answer.Status)
		}
	})
}
