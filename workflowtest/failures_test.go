package workflowtest_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"os"
	"os/exec"
	"regexp"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tenter-dev/tenter/workflow"
	"github.com/tenter-dev/tenter/workflowtest"
)

// TestFailures executes the tests below, each of which is to fail, in another process,
// and looks at what they say.
func TestFailures(t *testing.T) {
	t.Parallel()
	if os.Getenv(failing) != "" {
		return
	}
	for name, test := range failures {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestFailing$/^"+name+"$", "-test.timeout=60s")
			cmd.Env = append(os.Environ(), failing+"=yes")
			out, err := cmd.CombinedOutput()
			if err == nil {
				t.Fatalf("it passes:\n%s", out)
			}
			for _, want := range test.want {
				if !regexp.MustCompile(want).Match(out) {
					t.Errorf("%q is not in its output", want)
				}
			}
			if t.Failed() || testing.Verbose() {
				t.Logf("it says:\n%s", out)
			}
		})
	}
}

const failing = "WORKFLOWTEST_FAILING"

// TestFailing is executed by TestFailures.
func TestFailing(t *testing.T) {
	if os.Getenv(failing) == "" {
		t.Skip("executed by TestFailures")
	}
	workflowtest.SetMaxInstants(500)
	for name, test := range failures {
		t.Run(name, test.f)
	}
}

type failure struct {
	f    func(t *testing.T)
	want []string // regular expressions
}

// isolated is a test of the workflow order.
func isolated(f func(t *testing.T, eng *workflowtest.Engine)) func(t *testing.T) {
	return func(t *testing.T) { workflowtest.Test(t, with(order, order2, nap, trio, hang, crashing, ticking), f) }
}

var nap = workflow.Define("nap", func(ctx workflow.Context, d time.Duration) (string, error) {
	return "awake", workflow.Sleep(ctx, d)
})

// trio waits for one of three.
var trio = workflow.Define("trio", func(ctx workflow.Context, _ string) (string, error) {
	a, err := workflow.NewHook[string](ctx, workflow.Token("a"))
	if err != nil {
		return "", err
	}
	b, err := workflow.NewHook[string](ctx, workflow.Token("b"))
	if err != nil {
		return "", err
	}
	_, got, err := workflow.First(ctx, a.Wait, b.Wait, func(ctx workflow.Context) (string, error) {
		return nap.Call(ctx, 48*time.Hour)
	})
	return got, err
})

var hang = workflow.Define("hang", func(ctx workflow.Context, _ string) (string, error) {
	return "", workflow.Do(ctx, "block", func(ctx context.Context) error {
		<-ctx.Done()
		return ctx.Err()
	})
})

var crashing = workflow.Define("crashing", func(workflow.Context, string) (string, error) {
	var nobody *decision
	return "", errors.New(map[bool]string{true: "x"}[nobody.Approved])
})

var passes atomic.Int32

// moody asks for other steps each time.
var moody = workflow.Define("moody", func(ctx workflow.Context, _ string) (string, error) {
	name := []string{"a", "b"}[passes.Add(1)%2]
	return "", workflow.Do(ctx, name, func(context.Context) error { return nil })
})

// greedy has a result that depends on how often its step is executed.
var greedy = workflow.Define("greedy", func(ctx workflow.Context, _ string) (int64, error) {
	return workflow.Step(ctx, "draw", func(context.Context) (int64, error) { return rand.Int64(), nil })
})

// assigning has a step assign what the workflow returns.
var assigning = workflow.Define("assigning", func(ctx workflow.Context, _ string) (int, error) {
	total := 0
	err := workflow.Do(ctx, "sum", func(context.Context) error {
		total = 5 //lint:ignore tentervet the test finds it
		return nil
	})
	return total, err
})

// forgetful has a step assign the input with which the workflow restarts.
var forgetful = workflow.Define("forgetful", func(ctx workflow.Context, total int) (int, error) {
	if total > 0 {
		return total, nil
	}
	err := workflow.Do(ctx, "sum", func(context.Context) error {
		total = 5 //lint:ignore tentervet the test finds it
		return nil
	})
	if err != nil {
		return 0, err
	}
	return workflow.Restart[int](ctx, total)
})

// renaming has another name for its step each time, and restarts after it.
var renaming = func() *workflow.Workflow[bool, string] {
	names := []string{"first", "another"}
	return workflow.Define("renaming", func(ctx workflow.Context, again bool) (string, error) {
		if again {
			return "", nil
		}
		name := names[0]
		names = names[1:]
		if err := workflow.Do(ctx, name, func(context.Context) error { return nil }); err != nil {
			return "", err
		}
		return workflow.Restart[string](ctx, true)
	})
}()

// drawing decides by chance, once, which step it executes.
var drawing = func() *workflow.Workflow[string, string] {
	var draws atomic.Int64
	return workflow.Define("drawing", func(ctx workflow.Context, _ string) (string, error) {
		name := "first"
		if draws.Add(1) > 1 {
			name = "another"
		}
		if err := workflow.Do(ctx, name, func(context.Context) error { return nil }); err != nil {
			return "", err
		}
		hook, err := workflow.NewHook[string](ctx)
		if err != nil {
			return "", err
		}
		return hook.Wait(ctx)
	})
}()

