package scenario_test

import (
	"errors"
	"fmt"
	"sync"
	"testing"

	"github.com/tenter-dev/tenter/workflow"
)

// S10 at scale: 100 runs in eight processes claim the same token at once. One gets it,
// and 99 are told who.

// contender returns who has the token that it wants. If that is the contender itself
// it waits for a payload first.
var contender = workflow.Define("contender", contend)

func contend(ctx workflow.Context, token string) (owner string, err error) {
	hook, err := workflow.NewHook[string](ctx, workflow.Token(token))
	if taken, ok := errors.AsType[*workflow.HookConflictError](err); ok && taken.Token == token {
		return taken.RunID, nil
	}
	if err != nil {
		return "", err
	}
	defer hook.Close()
	return hook.Wait(ctx)
}

func TestS10ManyProcesses(t *testing.T) {
	t.Parallel()
	onEachStore(t, hundredClaims)
}

func hundredClaims(t *testing.T, db *database) {
	t.Helper()
	const processes, n = 8, 100
	services := make([]*service, processes)
	for i := range services {
		services[i] = newService(t, db, longLease)
	}
	for _, s := range services {
		var n int64
		if err := s.call("Fenced", struct{}{}, &n); err != nil { // it is up
			t.Fatal(err)
		}
	}
	var all sync.WaitGroup
	for i := range n {
		all.Go(func() { services[i%processes].start("contender", fmt.Sprint("contender-", i), "the ring") })
	}
	all.Wait()
	var owner string
	waitFor(t, func() bool {
		hook, err := db.api.HookByToken(t.Context(), "the ring")
		owner = hook.RunID
		return err == nil
	})
	ctx := within(t)
	for i := range n {
		id := fmt.Sprint("contender-", i)
		if id == owner {
			continue
		}
		if got, err := workflow.Get[string](db.api, id).Result(ctx); err != nil || got != owner {
			t.Errorf("%s is told that %q has the token, %v; it is %s", id, got, err, owner)
		}
	}
	if _, err := workflow.Resume(ctx, db.api, "the ring", "mine"); err != nil {
		t.Fatal(err)
	}
	if got, err := workflow.Get[string](db.api, owner).Result(ctx); err != nil || got != "mine" {
		t.Errorf("%s returned %q, %v", owner, got, err)
	}
	checkRuns(t, db.st, processWorkflows())
}
