package engine_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"zombiezen.com/go/sqlite"

	"github.com/tenter-dev/tenter/workflow"
)

// goldenHook is a defined hook type.
var goldenHook = workflow.DefineHook[map[string]bool]("golden")

// goldenTopic is a topic, whose name has a space.
var goldenTopic = workflow.DefineTopic[string]("golden topic")

// goldenCall is a defined call.
var goldenCall = workflow.DefineCall[int, string]("golden call")

// errGolden is a defined error.
var errGolden = workflow.DefineError("golden: declined")

// constructs are those that workflow code can use. One that is added gets its golden
// journal with -update.
var constructs = []construct{
	{
		name: "steps",
		define: func(*stage) []workflow.Definition {
			return defs(workflow.Define("steps", func(ctx workflow.Context, in string) ([]string, error) {
				a := said(workflow.Step(ctx, "charge", func(context.Context) (string, error) { return "paid " + in, nil }))
				b := said(workflow.Step(ctx, "charge", func(ctx context.Context) (string, error) { return workflow.InfoOf(ctx).StepID, nil }))
				c := said(waitFor(ctx, "steps"))
				d := said("", workflow.Do(ctx, "send a mail", func(context.Context) error { return nil }))
				return []string{a, b, c, d}, nil
			}))
		},
		begin:  func(w *stage) { w.start("steps", "steps", `"in"`) },
		finish: func(w *stage) { w.resume("steps", "go on") },
	},
	{
		name:   "topics",
		schema: 3,
		define: func(*stage) []workflow.Definition {
			return defs(workflow.Define("topics", func(ctx workflow.Context, in string) ([]string, error) {
				h, err := goldenTopic.Listen(ctx, in)
				if err != nil {
					return nil, err
				}
				chosen, err := goldenTopic.Listen(ctx, "other subject", workflow.Token("chosen"))
				if err != nil {
					return nil, err
				}
				_, err = goldenTopic.Listen(ctx, in)
				a := said(h.Wait(ctx))
				b := said(chosen.Wait(ctx))
				h.Close()
				c := said(h.Wait(ctx))
				return []string{h.Token(), fmt.Sprint(err), a, b, c}, nil
			}))
		},
		begin: func(w *stage) { w.start("topics", "topics", `"a subject"`) },
		finish: func(w *stage) {
			w.publish("a subject", "first")
			w.publish("other subject", "second")
		},
	},
	{
		name: "retries",
		define: func(w *stage) []workflow.Definition {
			return defs(workflow.Define("retries", func(ctx workflow.Context, _ string) ([]string, error) {
				a := said(workflow.Step(ctx, "third time", func(ctx context.Context) (int, error) {
					n := workflow.InfoOf(ctx).Attempt
					if n < 3 {
						return 0, workflow.RetryAfter(fmt.Errorf("attempt %d: %w", n, errGolden), w.again)
					}
					return n, nil
				}))
				_, err := workflow.Step(ctx, "never", func(context.Context) (int, error) {
					return 0, workflow.RetryAfter(errGolden, w.again)
				}, workflow.MaxAttempts(2))
				step, ok := errors.AsType[*workflow.StepError](err)
				if !ok {
					return nil, errors.New("it is not a StepError")
				}
				return []string{a, step.Step, fmt.Sprint(step.Attempts, errors.Is(err, errGolden))}, nil
			}))
		},
		begin:  func(w *stage) { w.start("retries", "retries", "null") },
		finish: func(w *stage) { w.pass(3 * time.Minute) },
	},
	{
		name: "failure",
		define: func(*stage) []workflow.Definition {
			return defs(workflow.Define("failure", func(ctx workflow.Context, _ string) (string, error) {
				err := workflow.Do(ctx, "fatal", func(context.Context) error { return workflow.Fatal(errGolden) })
				if !errors.Is(err, errGolden) {
					return "", err
				}
				panics := workflow.Do(ctx, "panics", func(context.Context) error { panic("boom") }, workflow.MaxAttempts(1))
				if _, ok := errors.AsType[*workflow.PanicError](panics); !ok {
					return "", panics
				}
				if _, err := waitFor(ctx, "failure"); err != nil {
					return "", err
				}
				return "", goldenError{err}
			}))
		},
		begin:  func(w *stage) { w.start("failure", "failure", "null") },
		finish: func(w *stage) { w.resume("failure", "") },
	},
	{
		name: "hooks",
		define: func(*stage) []workflow.Definition {
			return defs(workflow.Define("hooks", func(ctx workflow.Context, _ string) ([]string, error) {
				var hooks []*workflow.Hook[string]
				for _, token := range []string{"hooks: a token", "hooks: a token ", "hooks: a", "hooks: a token 1#2 run"} {
					h, err := workflow.NewHook[string](ctx, workflow.Token(token), workflow.Metadata(token))
					if err != nil {
						return nil, err
					}
					hooks = append(hooks, h)
				}
				for range 2 {
					h, err := workflow.NewHook[string](ctx)
					if err != nil {
						return nil, err
					}
					hooks = append(hooks, h)
				}
				typed, err := goldenHook.New(ctx, workflow.Token("hooks: typed"))
				if err != nil {
					return nil, err
				}
				var got []string
				for _, h := range hooks {
					got = append(got, h.ID(), h.Token(), said(h.Wait(ctx)), said(h.Wait(ctx)))
					h.Close()
				}
				return append(got, said(typed.Wait(ctx))), nil
			}))
		},
		begin: func(w *stage) {
			w.start("hooks", "hooks", "null")
			w.resume("hooks: a token", "1")
		},
		finish: func(w *stage) {
			w.resume("hooks: a", "of another hook")
			w.resume("hooks: a", "its second one")
			w.resume("hooks: a token", "2")
			for _, token := range []string{"hooks: a token ", "hooks: a token 1#2 run", w.generated("hooks", 5), w.generated("hooks", 6)} {
				w.resume(token, "first")
				w.resume(token, "second")
			}
			w.resume("hooks: typed", map[string]bool{"approved": true})
		},
	},
	{
		name: "reserved",
		define: func(*stage) []workflow.Definition {
			return defs(reservedFlow)
		},
		begin: func(w *stage) {
			w.resume("reserved", "first", workflow.OrStart(reservedFlow, "in", workflow.RunID("reserved")))
			w.resume("reserved", "second", workflow.OrStart(reservedFlow, "in", workflow.RunID("reserved too")), workflow.IdempotencyKey("k"))
		},
		finish: func(w *stage) { w.resume("reserved: go", "on") },
	},
	{
		name: "conflict", runs: []string{"conflict-owner"},
		define: func(*stage) []workflow.Definition {
			return defs(workflow.Define("conflict", func(ctx workflow.Context, _ string) ([]string, error) {
				claim := func(token string) string {
					_, err := workflow.NewHook[string](ctx, workflow.Token(token))
					conflict, ok := errors.AsType[*workflow.HookConflictError](err)
					if !ok {
						return said("claimed", err)
					}
					return conflict.RunID + " " + conflict.HookID
				}
				a, b, c := claim("conflict: another's"), claim("conflict: own"), claim("conflict: own")
				return []string{a, b, c, said(waitFor(ctx, "conflict"))}, nil
			}), workflow.Define("conflict-owner", func(ctx workflow.Context, _ string) (string, error) {
				return waitFor(ctx, "conflict: another's")
			}))
		},
		begin: func(w *stage) {
			w.start("conflict-owner", "conflict-owner", "null")
			w.start("conflict", "conflict", "null")
		},
		finish: func(w *stage) {
			w.resume("conflict: another's", "x")
			w.resume("conflict", "x")
		},
	},
	{
		name: "drain",
		define: func(*stage) []workflow.Definition {
			return defs(workflow.Define("drain", func(ctx workflow.Context, _ string) ([]string, error) {
				hook, err := workflow.NewHook[string](ctx, workflow.Token("drain"))
				if err != nil {
					return nil, err
				}
				empty, err := workflow.NewHook[string](ctx, workflow.Token("drain: empty"))
				if err != nil {
					return nil, err
				}
				if err := workflow.Sleep(ctx, time.Minute); err != nil {
					return nil, err
				}
				hook.Close()
				empty.Close()
				var got []string
				for v, err := range hook.All(ctx) {
					got = append(got, said(v, err))
				}
				return append(got, said(empty.Wait(ctx))), nil
			}))
		},
		begin: func(w *stage) {
			w.start("drain", "drain", "null")
			for _, payload := range []string{"a", "b", "c"} {
				w.resume("drain", payload)
			}
		},
		finish: func(w *stage) { w.pass(2 * time.Minute) },
	},
	{
		name: "backlog",
		define: func(*stage) []workflow.Definition {
			return defs(workflow.Define("backlog", func(ctx workflow.Context, _ string) ([]string, error) {
				left, err := workflow.NewHook[string](ctx, workflow.Token("backlog: left"))
				if err != nil {
					return nil, err
				}
				right, err := workflow.NewHook[string](ctx, workflow.Token("backlog: right"))
				if err != nil {
					return nil, err
				}
				if err := workflow.Sleep(ctx, time.Minute); err != nil {
					return nil, err
				}
				var got []string
				take := func(v string) error { got = append(got, v); return nil }
				for more := true; more; {
					err := workflow.Select(ctx, workflow.OnPayload(left, take), workflow.OnPayload(right, take),
						workflow.OnTimer(0, func() error { more = false; return nil }))
					if err != nil {
						return nil, err
					}
				}
				return append(got, said(right.Wait(ctx))), nil
			}))
		},
		begin: func(w *stage) {
			w.start("backlog", "backlog", "null")
			for _, payload := range []string{"1", "2", "3"} {
				w.resume("backlog: left", "left "+payload)
				w.resume("backlog: right", "right "+payload)
			}
		},
		finish: func(w *stage) {
			w.pass(2 * time.Minute)
			w.resume("backlog: right", "last")
		},
	},
	{
		name: "timers",
		define: func(*stage) []workflow.Definition {
			return defs(workflow.Define("timers", func(ctx workflow.Context, _ string) (string, error) {
				began := workflow.Now(ctx)
				if err := workflow.Sleep(ctx, 90*time.Second+time.Microsecond); err != nil {
					return "", err
				}
				slept := workflow.Now(ctx).Sub(began)
				if err := workflow.SleepUntil(ctx, began.Add(-time.Minute)); err != nil { // costs nothing
					return "", err
				}
				if err := workflow.SleepUntil(ctx, began.Add(5*time.Minute)); err != nil {
					return "", err
				}
				return fmt.Sprint(slept), nil
			}))
		},
		begin:  func(w *stage) { w.start("timers", "timers", "null") },
		finish: func(w *stage) { w.pass(6 * time.Minute) },
	},
	{
		name: "wake",
		define: func(*stage) []workflow.Definition {
			return defs(workflow.Define("wake", func(ctx workflow.Context, _ string) (string, error) {
				if _, err := waitFor(ctx, "wake"); err != nil {
					return "", err
				}
				f := workflow.Go(ctx, func(ctx workflow.Context) (string, error) {
					return "slept", workflow.SleepUntil(ctx, time.Date(2999, 1, 1, 0, 0, 0, 0, time.UTC))
				})
				if err := workflow.SleepUntil(ctx, time.Date(2998, 1, 1, 0, 0, 0, 0, time.UTC)); err != nil {
					return "", err
				}
				return f.Wait(ctx)
			}))
		},
		begin: func(w *stage) {
			w.start("wake", "wake", "null")
			w.resume("wake", "")
		},
		finish: func(w *stage) {
			if err := w.eng.WakeRun(w.Context(), "wake"); err != nil {
				w.Fatal(err)
			}
		},
	},
	{
		name: "deadlines",
		define: func(*stage) []workflow.Definition {
			return defs(workflow.Define("deadlines", func(ctx workflow.Context, _ string) ([]string, error) {
				hook, err := workflow.NewHook[string](ctx, workflow.Token("deadlines"))
				if err != nil {
					return nil, err
				}
				early, cancel := workflow.WithTimeout(ctx, 24*time.Minute)
				a := said(hook.Wait(early))
				cancel()
				late, cancel := workflow.WithTimeout(ctx, time.Minute)
				defer cancel()
				b := said(hook.Wait(late))
				inner, cancel := workflow.WithDeadline(late, workflow.Now(ctx).Add(time.Minute))
				defer cancel()
				c := said(workflow.Step(inner, "too late", func(context.Context) (string, error) { return "done", nil }))
				return []string{a, b, c}, nil
			}))
		},
		begin: func(w *stage) {
			w.start("deadlines", "deadlines", "null")
			w.resume("deadlines", "in time")
		},
		finish: func(w *stage) { w.pass(2 * time.Minute) },
	},
	{
		name: "select",
		define: func(*stage) []workflow.Definition {
			return defs(workflow.Define("select", func(ctx workflow.Context, _ string) ([]string, error) {
				hook, err := workflow.NewHook[string](ctx, workflow.Token("select"))
				if err != nil {
					return nil, err
				}
				branch := workflow.Go(ctx, func(ctx workflow.Context) (string, error) {
					return waitFor(ctx, "select: branch")
				})
				var got []string
				take := func(v string) error { got = append(got, v); return nil }
				for range 3 {
					err := workflow.Select(ctx,
						workflow.OnPayload(hook, take),
						workflow.OnDone(branch, func(v string, err error) error { got = append(got, said(v, err)); return nil }),
						workflow.OnTimer(time.Minute, func() error { got = append(got, "late"); return nil }))
					if err != nil {
						return nil, err
					}
				}
				return got, nil
			}))
		},
		begin: func(w *stage) {
			w.start("select", "select", "null")
			w.resume("select", "payload")
		},
		finish: func(w *stage) { w.pass(3 * time.Minute) },
	},
	{
		name: "branches",
		define: func(*stage) []workflow.Definition {
			return defs(workflow.Define("branches", func(ctx workflow.Context, _ string) ([]string, error) {
				one := func(token string) func(workflow.Context) (string, error) {
					return func(ctx workflow.Context) (string, error) { return waitFor(ctx, "branches: "+token) }
				}
				all, err := workflow.All(ctx, one("a"), one("b"))
				if err != nil {
					return nil, err
				}
				i, first, err := workflow.First(ctx, one("c"), one("d"))
				return append(all, fmt.Sprint(i), said(first, err)), nil
			}))
		},
		begin: func(w *stage) {
			w.start("branches", "branches", "null")
			w.resume("branches: b", "B")
		},
		finish: func(w *stage) {
			w.resume("branches: a", "A")
			w.resume("branches: d", "D")
		},
	},
	{
		name: "children", runs: []string{"children.child.1", "children own"},
		define: func(*stage) []workflow.Definition {
			child := workflow.Define("child", func(ctx workflow.Context, in string) (string, error) {
				v, err := waitFor(ctx, "children: "+in)
				if v == "fail" {
					return "", errGolden
				}
				return v, err
			})
			return defs(workflow.Define("children", func(ctx workflow.Context, _ string) ([]string, error) {
				a := child.Go(ctx, "a")
				b := child.Go(ctx, "b", workflow.RunID("children own"))
				_, err := child.Go(ctx, "c", workflow.RunID("children own")).Wait(ctx)
				taken, ok := errors.AsType[*workflow.RunExistsError](err)
				if !ok {
					return nil, err
				}
				_, failed := b.Wait(ctx)
				return []string{said(a.Wait(ctx)), fmt.Sprint(errors.Is(failed, errGolden)), taken.RunID}, nil
			}), child)
		},
		begin: func(w *stage) {
			w.start("children", "children", "null")
			w.resume("children: a", "A")
		},
		finish: func(w *stage) { w.resume("children: b", "fail") },
	},
	{
		name: "webhooks",
		define: func(*stage) []workflow.Definition {
			return defs(workflow.Define("webhooks", func(ctx workflow.Context, _ string) ([]string, error) {
				static, err := workflow.NewWebhook(ctx, workflow.RespondWith(workflow.Text(http.StatusTeapot, "short and stout")), workflow.Methods("POST"))
				if err != nil {
					return nil, err
				}
				manual, err := workflow.NewWebhook(ctx, workflow.RespondManually(), workflow.DedupeHeader("X-Delivery"))
				if err != nil {
					return nil, err
				}
				first, err := static.Wait(ctx)
				if err != nil {
					return nil, err
				}
				got := []string{static.URL(), manual.URL(), string(first.Body)}
				for n := range 2 {
					r, err := manual.Wait(ctx)
					if err != nil {
						return nil, err
					}
					answer := workflow.JSON(http.StatusOK, map[string]string{"got": string(r.Body)})
					if n == 0 {
						err = r.Respond(ctx, answer)
					} else {
						err = workflow.Do(ctx, "respond", func(ctx context.Context) error { return r.Respond(ctx, answer) })
					}
					again := r.Respond(ctx, workflow.Text(http.StatusOK, "again"))
					got = append(got, string(r.Body), said("responded", err), fmt.Sprint(errors.Is(again, workflow.ErrAlreadyResponded)))
				}
				return got, nil
			}))
		},
		begin: func(w *stage) {
			w.start("webhooks", "webhooks", "null")
			if got := w.request("webhooks", 1, "one"); got != "short and stout" {
				w.Errorf("the static answer is %q", got)
			}
		},
		finish: func(w *stage) {
			for _, body := range []string{"two", "three\nlines"} {
				if got := w.request("webhooks", 2, body); !strings.Contains(got, `"got"`) {
					w.Errorf("the answer is %q", got)
				}
			}
		},
	},
	{
		name: "calls", schema: 3,
		define: func(*stage) []workflow.Definition {
			return defs(workflow.Define("calls", func(ctx workflow.Context, _ string) ([]string, error) {
				calls, err := goldenCall.Open(ctx, workflow.Named("calls"))
				if err != nil {
					return nil, err
				}
				var got []string
				for n := 0; n < 4; {
					err := workflow.Select(ctx, workflow.OnCall(calls, func(c *workflow.Call[int, string]) error {
						n++
						switch c.Input {
						case 1:
							got = append(got, said("refused", c.Refuse(ctx, errGolden)))
						case 2:
							got = append(got, said("in a step", workflow.Do(ctx, "answer", func(ctx context.Context) error { return c.Return(ctx, "two") })))
						default:
							got = append(got, said("at once", c.Return(ctx, fmt.Sprint(c.Input))))
						}
						return nil
					}))
					if bad, ok := errors.AsType[*workflow.PayloadError](err); ok {
						n++
						got = append(got, bad.Err.Error())
					} else if err != nil {
						return nil, err
					}
				}
				return got, nil
			}))
		},
		begin: func(w *stage) {
			w.start("calls", "calls", "null")
			if got := w.call("calls", "0"); got != `"0"` {
				w.Errorf("the answer is %q", got)
			}
		},
		finish: func(w *stage) {
			for _, c := range [][2]string{{"1", "declined"}, {"2", "two"}, {`"x"`, "payload for token"}} {
				if got := w.call("calls", c[0]); !strings.Contains(got, c[1]) {
					w.Errorf("the answer to %s is %q", c[0], got)
				}
			}
		},
	},
	{
		name: "txstep",
		define: func(w *stage) []workflow.Definition {
			return defs(workflow.Define("txstep", func(ctx workflow.Context, _ string) ([]string, error) {
				a := said(workflow.TxStep(ctx, "pay", w.db, func(_ context.Context, c *sqlite.Conn) (string, error) {
					return "receipt", pay(c, "rent")
				}))
				return []string{a, said(waitFor(ctx, "txstep"))}, nil
			}))
		},
		begin:  func(w *stage) { w.start("txstep", "txstep", "null") },
		finish: func(w *stage) { w.resume("txstep", "end") },
	},
	{
		name: "cancel",
		define: func(*stage) []workflow.Definition {
			return defs(workflow.Define("cancel", func(ctx workflow.Context, _ string) (string, error) {
				late, cancel := workflow.WithDeadline(ctx, time.Date(2999, 1, 1, 0, 0, 0, 0, time.UTC))
				defer cancel()
				_, err := waitFor(late, "cancel")
				clean := workflow.WithoutCancel(ctx)
				if err := workflow.Do(clean, "clean up", func(context.Context) error { return nil }); err != nil {
					return "", err
				}
				if _, err := waitFor(clean, "cancel: cleaned"); err != nil {
					return "", err
				}
				return "", err
			}))
		},
		begin: func(w *stage) {
			w.start("cancel", "cancel", "null")
			if err := w.eng.CancelRun(w.Context(), "cancel"); err != nil {
				w.Fatal(err)
			}
			w.rest()
		},
		finish: func(w *stage) { w.resume("cancel: cleaned", "yes") },
	},
	{
		name: "terminate",
		define: func(*stage) []workflow.Definition {
			return defs(workflow.Define("terminate", func(ctx workflow.Context, _ string) (string, error) {
				return waitFor(ctx, "terminate")
			}))
		},
		begin: func(w *stage) { w.start("terminate", "terminate", "null") },
		finish: func(w *stage) {
			if err := w.eng.TerminateRun(w.Context(), "terminate", "of no use"); err != nil {
				w.Fatal(err)
			}
		},
	},
	{
		name: "retry",
		define: func(w *stage) []workflow.Definition {
			return defs(workflow.Define("retry", func(ctx workflow.Context, _ string) (string, error) {
				hook, err := workflow.NewHook[string](ctx, workflow.Token("retry"))
				if err != nil {
					return "", err
				}
				err = workflow.Do(ctx, "ship", func(context.Context) error {
					if !w.mended {
						return workflow.Fatal(errors.New("no carrier"))
					}
					return nil
				})
				if err != nil {
					return "", err
				}
				return hook.Wait(ctx)
			}))
		},
		begin: func(w *stage) { w.start("retry", "retry", "null") },
		finish: func(w *stage) {
			if err := w.eng.RetryRun(w.Context(), "retry"); err != nil {
				w.Fatal(err)
			}
			w.rest()
			w.resume("retry", "shipped")
		},
	},
	{
		name:   "versions",
		define: func(*stage) []workflow.Definition { return defs(goldenVersion(3), goldenVersion(2)) },
		old:    func(*stage) []workflow.Definition { return defs(goldenVersion(2)) },
		begin:  func(w *stage) { w.start("versions", "versions", "null") },
		finish: func(w *stage) { w.resume("versions: 2", "end") },
	},
	{
		name: "patched", schema: 3,
		define: func(*stage) []workflow.Definition {
			return defs(workflow.Define("patched", func(ctx workflow.Context, _ string) (got []string, err error) {
				patched := func(id string) { got = append(got, fmt.Sprint(id, " ", workflow.Patched(ctx, id))) }
				patched("before")
				got = append(got, said(waitFor(ctx, "patched: go")))
				for range 2 {
					patched("after")
					patched("before")
				}
				return append(got, said(waitFor(ctx, "patched: end"))), nil
			}))
		},
		begin: func(w *stage) { w.start("patched", "patched", "null") },
		finish: func(w *stage) {
			w.resume("patched: go", "")
			w.resume("patched: end", "")
		},
	},
	{
		name: "restarts", schema: 3,
		define: func(*stage) []workflow.Definition {
			child := workflow.Define("restarts child", func(ctx workflow.Context, _ string) (string, error) {
				return workflow.InfoOf(ctx).RunID, nil
			})
			w := workflow.Declare[[]string, []string]("restarts")
			return defs(w.Implement(func(ctx workflow.Context, got []string) ([]string, error) {
				carried, err := workflow.NewHook[string](ctx, workflow.Token("restarts: carried"))
				if err != nil {
					return nil, err
				}
				named, err := workflow.NewHook[string](ctx, workflow.Named("restarts: named"))
				if err != nil {
					return nil, err
				}
				generated, err := workflow.NewHook[string](ctx)
				if err != nil {
					return nil, err
				}
				got = append(got, named.Token(), generated.Token(), workflow.NewID(ctx), fmt.Sprint(workflow.Rand(ctx).IntN(1000)))
				got = append(got, said(workflow.Step(ctx, "step", func(ctx context.Context) (string, error) { return workflow.InfoOf(ctx).StepID, nil })))
				got = append(got, said(child.Call(ctx, "")), said(carried.Wait(ctx)))
				info := workflow.InfoOf(ctx)
				got = append(got, fmt.Sprint("generation ", info.Generation, ", event ", info.Events, ", due ", workflow.RestartDue(ctx)))
				if info.Generation == 2 {
					return got, nil
				}
				return w.Restart(ctx, got)
			}), child)
		},
		begin: func(w *stage) {
			w.start("restarts", "restarts", "null")
			w.resume("restarts: carried", "first")
		},
		finish: func(w *stage) {
			w.resume("restarts: carried", "second")
			w.resume("restarts: carried", "third")
		},
	},
	{
		name: "awaits", schema: 3,
		define: func(*stage) []workflow.Definition {
			target := workflow.Define("awaits target", func(ctx workflow.Context, in string) (string, error) {
				if in == "" {
					return "", errGolden
				}
				return waitFor(ctx, in)
			})
			ring := workflow.Define("awaits ring", func(ctx workflow.Context, _ string) (string, error) {
				return workflow.Await[string](ctx, "awaits").Wait(ctx)
			})
			return defs(workflow.Define("awaits", func(ctx workflow.Context, _ string) ([]string, error) {
				var got []string
				for _, id := range []string{"awaits 2 run target", "awaits failed", "awaits nothing", "awaits", "awaits ring"} {
					if id == "awaits ring" {
						got = append(got, said(waitFor(ctx, "awaits: ring")))
					}
					got = append(got, said(workflow.Await[string](ctx, id).Wait(ctx)))
				}
				short, cancel := workflow.WithCancel(ctx)
				left := workflow.Await[string](short, "awaits later")
				cancel()
				later := workflow.Await[string](ctx, "awaits later")
				return append(got, said(left.Wait(ctx)), said(later.Wait(ctx)), said(later.Wait(ctx))), nil
			}), target, ring)
		},
		begin: func(w *stage) {
			w.start("awaits 2 run target", "awaits target", `"awaits: ended"`)
			w.resume("awaits: ended", "result")
			w.start("awaits failed", "awaits target", `""`)
			w.start("awaits later", "awaits target", `"awaits: later"`)
			w.start("awaits", "awaits", "null")
			w.start("awaits ring", "awaits ring", "null")
			w.resume("awaits: ring", "on")
		},
		finish: func(w *stage) { w.resume("awaits: later", "in the end") },
	},
	{
		name: "forks", runs: []string{"forks again"}, schema: 3,
		define: func(*stage) []workflow.Definition {
			child := workflow.Define("forks child", func(ctx workflow.Context, _ string) (string, error) {
				id := workflow.InfoOf(ctx).RunID
				return waitFor(ctx, "forks: "+id)
			})
			return defs(workflow.Define("forks", func(ctx workflow.Context, _ string) ([]string, error) {
				named, err := workflow.NewHook[string](ctx, workflow.Named("forks: named"))
				if err != nil {
					return nil, err
				}
				generated, err := workflow.NewHook[string](ctx)
				if err != nil {
					return nil, err
				}
				var got []string
				derived := func() {
					got = append(got, workflow.InfoOf(ctx).RunID, workflow.NewID(ctx), fmt.Sprint(workflow.Rand(ctx).IntN(1000)))
				}
				step := func(name string) {
					got = append(got, said(workflow.Step(ctx, name, func(ctx context.Context) (string, error) { return workflow.InfoOf(ctx).StepID, nil })))
				}
				derived()
				step("charge")
				got = append(got, said(generated.Wait(ctx)))
				pending := child.Go(ctx, "")
				step("ship")
				derived()
				got = append(got, said(generated.Wait(ctx)), said(pending.Wait(ctx)), said(named.Wait(ctx)))
				return append(got, named.Token(), generated.Token()), nil
			}), child)
		},
		begin: func(w *stage) {
			w.start("forks", "forks", "null")
			w.resume(w.generated("forks", 2), "of both")
		},
		finish: func(w *stage) {
			const fork = "forks again"
			if err := w.eng.ForkWithSecret(w.Context(), workflow.ForkRequest{RunID: "forks", Step: "ship#1", ForkID: fork}, goldenSecret(fork)); err != nil {
				w.Fatal(err)
			}
			w.rest()
			for _, id := range []string{"forks", fork} {
				w.resume(w.token(id, "forks.h2"), "of "+id)
				w.resume("forks: "+id+".forks child.1", "child of "+id)
				w.resume(w.token(id, "forks.h1"), "named of "+id)
			}
		},
	},
	{
		name: "links", schema: 3,
		define: func(*stage) []workflow.Definition {
			return defs(workflow.Define("links", func(ctx workflow.Context, _ string) ([]string, error) {
				first, err := goldenHook.New(ctx, workflow.Token("links: first"))
				if err != nil {
					return nil, err
				}
				hook, err := goldenHook.New(ctx)
				if err != nil {
					return nil, err
				}
				for range 2 {
					link, err := workflow.AnswerLink(ctx, hook, workflow.Addressee("ada"), workflow.ExpiresIn(time.Hour))
					if err != nil {
						return nil, err
					}
					defer link.Revoke()
				}
				yes, err := first.Wait(ctx)
				return []string{fmt.Sprint(yes)}, err
			}))
		},
		begin:  func(w *stage) { w.start("links", "links", "null") },
		finish: func(w *stage) { w.resume("links: first", map[string]bool{"yes": true}) },
	},
	{
		name: "values",
		define: func(*stage) []workflow.Definition {
			return defs(workflow.Define("values", func(ctx workflow.Context, _ string) ([]string, error) {
				var got []string
				for range 2 {
					r := workflow.Rand(ctx)
					hook, err := workflow.NewHook[string](ctx)
					if err != nil {
						return nil, err
					}
					got = append(got, workflow.Now(ctx).Format(time.RFC3339Nano), workflow.NewID(ctx), fmt.Sprint(r.Uint64(), r.IntN(1000)), hook.Token())
					if workflow.Rand(ctx).IntN(2) == 0 { // a decision that a replay has to repeat
						got = append(got, said("", workflow.Do(ctx, "heads", func(context.Context) error { return nil })))
					} else {
						got = append(got, said("", workflow.Do(ctx, "tails", func(context.Context) error { return nil })))
					}
					if _, err := hook.Wait(ctx); err != nil {
						return nil, err
					}
				}
				return got, nil
			}))
		},
		begin: func(w *stage) { w.start("values", "values", "null") },
		finish: func(w *stage) {
			w.resume(w.generated("values", 1), "")
			w.resume(w.generated("values", 2), "")
		},
	},
}

