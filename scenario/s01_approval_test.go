package scenario_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/tenter-dev/tenter/workflow"
)

// S1: a run creates a hook with a random token, logs it, waits; a handler of the app
// resumes by token.

type decision struct {
	Approved bool   `json:"approved"`
	Comment  string `json:"comment"`
}

var approval = workflow.Declare[string, decision]("approval")

// An approver is told the token of each document.
type approver struct {
	takes  time.Duration // to be told
	mu     sync.Mutex
	tokens map[string][]string // by document; one for each time that it was told
}

func (a *approver) tell(doc, token string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.tokens == nil {
		a.tokens = map[string][]string{}
	}
	a.tokens[doc] = append(a.tokens[doc], token)
}

// token returns the one token that the approver was told, however often.
func (a *approver) token(t *testing.T, doc string) string {
	t.Helper()
	a.mu.Lock()
	defer a.mu.Unlock()
	told := a.tokens[doc]
	if len(told) == 0 {
		t.Fatalf("nobody was notified of %s", doc)
	}
	for _, token := range told {
		if token != told[0] || len(token) < 22 {
			t.Fatalf("tokens of %s: %q, want the same one of at least 128 bits each time", doc, told)
		}
	}
	return told[0]
}

func (a *approver) approve(ctx workflow.Context, doc string) (decision, error) {
	hook, err := workflow.NewHook[decision](ctx)
	if err != nil {
		return decision{}, err
	}
	defer hook.Close()
	err = workflow.Do(ctx, "tell", func(ctx context.Context) error {
		a.tell(doc, hook.Token())
		return busy(ctx, a.takes)
	})
	if err != nil {
		return decision{}, err
	}
	return hook.Wait(ctx)
}

func TestS01Approval(t *testing.T) {
	t.Parallel()
	everywhere(t, func(w *world) {
		a := &approver{takes: time.Second}
		w.boot(approval.Implement(a.approve))
		yes := start(w, approval, "yes", "doc-1")
		no := start(w, approval, "no", "doc-2")

		// One is resumed while its step is executing, before it waits.
		if info := w.send(a.token(w.t, "doc-1"), decision{true, "fine"}); info.RunID != yes.ID() {
			w.t.Errorf("the handler gets run %s, want %s", info.RunID, yes.ID())
		}
		w.advance(10 * time.Second)
		w.status(no.ID(), workflow.StatusWaiting)
		if info := w.send(a.token(w.t, "doc-2"), decision{false, "too long"}); info.RunID != no.ID() {
			w.t.Errorf("the handler gets run %s, want %s", info.RunID, no.ID())
		}
		want(w, yes, decision{true, "fine"})
		want(w, no, decision{false, "too long"})

		for _, token := range []string{"unknown", a.token(w.t, "doc-1")} {
			if _, err := w.resume(token, decision{true, "too late"}); !errors.Is(err, workflow.ErrHookNotFound) {
				w.t.Errorf("resume of %s: %v, want ErrHookNotFound", token, err)
			}
		}
	})
}

// TestS01Killed kills a real process at a random moment of each of 50 approvals.
func TestS01Killed(t *testing.T) {
	t.Parallel()
	onEachStore(t, approvalKilled)
}

func approvalKilled(t *testing.T, db *database) {
	t.Helper()
	s := newService(t, db, shortLease)
	const n = 50
	for i := range n {
		id := fmt.Sprint("run-", i)
		killed := make(chan struct{})
		go func() {
			defer close(killed)
			<-time.After(rand.N(30 * time.Millisecond))
			s.kill()
		}()
		s.start("approval", id, "doc")
		var info workflow.HookInfo
		args := workflow.ResumeRequest{Token: s.token(id), IdempotencyKey: id, Payload: encode(t, decision{i%2 == 0, id})}
		if err := s.call("Resume", args, &info); err != nil || info.RunID != id {
			t.Fatalf("approval of %s: %+v, %v", id, info, err)
		}
		<-killed
		if i%2 == 0 {
			continue
		}
		// A run that is there when three processes are killed may be blocked for it. On a slow
		// machine most would be.
		for _, i := range []int{i - 1, i} {
			id := fmt.Sprint("run-", i)
			got, err := workflow.Get[decision](s.api, id).Result(within(t))
			if err != nil {
				t.Fatal(err)
			}
			if want := (decision{i%2 == 0, id}); got != want {
				t.Errorf("run %s returned %v, want %v", id, got, want)
			}
		}
	}
	t.Logf("%d processes died", s.died())
	s.close()
	checkRuns(t, db.st, processWorkflows())
}
