package scenario_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/tenter-dev/tenter/workflow"
)

// S11: two hooks, the first wins; three approvers, all needed; a quorum of two out of
// three. In every order of arrival.

var (
	firstOfTwo  = workflow.Define("first-of-two", firstWins)
	allOfThree  = workflow.Define("all-of-three", allNeeded)
	quorumOfTwo = workflow.Define("quorum", quorum)
)

func open(ctx workflow.Context, names ...string) ([]*workflow.Hook[string], error) {
	hooks := make([]*workflow.Hook[string], len(names))
	for i, name := range names {
		hook, err := workflow.NewHook[string](ctx, workflow.Token(workflow.InfoOf(ctx).RunID+":"+name))
		if err != nil {
			return nil, err
		}
		hooks[i] = hook
	}
	return hooks, nil
}

// firstWins tells who won, and that the loser's answer was still there.
func firstWins(ctx workflow.Context, _ struct{}) (string, error) {
	hooks, err := open(ctx, "a", "b")
	if err != nil {
		return "", err
	}
	i, won, err := workflow.First(ctx, hooks[0].Wait, hooks[1].Wait)
	if err != nil {
		return "", err
	}
	lost, err := hooks[1-i].Wait(ctx)
	return won + " before " + lost, err
}

func allNeeded(ctx workflow.Context, _ struct{}) (string, error) {
	hooks, err := open(ctx, "a", "b", "c")
	if err != nil {
		return "", err
	}
	answers, err := workflow.All(ctx, hooks[0].Wait, hooks[1].Wait, hooks[2].Wait)
	return strings.Join(answers, ","), err
}

// quorum returns the first two answers, in the order in which they came.
func quorum(ctx workflow.Context, _ struct{}) (string, error) {
	hooks, err := open(ctx, "a", "b", "c")
	if err != nil {
		return "", err
	}
	var answers []string
	take := func(answer string) error {
		answers = append(answers, answer)
		return nil
	}
	for len(answers) < 2 {
		err := workflow.Select(ctx, workflow.OnPayload(hooks[0], take), workflow.OnPayload(hooks[1], take), workflow.OnPayload(hooks[2], take))
		if err != nil {
			return "", err
		}
	}
	return strings.Join(answers, ","), nil
}

// orders are the orders in which three answers can come.
var orders = []string{"abc", "acb", "bac", "bca", "cab", "cba"}

// answer sends answers to a run in an order, at once or each when the last one has
// been taken in.
func answer(w *world, runID, order string, slowly bool) {
	w.t.Helper()
	for _, name := range order {
		w.send(runID+":"+string(name), string(name)+" of "+runID)
		if slowly {
			w.idle()
		}
	}
}

func playSeveral(w *world, orders []string) {
	w.boot(firstOfTwo, allOfThree, quorumOfTwo)
	for i, order := range orders {
		all := start(w, allOfThree, fmt.Sprint("all-", order), struct{}{})
		answer(w, all.ID(), order, i%2 == 0)
		id := " of " + all.ID()
		want(w, all, "a"+id+",b"+id+",c"+id)

		two := start(w, quorumOfTwo, fmt.Sprint("quorum-", order), struct{}{})
		answer(w, two.ID(), order[:2], i%2 == 1)
		id = " of " + two.ID()
		want(w, two, order[:1]+id+","+order[1:2]+id)

		if pair := strings.ReplaceAll(order, "c", ""); strings.HasPrefix(order, "c") {
			first := start(w, firstOfTwo, fmt.Sprint("first-", order), struct{}{})
			answer(w, first.ID(), pair, i%2 == 0)
			id = " of " + first.ID()
			want(w, first, pair[:1]+id+" before "+pair[1:]+id)
		}
	}
}

func TestS11EveryOrder(t *testing.T) {
	t.Parallel()
	undisturbed(t, func(w *world) { playSeveral(w, orders) })
}

func TestS11SeveralHooks(t *testing.T) {
	t.Parallel()
	everywhere(t, func(w *world) { playSeveral(w, []string{"cba"}) })
}
