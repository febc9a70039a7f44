// Command remote is a server with workflows behind the HTTP API, and a program that knows
// nothing but its URL and a token: it starts a run, sees what it waits for, resumes it,
// and gets the typed result. Here both are one process; the second half needs no database
// and no engine.
package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/tenter-dev/tenter/access"
	"github.com/tenter-dev/tenter/client"
	"github.com/tenter-dev/tenter/engine"
	"github.com/tenter-dev/tenter/examples/internal/demo"
	"github.com/tenter-dev/tenter/inspect"
	"github.com/tenter-dev/tenter/server"
	"github.com/tenter-dev/tenter/workflow"
)

// What both sides know.
var (
	Publish   = workflow.Declare[Article, string]("publish")
	Decisions = workflow.DefineHook[Decision]("decision")
	ErrDull   = workflow.DefineError("remote: dull")
)

// Article is to be published.
type Article struct {
	Title string `json:"title"`
}

// Decision is what an editor says.
type Decision struct {
	Editor string `json:"editor"`
	Print  bool   `json:"print"`
}

// Validate is called by whoever sends a decision, and again by the server.
func (d Decision) Validate() error {
	if d.Editor == "" {
		return errors.New("an editor has to sign")
	}
	return nil
}

// publish is the workflow. It is on the server alone.
func publish(ctx workflow.Context, a Article) (string, error) {
	hook, err := Decisions.New(ctx, workflow.Token("decide:"+a.Title), workflow.Metadata(a))
	if err != nil {
		return "", err
	}
	defer hook.Close()
	d, err := hook.Wait(ctx)
	if err != nil {
		return "", err
	}
	hook.Close() // the first decision counts
	if !d.Print {
		return "", fmt.Errorf("%s finds it %w", d.Editor, ErrDull)
	}
	return workflow.Step(ctx, "print", func(context.Context) (string, error) {
		return strings.ToUpper(a.Title), nil
	})
}

func main() {
	reader, writer := rand.Text(), rand.Text() // of the environment, in a real program
	opts := engine.Options{
		Workflows: []workflow.Definition{Publish.Implement(publish)},
		Hooks:     []workflow.HookDefinition{Decisions},
	}
	demo.Site(opts, func(mux *http.ServeMux, eng *engine.Engine) {
		mux.Handle(server.APIPath, server.API(eng, server.APIOptions{Access: access.Policy{APIKeys: []access.APIKey{
			{Secret: reader, Scope: access.Read},
			{Secret: writer, Scope: access.Write},
		}}}))
	}, func(ctx context.Context, _ *engine.Engine, url string) error {
		return errors.Join(
			act(ctx, url, writer, Article{"tea for two"}, true),
			act(ctx, url, writer, Article{"grey"}, false),
			try(ctx, url, reader),
		)
	})
}

// act starts the publication of an article, and decides about it, remotely.
func act(ctx context.Context, url, key string, a Article, good bool) error {
	c, err := client.New(url, client.Options{APIKey: key})
	if err != nil {
		return err
	}
	run, err := Publish.Start(ctx, c, a)
	if err != nil {
		return err
	}
	hook, err := waitsFor(ctx, c, run.ID())
	if err != nil {
		return err
	}
	fmt.Printf("%q waits for a %s at %s\n", a.Title, hook.Type, hook.Token)

	if _, err := Decisions.Resume(ctx, c, hook.Token, Decision{}); err != nil {
		fmt.Println("  refused:", err)
	}
	// With a key it is safe to repeat, and the client repeats it if the connection fails.
	if _, err := Decisions.Resume(ctx, c, hook.Token, Decision{"Ann", good}, workflow.IdempotencyKey("ann-1")); err != nil {
		return err
	}
	result, err := run.Result(ctx)
	if errors.Is(err, ErrDull) {
		fmt.Println("  it is dull")
		return nil
	}
	if err != nil {
		return err
	}
	fmt.Println("  printed:", result)
	return nil
}

// waitsFor returns the hook that a run waits on, as soon as it does.
func waitsFor(ctx context.Context, c inspect.Client, runID string) (hook workflow.HookInfo, err error) {
	ctx, found := context.WithCancel(ctx)
	defer found()
	watched := c.Watch(ctx, runID, func(inspect.Change) {
		hooks, looked := c.Hooks(ctx, inspect.HookFilter{RunID: runID})
		if err = looked; err == nil && len(hooks) > 0 {
			hook = hooks[0]
			found()
		}
	})
	return hook, errors.Join(err, watched)
}

// try does what its key allows, and what it does not.
func try(ctx context.Context, url, key string) error {
	c, err := client.New(url, client.Options{APIKey: key})
	if err != nil {
		return err
	}
	counts, err := c.CountRuns(ctx)
	if err != nil {
		return err
	}
	fmt.Printf("%d completed, %d failed\n", counts[workflow.StatusCompleted], counts[workflow.StatusFailed])
	_, err = Publish.Start(ctx, c, Article{"mine"})
	if refused, ok := errors.AsType[*client.Error](err); ok {
		fmt.Println("start:", refused.Code)
		return nil
	}
	return fmt.Errorf("a reader has started a run, or failed with %w", err)
}
