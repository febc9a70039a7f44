package scenario_test

import (
	"flag"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tenter-dev/tenter/workflow"
)

// scenarioMessages makes S29 last longer.
var scenarioMessages = flag.Int("scenario.messages", 300, "how many messages the bot of S29 gets, a thousandth of them in each generation, and ten at least")

// S29: a bot lives for years. It restarts in place again and again, onto a new version when one is
// deployed; all messages come once, in order, and none is refused.

// tally is the input of a generation of the bot: what the bot has come to.
type tally struct {
	Per      int // messages in each generation
	Heard    int
	Wrong    []string
	Versions []int // of the code, by generation
}

var yearsBot = workflow.Declare[tally, tally]("years-bot")

// tallyMessages expects the numbers from 1 on, and ends with 0.
func tallyMessages(ctx workflow.Context, t tally) (tally, error) {
	inbox, err := workflow.NewHook[int](ctx, workflow.Token("years-bot"))
	if err != nil {
		return t, err
	}
	t.Versions = append(t.Versions, workflow.InfoOf(ctx).Version)
	for range t.Per {
		n, err := inbox.Wait(ctx)
		if err != nil {
			return t, err
		}
		if n == 0 {
			return t, nil
		}
		if t.Heard++; n != t.Heard {
			t.Wrong = append(t.Wrong, fmt.Sprintf("message %d came as number %d", n, t.Heard))
			t.Heard = n
		}
	}
	return yearsBot.Restart(ctx, t)
}

func wantTally(t *testing.T, got tally, n int) {
	t.Helper()
	if got.Heard != n || len(got.Wrong) > 0 {
		t.Errorf("the bot heard %d messages of %d; %v", got.Heard, n, got.Wrong)
	}
}

func TestS29CrashAnywhere(t *testing.T) {
	t.Parallel()
	everywhere(t, func(w *world) {
		w.boot(yearsBot.Implement(tallyMessages))
		run := start(w, yearsBot, "bot", tally{Per: 2})
		const n = 7
		for i := 1; i <= n; i++ {
			w.send("years-bot", i)
			if i == n/2 {
				w.advance(time.Minute)
				w.down()
				w.boot(yearsBot.Implement(tallyMessages), yearsBot.Implement(tallyMessages, workflow.Version(2)))
			}
		}
		w.send("years-bot", 0)
		got, err := result(w, run)
		if err != nil {
			w.t.Fatal(err)
		}
		wantTally(w.t, got, n)
		if diff := cmp.Diff([]int{1, 1, 2, 2}, got.Versions); diff != "" {
			w.t.Errorf("versions of the generations (-want +got):\n%s", diff)
		}
	})
}

// TestS29KilledWorkers: workers are killed again and again while the bot restarts.
func TestS29KilledWorkers(t *testing.T) {
	t.Parallel()
	onEachStore(t, func(t *testing.T, db *database) {
		t.Helper()
		n, kills := *scenarioMessages, 6
		run, err := yearsBot.Start(t.Context(), db.api, tally{Per: max(10, n/1000)}, workflow.RunID("bot"))
		if err != nil {
			t.Fatal(err)
		}
		workers := []*service{newService(t, db, shortLease), newService(t, db, shortLease)}
		workers[0].token(run.ID())
		for sent := 1; sent <= n; sent++ {
			if _, err := workflow.Resume(t.Context(), db.api, "years-bot", sent); err != nil {
				t.Fatalf("message %d was refused: %v", sent, err)
			}
			if sent%(n/kills) == n/kills/2 {
				workers[sent/(n/kills)%len(workers)].kill()
			}
		}
		if _, err := workflow.Resume(t.Context(), db.api, "years-bot", 0); err != nil {
			t.Fatal(err)
		}
		got, err := run.Result(within(t))
		if err != nil {
			t.Fatal(err)
		}
		wantTally(t, got, n)
		info, err := run.Info(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if want := n / max(10, n/1000); info.Generation < want-1 || info.Generation > want {
			t.Errorf("the bot restarted %d times with %d messages", info.Generation, n)
		}
	})
}
