// Command approvers asks several people about documents: the first of two decides,
// three of three are needed, and two of three are enough.
package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/tenter-dev/tenter/engine"
	"github.com/tenter-dev/tenter/examples/internal/demo"
	"github.com/tenter-dev/tenter/workflow"
)

func main() {
	o := &office{asked: make(chan string)}
	opts := engine.Options{Workflows: []workflow.Definition{
		FirstOfTwo.Implement(o.firstOfTwo),
		AllOfThree.Implement(o.allOfThree),
		TwoOfThree.Implement(o.twoOfThree),
	}}
	demo.Main(opts, func(ctx context.Context, eng *engine.Engine) error {
		for _, scene := range []struct {
			by    *workflow.Workflow[string, string]
			votes []Vote
		}{
			{FirstOfTwo, []Vote{{"ada", true}, {"bob", false}}},
			{FirstOfTwo, []Vote{{"bob", false}, {"ada", true}}},
			{AllOfThree, []Vote{{"cyd", true}, {"ada", false}, {"bob", true}}},
			{TwoOfThree, []Vote{{"bob", true}, {"cyd", true}, {"ada", false}}},
			{TwoOfThree, []Vote{{"ada", false}, {"bob", true}, {"cyd", false}}},
		} {
			if err := play(ctx, eng, o, scene.by, scene.votes); err != nil {
				return err
			}
		}
		return nil
	})
}

// play starts a run and votes when it has asked.
func play(ctx context.Context, eng *engine.Engine, o *office, by *workflow.Workflow[string, string], votes []Vote) error {
	run, err := by.Start(ctx, eng, "contract")
	if err != nil {
		return err
	}
	var document string
	select {
	case document = <-o.asked:
	case <-ctx.Done():
		return ctx.Err()
	}
	fmt.Printf("%s:", by.Name())
	for _, vote := range votes {
		_, err := workflow.Resume(ctx, eng, token(document, vote.Name), vote)
		switch {
		case errors.Is(err, workflow.ErrHookNotFound):
			fmt.Printf(" %s is too late,", vote.Name) // it is decided, and the run has ended
		case err != nil:
			return err
		default:
			fmt.Printf(" %s votes %t,", vote.Name, vote.Approved)
		}
	}
	result, err := run.Result(ctx)
	if err != nil {
		return err
	}
	fmt.Println(" and", result)
	return nil
}
