package inspect_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/tenter-dev/tenter/inspect"
	"github.com/tenter-dev/tenter/workflow"
)

var scenes = []struct {
	name string
	play func(*scene)
}{
	{"approval", approval},
	{"retries", retries},
	{"long step", longStep},
	{"deadline", deadline},
	{"conflict", conflict},
	{"adopted", adopted},
	{"closed", closed},
	{"children", children},
	{"sleeps", sleeps},
	{"canceled", canceled},
	{"terminated", terminated},
	{"retried", retriedRun},
	{"diverged", diverged},
	{"no worker", noWorker},
	{"stopped timers", stoppedTimers},
	{"patched", patched},
}

type decision struct{ Approved bool }

var approvals = workflow.DefineHook[decision]("approval")

// hookAfter has its hook after a step, so that its rows are one event apart.
func approval(s *scene) {
	s.work(workflow.Define("approve", func(ctx workflow.Context, doc string) (string, error) {
		hook, err := approvals.New(ctx, workflow.Token("approval:"+doc))
		if err != nil {
			return "", err
		}
		defer hook.Close()
		if err := workflow.Do(ctx, "ask", func(context.Context) error { return nil }); err != nil {
			return "", err
		}
		d, err := hook.Wait(ctx)
		if err != nil {
			return "", err
		}
		return workflow.Step(ctx, "publish", func(context.Context) (string, error) {
			return fmt.Sprint(d.Approved), nil
		})
	}))
	s.start("approve", "doc-7", `"doc-7"`)
	s.pass(3 * time.Hour)
	s.show("doc-7")
	s.resume("approval:doc-7", decision{true})
	s.pass(time.Minute)
	s.show("doc-7")
}

func retries(s *scene) {
	n := 0
	s.work(workflow.Define("pay", func(ctx workflow.Context, _ string) (int, error) {
		return workflow.Step(ctx, "charge", func(context.Context) (int, error) {
			if n++; n < 4 {
				return 0, workflow.RetryAfter(fmt.Errorf("bank says no %d", n), time.Duration(n)*time.Minute)
			}
			return n, nil
		})
	}))
	s.start("pay", "r", `""`)
	s.pass(90 * time.Second)
	s.show("r")
	s.pass(time.Hour)
	s.show("r")
}

func longStep(s *scene) {
	s.work(workflow.Define("long", func(ctx workflow.Context, _ string) (int, error) {
		return workflow.Step(ctx, "compute", func(ctx context.Context) (int, error) {
			if workflow.InfoOf(ctx).Attempt == 1 {
				return 0, workflow.RetryAfter(errors.New("no"), 10*time.Second)
			}
			time.Sleep(time.Minute) //nolint:forbidigo // fake time
			return 0, workflow.Fatal(errors.New("it cannot be done"))
		})
	}))
	s.start("long", "r", `""`)
	s.pass(30 * time.Second)
	s.show("r")
	s.pass(time.Minute)
	s.show("r")
}

func deadline(s *scene) {
	s.work(workflow.Define("wait", func(ctx workflow.Context, _ string) (string, error) {
		hook, err := workflow.NewHook[string](ctx)
		if err != nil {
			return "", err
		}
		within, cancel := workflow.WithTimeout(ctx, 24*time.Hour)
		defer cancel()
		for {
			_, err := hook.Wait(within)
			if errors.Is(err, context.DeadlineExceeded) {
				return "late", nil
			}
			if err != nil {
				return "", err
			}
		}
	}))
	s.start("wait", "r", `""`)
	s.pass(3 * time.Hour)
	hooks, err := s.eng.Hooks(s.Context(), inspect.HookFilter{RunID: "r"})
	s.must(err)
	s.resume(hooks[0].Token, "first")
	d := s.load("r")
	if got := d.Items[0].Name; got != hooks[0].Token {
		s.Errorf("the hook is called %q, want its token %q", got, hooks[0].Token)
	}
	s.pass(48 * time.Hour)
	s.show("r")
}

func conflict(s *scene) {
	s.work(workflow.Define("own", func(ctx workflow.Context, token string) (string, error) {
		hook, err := workflow.NewHook[string](ctx, workflow.Token(token))
		if err != nil {
			return "", err
		}
		return hook.Wait(ctx)
	}))
	s.start("own", "first", `"the token"`)
	s.pass(time.Second)
	s.start("own", "second", `"the token"`)
	s.pass(time.Minute)
	s.show("second")
}