var failures = map[string]failure{
	"assigned in a step": {func(t *testing.T) {
		workflowtest.Test(t, with(assigning), func(t *testing.T, eng *workflowtest.Engine) {
			if got := workflowtest.Result(eng, workflowtest.Start(eng, assigning, "", workflow.RunID("a1"))); got != 5 {
				t.Error("not in vain", got)
			}
		})
	}, []string{`run a1 of assigning is non-deterministic.*: the code returns 0, where the journal has 5`}},
	"assigned before a restart": {func(t *testing.T) {
		workflowtest.Test(t, with(forgetful), func(t *testing.T, eng *workflowtest.Engine) {
			if got := workflowtest.Result(eng, workflowtest.Start(eng, forgetful, 0, workflow.RunID("f1"))); got != 5 {
				t.Error("not in vain", got)
			}
		})
	}, []string{`run f1 of forgetful is non-deterministic. Its generation 0 replayed.*: the code restarts with 0, where the journal has 5`}},
	"renamed before a restart": {func(t *testing.T) {
		workflowtest.Test(t, with(renaming), func(_ *testing.T, eng *workflowtest.Engine) {
			workflowtest.Result(eng, workflowtest.Start(eng, renaming, false, workflow.RunID("r1")))
		})
	}, []string{`run r1 of renaming is non-deterministic. Its generation 0 .*"step first#1".*"step another#1"`, `failures_test.go:\d+`}},
	"renamed": {func(t *testing.T) {
		workflowtest.Replay(t, with(asking("inquire")), exported(t, asking("ask")))
	}, []string{`run asking-1 of asking: diverges: .*"step ask#1".*"step inquire#1".*replay_test.go:\d+`}},
	"renamed, for replay": {func(t *testing.T) {
		workflowtest.Replay(t, with(asking("inquire")), exportedForReplay(t, asking("ask"), 1))
	}, []string{`run asking-1 of asking: diverges: .*"step ask#1".*"step inquire#1".*replay_test.go:\d+`}},
	"too few draws": {func(t *testing.T) {
		workflowtest.Replay(t, with(lottery), exportedForReplay(t, lottery, 2))
	}, []string{`run lottery-1 of lottery: unable: the code draws more than the export for replay has: rand 3`}},
	"twice": {func(t *testing.T) {
		workflowtest.Replay(t, with(asking("ask")), exported(t, asking("ask")), exportedForReplay(t, asking("ask"), 1))
	}, []string{`read .*: run asking-1 is there twice`}},
	"no export": {func(t *testing.T) {
		workflowtest.Replay(t, with(asking("ask")), "failures_test.go")
	}, []string{`read failures_test.go: this is not an export of tenter`}},
	"drawn": {func(t *testing.T) {
		workflowtest.Test(t, with(drawing), func(_ *testing.T, eng *workflowtest.Engine) {
			workflowtest.Start(eng, drawing, "", workflow.RunID("d1"))
		})
	}, []string{`run d1 of drawing is non-deterministic.*"step first#1".*"step another#1"`, `failures_test.go:\d+`}},
	"stuck": {isolated(func(t *testing.T, eng *workflowtest.Engine) {
		if got := workflowtest.Result(eng, workflowtest.Start(eng, trio, "", workflow.RunID("t1"))); got != "awake" {
			t.Error("not in vain", got)
		}
		eng.Advance(time.Hour)
		workflowtest.Result(eng, workflowtest.Start(eng, order2, "x", workflow.RunID("o2")))
	}), []string{
		`failures_test.go:\d+: run o2 does not end: nothing will happen any more`,
		`run o2 of order2 is waiting`,
		`waits for a payload to token "two" \(hook {"a":1}\), at failures_test.go:\d+`,
	}},
	"no hook": {isolated(func(t *testing.T, eng *workflowtest.Engine) {
		eng.Hook(workflowtest.Start(eng, nap, time.Hour, workflow.RunID("n1")))
	}), []string{`failures_test.go:\d+: run n1 does not wait for a hook`, `run n1 of nap is completed`}},
	"several hooks": {isolated(func(t *testing.T, eng *workflowtest.Engine) {
		eng.Hook(workflowtest.Start(eng, trio, "", workflow.RunID("t1")))
	}), []string{
		`run t1 waits for several hooks: take one from eng.State\(run\).Hooks`,
		`token "a" \(hook\), at failures_test.go:\d+`, `token "b"`, `waits for run t1.nap.1 of nap, at failures_test.go:\d+`,
	}},
	"blocked step": {isolated(func(t *testing.T, eng *workflowtest.Engine) {
		workflowtest.Result(eng, workflowtest.Start(eng, hang, "", workflow.RunID("h1")))
	}), []string{
		`run h1 does not end: nothing has happened for hours, though code executes`,
		`step block#1 is executing attempt 1, for \d+h.*, at failures_test.go:\d+`,
	}},
	"panic": {isolated(func(t *testing.T, eng *workflowtest.Engine) {
		workflowtest.Result(eng, workflowtest.Start(eng, crashing, ""))
	}), []string{`panic: runtime error: invalid memory address`, `workflowtest_test\.init.*\n\s+\S+failures_test.go:\d+`}},
	"completes": {isolated(func(t *testing.T, eng *workflowtest.Engine) {
		_ = eng.Failure(workflowtest.Start(eng, nap, time.Hour, workflow.RunID("n1")))
	}), []string{`run n1 has completed with awake; it was to fail`}},
	"failed": {isolated(func(t *testing.T, eng *workflowtest.Engine) {
		eng.Step("charge").Fail(workflow.Fatal(errDeclined))
		workflowtest.Result(eng, workflowtest.Start(eng, order, "42", workflow.RunID("o1")))
	}), []string{`run o1 of order: step charge#1 failed after 1 attempt: workflowtest_test: card declined`}},
	"misfit": {isolated(func(t *testing.T, eng *workflowtest.Engine) {
		workflowtest.Replace(eng.Step("charge"), func(context.Context) (int, error) { return 1, nil })
		_ = eng.Failure(workflowtest.Start(eng, order, "42"))
	}), []string{`step charge#1 at workflowtest_test.go:\d+ returns string, and its replacement at failures_test.go:\d+ returns int`}},
	"typo": {isolated(func(t *testing.T, eng *workflowtest.Engine) {
		eng.Step("chrage").Fail(errDeclined)
		run := workflowtest.Start(eng, order, "42", workflow.RunID("o1"))
		if eng.State(run).Steps == nil {
			t.Error("no step fails")
		}
	}), []string{
		`step "chrage", of which the test asks something at failures_test.go:\d+, was not executed; executed were "charge" of "order"`,
		`run o1 of order is waiting`, `at the end of the test`,
	}},
	"nondeterminism": {func(t *testing.T) {
		workflowtest.CrashEverywhere(t, with(moody), func(t *testing.T, eng *workflowtest.Engine) {
			workflowtest.Result(eng, workflowtest.Start(eng, moody, ""))
		})
	}, []string{
		`the code is non-deterministic: after event 1 \(started\) the journal has "step .#1", and the code asked for "step .#1", at \S*failures_test.go:\d+`,
		`--- PASS: TestFailing/nondeterminism/no_crash|after_each_commit`,
	}},
	"another result": {func(t *testing.T) {
		workflowtest.CrashEverywhere(t, with(greedy), func(t *testing.T, eng *workflowtest.Engine) {
			workflowtest.Result(eng, workflowtest.Start(eng, greedy, ""))
		})
	}, []string{`a run \(ID\) of greedy is completed with \d+; without a crash it \(ID\) is completed with \d+`}},
	"another number of runs": {func(t *testing.T) {
		workflowtest.CrashEverywhere(t, with(starter, nap), func(t *testing.T, eng *workflowtest.Engine) {
			workflowtest.Result(eng, workflowtest.Start(eng, starter, ""))
		})
	}, []string{`there are 3 runs; without a crash there are 2: does a step start some without a workflow.RunID`}},
	"endless": {isolated(func(t *testing.T, eng *workflowtest.Engine) {
		eng.Hook(workflowtest.Start(eng, ticking, "", workflow.RunID("t1")))
	}), []string{
		`run t1 does not wait for a hook, and never will: something happens all the time, and not what is waited for`,
		`waits for a sleep, which ends in 1h, at failures_test.go:\d+`,
	}},
	"network": {isolated(func(t *testing.T, eng *workflowtest.Engine) {
		_, err := eng.HTTP().Get("https://example.com")
		t.Error(err)
	}), []string{`there is no network in a test, only app.test`}},
	"no webhook": {isolated(func(t *testing.T, eng *workflowtest.Engine) {
		eng.Hook(workflowtest.Start(eng, order, "")).PostJSON(1)
	}), []string{`failures_test.go:\d+: hook \S+ is not a webhook: it has no URL`}},
}

var ticking = workflow.Define("ticking", func(ctx workflow.Context, _ string) (string, error) {
	for {
		if err := workflow.Sleep(ctx, time.Hour); err != nil {
			return "", err
		}
	}
})

// starter starts a run in a step, each time that is executed.
var starter = workflow.Define("starter", func(ctx workflow.Context, _ string) (string, error) {
	return "", workflow.Do(ctx, "start", func(ctx context.Context) error {
		_, err := nap.Start(ctx, workflow.ClientFrom(ctx), 0)
		return err
	})
})

var order2 = workflow.Define("order2", func(ctx workflow.Context, _ string) (string, error) {
	hook, err := workflow.NewHook[string](ctx, workflow.Token("two"), workflow.Metadata(map[string]int{"a": 1}))
	if err != nil {
		return "", err
	}
	return hook.Wait(ctx)
})
