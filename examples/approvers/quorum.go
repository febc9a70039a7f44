package main

import "github.com/tenter-dev/tenter/workflow"

// quorum waits until need approvers say the same, or all have voted. It takes one vote
// of each, and returns them in the order of arrival, which is the same on replay.
func quorum(ctx workflow.Context, need int, hooks []*workflow.Hook[Vote]) ([]Vote, error) {
	var votes []Vote
	said := make(map[bool]int)
	cases := make([]workflow.Case, len(hooks))
	for i, hook := range hooks {
		cases[i] = workflow.OnPayload(hook, func(v Vote) error {
			votes = append(votes, v)
			said[v.Approved]++
			cases[i] = nil // Select skips it from now on
			return nil
		})
	}
	for said[true] < need && said[false] < need && len(votes) < len(hooks) {
		if err := workflow.Select(ctx, cases...); err != nil {
			return nil, err
		}
	}
	return votes, nil
}