func adopted(s *scene) {
	bot := workflow.Define("bot", func(ctx workflow.Context, channel string) (string, error) {
		if err := workflow.Sleep(ctx, time.Minute); err != nil {
			return "", err
		}
		hook, err := workflow.NewHook[string](ctx, workflow.Token("bot:"+channel))
		if err != nil {
			return "", err
		}
		var all strings.Builder
		for msg, err := range hook.All(ctx) {
			if err != nil {
				return "", err
			}
			all.WriteString(msg)
		}
		return all.String(), nil
	})
	s.work(bot)
	for _, msg := range []string{"a", "b"} {
		s.resume("bot:c", msg, workflow.OrStart(bot, "c", workflow.RunID("bot")))
		s.pass(time.Second)
	}
	s.show("bot")
	s.pass(time.Hour)
	s.show("bot")
}

// closed has its mail in the journal only, as a hook is drained.
func closed(s *scene) {
	s.work(workflow.Define("drain", func(ctx workflow.Context, _ string) (int, error) {
		hook, err := workflow.NewHook[string](ctx, workflow.Token("lines"))
		if err != nil {
			return 0, err
		}
		n := 0
		for msg, err := range hook.All(ctx) {
			if err != nil {
				return 0, err
			}
			if n++; msg == "/stop" {
				hook.Close()
			}
		}
		return n, workflow.Sleep(ctx, time.Hour)
	}))
	s.start("drain", "r", `""`)
	for _, msg := range []string{"one", "/stop"} {
		s.pass(time.Second)
		s.resume("lines", msg)
	}
	s.pass(time.Minute)
	s.show("r")
}

func children(s *scene) {
	child := workflow.Declare[string, string]("child")
	s.work(
		child.Implement(func(ctx workflow.Context, in string) (string, error) {
			switch in {
			case "fail":
				return "", errors.New("no such thing")
			case "wait":
				hook, err := workflow.NewHook[string](ctx, workflow.Token("child"))
				if err != nil {
					return "", err
				}
				return hook.Wait(ctx)
			}
			return in, nil
		}),
		workflow.Define("parent", func(ctx workflow.Context, _ string) (string, error) {
			if _, err := child.Call(ctx, "good"); err != nil {
				return "", err
			}
			if _, err := child.Call(ctx, "fail"); err == nil {
				return "", errors.New("a child did not fail")
			}
			if _, err := child.Call(ctx, "taken", workflow.RunID("p")); err == nil {
				return "", errors.New("an ID was taken twice")
			}
			return child.Call(ctx, "wait", workflow.RunID("child 1 run x"))
		}),
	)
	s.start("parent", "p", `""`)
	s.pass(time.Minute)
	s.show("p")
	s.resume("child", "done")
	s.pass(time.Minute)
	s.show("p")
}

func sleeps(s *scene) {
	s.work(workflow.Define("sleep", func(ctx workflow.Context, _ string) (string, error) {
		if err := workflow.Sleep(ctx, time.Minute); err != nil {
			return "", err
		}
		if err := workflow.Sleep(ctx, 400*24*time.Hour); err != nil {
			return "", err
		}
		return "", workflow.Sleep(ctx, 36*time.Hour)
	}))
	s.start("sleep", "r", `""`)
	s.pass(time.Hour)
	s.show("r")
	s.must(s.eng.WakeRun(s.Context(), "r"))
	s.show("r")
}

func canceled(s *scene) {
	s.work(workflow.Define("cancel", func(ctx workflow.Context, _ string) (string, error) {
		hook, err := workflow.NewHook[string](ctx, workflow.Token("cancel"))
		if err != nil {
			return "", err
		}
		within, stop := workflow.WithTimeout(ctx, 24*time.Hour)
		defer stop()
		if _, err := hook.Wait(within); err != nil {
			clean := workflow.WithoutCancel(ctx)
			if err := workflow.Sleep(clean, time.Hour); err != nil {
				return "", err
			}
			return "", err
		}
		return "", nil
	}))
	s.start("cancel", "r", `""`)
	s.pass(time.Minute)
	s.must(s.eng.CancelRun(s.Context(), "r"))
	s.pass(time.Minute)
	s.show("r")
	s.pass(48 * time.Hour)
	s.show("r")
}

