package main

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/tenter-dev/tenter/access"
	"github.com/tenter-dev/tenter/dashboard"
	"github.com/tenter-dev/tenter/engine"
	"github.com/tenter-dev/tenter/inspect"
)

// app is the program around the workflow.
type app struct {
	engine *engine.Engine
	url    string
	key    access.APIKey // of the dashboard
}

// begin goes on with what waits since last time, or else starts a first run.
func (a *app) begin(ctx context.Context) error {
	hooks, err := a.engine.Hooks(ctx, inspect.HookFilter{}) // of all runs
	if err != nil {
		return err
	}
	waiting := false
	for _, hook := range hooks {
		run, err := Approval.Get(a.engine, hook.RunID).Info(ctx)
		if err != nil {
			return err
		}
		if run.Workflow != Approval.Name() {
			continue // another program's, in the same database
		}
		waiting = true
		var document string
		if err := json.Unmarshal(hook.Metadata, &document); err != nil {
			return err
		}
		fmt.Print("From last time: ")
		if err := a.ask(document, hook.Token); err != nil {
			return err
		}
	}
	if !waiting {
		_, err = Approval.Start(ctx, a.engine, "contract.pdf")
	}
	return err
}

// ask stands for the mail to the person who decides. Anyone with the token can.
func (a *app) ask(document, token string) error {
	_, err := fmt.Printf(`%[1]s waits for a decision. Yours?

  curl %[2]s/approve -d '{"token":"%[3]s","approved":true,"comment":"fine"}'

Or in the browser: %[4]s

`, document, a.url, token, dashboard.SignInURL(a.url+"/tenter/", a.key)+"&back=hooks")
	return err
}

// publish stands for what your program does then.
func (a *app) publish(document string, d Decision) (string, error) {
	result := document + " is rejected"
	if d.Approved {
		result = document + " is published"
	}
	if d.Comment != "" {
		result += ": " + d.Comment
	}
	_, err := fmt.Println(result)
	return result, err
}
