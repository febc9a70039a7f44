package main

import (
	"context"
	"fmt"

	"github.com/tenter-dev/tenter/workflow"
)

// Vote is what an approver answers.
type Vote struct {
	Name     string `json:"name"`
	Approved bool   `json:"approved"`
}

// The three ways to ask several people about a document.
var (
	FirstOfTwo = workflow.Declare[string, string]("first of two")
	AllOfThree = workflow.Declare[string, string]("all of three")
	TwoOfThree = workflow.Declare[string, string]("two of three")
)

// office is where people are asked.
type office struct {
	asked chan string // documents
}

func token(document, name string) string { return "vote:" + document + ":" + name }

// ask opens a hook for each approver, and tells them when all are open. They close
// with the run.
func (o *office) ask(ctx workflow.Context, document string, names ...string) ([]*workflow.Hook[Vote], error) {
	hooks := make([]*workflow.Hook[Vote], len(names))
	for i, name := range names {
		var err error
		if hooks[i], err = workflow.NewHook[Vote](ctx, workflow.Token(token(document, name))); err != nil {
			return nil, err
		}
	}
	return hooks, workflow.Do(ctx, "ask", func(ctx context.Context) error {
		select {
		case o.asked <- document:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	})
}

func (o *office) firstOfTwo(ctx workflow.Context, document string) (string, error) {
	hooks, err := o.ask(ctx, document, "ada", "bob")
	if err != nil {
		return "", err
	}
	_, vote, err := workflow.First(ctx, hooks[0].Wait, hooks[1].Wait)
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("%s says %t", vote.Name, vote.Approved), nil
}

func (o *office) allOfThree(ctx workflow.Context, document string) (string, error) {
	hooks, err := o.ask(ctx, document, "ada", "bob", "cyd")
	if err != nil {
		return "", err
	}
	votes, err := workflow.All(ctx, hooks[0].Wait, hooks[1].Wait, hooks[2].Wait)
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("%s, %s and %s say %t, %t and %t", votes[0].Name, votes[1].Name, votes[2].Name,
		votes[0].Approved, votes[1].Approved, votes[2].Approved), nil
}

func (o *office) twoOfThree(ctx workflow.Context, document string) (string, error) {
	hooks, err := o.ask(ctx, document, "ada", "bob", "cyd")
	if err != nil {
		return "", err
	}
	votes, err := quorum(ctx, 2, hooks)
	if err != nil {
		return "", err
	}
	yes := 0
	for _, v := range votes {
		if v.Approved {
			yes++
		}
	}
	return fmt.Sprintf("%d say yes, %d no", yes, len(votes)-yes), nil
}