// patched takes a patch for what comes after its hook, and has passed another one.
func patched(s *scene) {
	build := func(patched func(ctx workflow.Context, id string) bool) workflow.Definition {
		return workflow.Define("patched", func(ctx workflow.Context, _ string) (string, error) {
			if patched(ctx, "fraud check") {
				return "", errors.New("it takes what it had passed")
			}
			hook, err := workflow.NewHook[string](ctx, workflow.Token("patched"))
			if err != nil {
				return "", err
			}
			if _, err := hook.Wait(ctx); err != nil || !patched(ctx, "receipt") {
				return "", err
			}
			return "", workflow.Do(ctx, "receipt", func(context.Context) error { return nil })
		})
	}
	s.work(build(func(workflow.Context, string) bool { return false }))
	s.start("patched", "r", `""`)
	s.pass(time.Minute)
	s.work(build(workflow.Patched))
	s.resume("patched", "go")
	s.pass(time.Minute)
	s.show("r")
}

func terminated(s *scene) {
	s.work(workflow.Define("forever", func(ctx workflow.Context, _ string) (string, error) {
		hook, err := workflow.NewHook[string](ctx, workflow.Token("forever"))
		if err != nil {
			return "", err
		}
		if err := workflow.Sleep(ctx, time.Hour); err != nil {
			return "", err
		}
		return hook.Wait(ctx)
	}))
	s.start("forever", "r", `""`)
	s.resume("forever", "hello")
	s.pass(time.Minute)
	s.must(s.eng.TerminateRun(s.Context(), "r", "enough"))
	s.pass(time.Minute)
	s.show("r")
}

func retriedRun(s *scene) {
	broken := true
	s.work(workflow.Define("mend", func(ctx workflow.Context, _ string) (string, error) {
		return workflow.Step(ctx, "charge", func(context.Context) (string, error) {
			if broken {
				return "", workflow.RetryAfter(errors.New("broken"), time.Minute)
			}
			return "mended", nil
		}, workflow.MaxAttempts(3))
	}))
	s.start("mend", "r", `""`)
	s.pass(time.Hour)
	s.show("r")
	broken = false
	s.must(s.eng.RetryRun(s.Context(), "r"))
	s.pass(time.Minute)
	s.show("r")
}

func diverged(s *scene) {
	define := func(step string) workflow.Definition {
		return workflow.Define("diverge", func(ctx workflow.Context, _ string) (string, error) {
			hook, err := workflow.NewHook[string](ctx, workflow.Token("diverge"))
			if err != nil {
				return "", err
			}
			if err := workflow.Do(ctx, step, func(context.Context) error { return nil }); err != nil {
				return "", err
			}
			return hook.Wait(ctx)
		})
	}
	s.work(define("before"))
	s.start("diverge", "r", `""`)
	s.pass(time.Minute)
	s.work(define("after"))
	s.resume("diverge", "hello")
	s.pass(time.Minute)
	d := s.load("r")
	w := d.Waits[0]
	if d.Run.Reason == "" || w.Code != inspect.WaitBlocked || w.Reason != d.Run.ReasonCode || w.Advice != inspect.Advice(d.Run.ReasonCode) {
		s.Errorf("blocked for %q (%s): %+v", d.Run.Reason, d.Run.ReasonCode, w)
	}
	s.work(define("before"))
	s.pass(time.Minute)
	s.show("r")
}

func noWorker(s *scene) {
	w := workflow.Define("alone", func(ctx workflow.Context, _ string) (string, error) {
		hook, err := workflow.NewHook[string](ctx, workflow.Token("alone"))
		if err != nil {
			return "", err
		}
		return hook.Wait(ctx)
	})
	s.work(w)
	s.start("alone", "r", `""`)
	s.stop()
	s.stop = func() {}
	s.eng = newClient(s)
	s.pass(time.Hour)
	s.resume("alone", "hello")
	s.start("alone", "unbegun", `""`)
	s.pass(time.Minute)
	s.show("r")
	s.show("unbegun")
}

func stoppedTimers(s *scene) {
	s.work(workflow.Define("select", func(ctx workflow.Context, _ string) (string, error) {
		hook, err := workflow.NewHook[string](ctx, workflow.Token("select"))
		if err != nil {
			return "", err
		}
		for range 3 {
			err := workflow.Select(ctx,
				workflow.OnPayload(hook, func(string) error { return nil }),
				workflow.OnTimer(time.Hour, func() error { return nil }),
			)
			if err != nil {
				return "", err
			}
		}
		return hook.Wait(ctx)
	}))
	s.start("select", "r", `""`)
	s.pass(time.Minute)
	s.resume("select", "one")
	s.pass(2 * time.Hour)
	s.show("r")
	s.pass(time.Minute)
	s.resume("select", "two")
	s.show("r")
}