var reservedFlow = workflow.Define("reserved", func(ctx workflow.Context, in string) ([]string, error) {
	hook, err := workflow.NewHook[string](ctx, workflow.Token("reserved"), workflow.Metadata("adopted"))
	if err != nil {
		return nil, err
	}
	first := said(hook.Wait(ctx))
	on := said(waitFor(ctx, "reserved: go"))
	return []string{in, hook.ID(), first, on, said(hook.Wait(ctx))}, nil
})

func goldenVersion(v int) workflow.Definition {
	return workflow.Define("versions", func(ctx workflow.Context, _ string) (string, error) {
		got, err := waitFor(ctx, fmt.Sprint("versions: ", v))
		return fmt.Sprint(v, got), err
	}, workflow.Version(v))
}

func defs(all ...workflow.Definition) []workflow.Definition { return all }

// waitFor waits for one payload of a token.
func waitFor(ctx workflow.Context, token string) (string, error) {
	hook, err := workflow.NewHook[string](ctx, workflow.Token(token))
	if err != nil {
		return "", err
	}
	defer hook.Close()
	return hook.Wait(ctx)
}

// said is a value as text, or which error it is: what errors say may get better.
func said[T any](v T, err error) string {
	for _, known := range []error{errGolden, workflow.ErrHookClosed, context.DeadlineExceeded, context.Canceled} {
		if errors.Is(err, known) {
			return "error: " + known.Error()
		}
	}
	if err != nil {
		return "another error"
	}
	return fmt.Sprint(v)
}

// goldenError has a text of its own.
type goldenError struct{ error }

func (goldenError) Error() string   { return "it has failed" }
func (e goldenError) Unwrap() error { return e.error }

func mustURL(s string) *url.URL {
	u, err := url.Parse(s)
	if err != nil {
		panic(err)
	}
	return u
}
