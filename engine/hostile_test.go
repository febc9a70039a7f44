package engine_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/tenter-dev/tenter/engine"
	"github.com/tenter-dev/tenter/workflow"
)

// errHuge has six megabytes of text.
var errHuge = fmt.Errorf("huge: %w: %s", errDeclined, strings.Repeat("é", 3<<20))

// cyclicError wraps itself.
type cyclicError struct{ error }

func (e *cyclicError) Unwrap() error { return e }

// panickyError has a method that panics.
type panickyError struct{ in string }

func (e panickyError) Error() string {
	if e.in == "Error" {
		panic("no text")
	}
	return "panicky"
}

func (e panickyError) Is(error) bool {
	if e.in == "Is" {
		panic("no identity")
	}
	return false
}

func journalBytes(l *lab, runID string) (n int) {
	l.Helper()
	events, err := l.eng.Journal(l.Context(), runID, 0, 0)
	if err != nil {
		l.Fatal(err)
	}
	for _, e := range events {
		n += len(e.Data)
	}
	return n
}

// Whatever the error of a step or of a workflow is, the run ends with a record of it that
// has a bounded size.
func TestErrorsOfAnyKindEnd(t *testing.T) {
	t.Parallel()
	deep := errDeclined
	for range 10_000 {
		deep = fmt.Errorf("x: %w", deep)
	}
	joined := make([]error, 100_000)
	for i := range joined {
		joined[i] = &workflow.PayloadError{Token: "t", Err: errDeclined}
	}
	for name, tt := range map[string]struct {
		err      error
		declined bool
		text     string
	}{
		"huge":          {errHuge, true, "bytes in all)"},
		"cyclic":        {&cyclicError{errors.New("round")}, false, "round"},
		"joined cyclic": {errors.Join(errDeclined, &cyclicError{errors.New("round")}), true, "round"},
		"deep":          {deep, false, "x: x: x: "},
		"many":          {errors.Join(joined...), true, "bytes in all)"},
		"Error panics":  {panickyError{"Error"}, false, "engine_test.panickyError, whose Error method panics: no text"},
		"Is panics":     {panickyError{"Is"}, false, "panicky"},
		"a nil pointer": {(*cyclicError)(nil), false, "nil pointer"},
	} {
		for place, wf := range map[string]*workflow.Workflow[string, string]{
			"step": workflow.Define("failing", func(ctx workflow.Context, _ string) (string, error) {
				return "", workflow.Do(ctx, "fail", func(context.Context) error { return tt.err }, workflow.MaxAttempts(2))
			}),
			"workflow": workflow.Define("failing", func(workflow.Context, string) (string, error) { return "", tt.err }),
			"panic":    workflow.Define("failing", func(workflow.Context, string) (string, error) { panic(tt.err) }),
		} {
			if place == "panic" && name != "huge" && name != "Error panics" {
				continue
			}
			t.Run(name+" in a "+place, func(t *testing.T) {
				t.Parallel()
				inLab(t, func(t *testing.T, l *lab) {
					l.run(engine.Options{}, wf)
					r := mustStart(l, wf, "")
					err := mustFail(l, r)
					if place != "panic" {
						wantContains(l, err.Error(), tt.text)
						if errors.Is(err, errDeclined) != tt.declined {
							t.Errorf("it is errDeclined: %v", !tt.declined)
						}
					}
					if n := len(err.Error()); n > workflow.MaxErrorText+200 || !utf8.ValidString(err.Error()) {
						t.Errorf("the text has %d bytes", n)
					}
					if n := journalBytes(l, r.ID()); n > 1<<20 {
						t.Errorf("the journal has %d bytes", n)
					}
					if n := len(l.logs.String()); n > 1<<20 {
						t.Errorf("the log has %d bytes", n)
					}
				})
			})
		}
	}
}

// An error that was cut says so once, whatever it comes through, and how long it was.
func TestACutErrorSaysHowLongItWas(t *testing.T) {
	t.Parallel()
	inLab(t, func(t *testing.T, l *lab) {
		inner := workflow.Define("inner", func(ctx workflow.Context, _ string) (string, error) {
			return "", workflow.Do(ctx, "fail", func(context.Context) error { return workflow.Fatal(errHuge) })
		})
		outer := workflow.Define("outer", func(ctx workflow.Context, _ string) (string, error) { return inner.Call(ctx, "") })
		l.run(engine.Options{}, inner, outer)
		err := mustFail(l, mustStart(l, outer, ""))
		wantIs(l, err, errDeclined)
		if n := strings.Count(err.Error(), "truncated"); n != 1 {
			t.Errorf("it says so %d times", n)
		}
		if !strings.Contains(err.Error(), "… (truncated, 62915") { // 6,291,456 and what was put before it
			t.Errorf("it ends with %q", err.Error()[len(err.Error())-60:])
		}
	})
}

func TestTheReasonOfATerminationIsBounded(t *testing.T) {
	t.Parallel()
	inLab(t, func(_ *testing.T, l *lab) {
		wf := workflow.Define("waiting", func(ctx workflow.Context, _ string) (string, error) { return "", workflow.Sleep(ctx, time.Hour) })
		l.run(engine.Options{}, wf)
		r := mustStart(l, wf, "")
		wantIs(l, r.Terminate(l.Context(), strings.Repeat("x", workflow.MaxErrorText+1)), workflow.ErrPayloadTooLarge)
		wantStatus(l, r, workflow.StatusWaiting)
		if err := r.Terminate(l.Context(), strings.Repeat("x", workflow.MaxErrorText)); err != nil {
			l.Error(err)
		}
	})
}

// touchy panics in the method that it names.
type touchy struct{ In string }

func (v touchy) Validate() error {
	if v.In == "Validate" {
		panic("it can't be checked")
	}
	if v.In == "cyclic" {
		return &cyclicError{errors.New("round")}
	}
	return nil
}

func (v touchy) MarshalJSON() ([]byte, error) {
	if v.In == "MarshalJSON" {
		panic("it can't be written")
	}
	return json.Marshal(v.In)
}

func (v *touchy) UnmarshalJSON(data []byte) error {
	if strings.Contains(string(data), "UnmarshalJSON") {
		panic("it can't be read")
	}
	return json.Unmarshal(data, &v.In)
}

// A method of the author's that panics is an error for whoever brought the value, and
// costs nobody else anything.
func TestMethodsOfValuesThatPanic(t *testing.T) {
	t.Parallel()
	inLab(t, func(t *testing.T, l *lab) {
		hookType := workflow.DefineHook[touchy]("touchy")
		type seen struct{ Errs []string }
		wf := workflow.Define("flow", func(ctx workflow.Context, _ touchy) (seen, error) {
			var s seen
			see := func(err error) {
				var bad *workflow.PayloadError
				s.Errs = append(s.Errs, fmt.Sprint(errors.As(err, &bad), " ", err))
			}
			hook, err := workflow.NewHook[touchy](ctx, workflow.Token("plain"))
			if err != nil {
				return s, err
			}
			typed, err := hookType.New(ctx, workflow.Token("typed"))
			if err != nil {
				return s, err
			}
			for range 3 {
				_, err := hook.Wait(ctx)
				see(err)
			}
			_, err = typed.Wait(ctx)
			see(err)
			_, err = workflow.Step(ctx, "result", func(context.Context) (touchy, error) { return touchy{"MarshalJSON"}, nil })
			see(err)
			_, err = workflow.NewHook[int](ctx, workflow.Metadata(touchy{"MarshalJSON"}))
			see(err)
			return s, nil
		})
		l.run(engine.Options{Hooks: []workflow.HookDefinition{hookType}}, wf)
		ctx := l.Context()
		var input *workflow.InputError
		if _, err := l.eng.StartRun(ctx, workflow.StartRequest{Workflow: "flow", Input: []byte(`"UnmarshalJSON"`)}); !errors.As(err, &input) {
			t.Errorf("an input that panics: %v", err)
		} else {
			wantContains(l, err.Error(), "hostile_test.go:")
		}
		if _, err := wf.Start(ctx, l.eng, touchy{"MarshalJSON"}); err == nil || !strings.Contains(err.Error(), "encode input: panic: it can't be written") {
			t.Errorf("start: %v", err)
		}
		r := mustStart(l, wf, touchy{"fine"})
		var bad *workflow.PayloadError
		for _, in := range []string{"Validate", "UnmarshalJSON", "cyclic"} {
			if _, err := workflow.Resume(ctx, l.eng, "typed", in); !errors.As(err, &bad) {
				t.Errorf("resume with %s: %v", in, err)
			}
		}
		for _, in := range []string{"Validate", "cyclic"} {
			if _, err := hookType.Resume(ctx, l.eng, "typed", touchy{in}); !errors.As(err, &bad) {
				t.Errorf("resume of the type with %s: %v", in, err)
			}
		}
		if _, err := workflow.Resume(ctx, l.eng, "plain", touchy{"MarshalJSON"}); err == nil || !strings.Contains(err.Error(), "encode payload: panic: it can't be written, at ") {
			t.Errorf("resume: %v", err)
		}
		l.resume("plain", "Validate")
		l.resume("plain", "UnmarshalJSON")
		l.resume("plain", "cyclic")
		l.resume("typed", "fine")
		got := mustResult(l, r).Errs
		for i, want := range []string{"panic: it can't be checked, at", "panic: it can't be read, at", "round", "false <nil>", "encode result", "encode metadata"} {
			if i >= len(got) || !strings.Contains(got[i], want) || i < 3 != strings.HasPrefix(got[i], "true ") {
				t.Errorf("error %d is not %q: %v", i, want, got)
			}
		}
	})
}

// Errors of this module that no other attempt mends fail a step at once; those that pass
// do not.
func TestErrorsThatLast(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		err      error
		attempts int
	}{
		"ErrAlreadyResponded":    {fmt.Errorf("w: %w", workflow.ErrAlreadyResponded), 1},
		"ErrPayloadTooLarge":     {workflow.ErrPayloadTooLarge, 1},
		"ErrInvalidName":         {workflow.ErrInvalidName, 1},
		"ErrInvalidToken":        {workflow.ErrInvalidToken, 1},
		"ErrRunEnded":            {workflow.ErrRunEnded, 1},
		"RunExistsError":         {&workflow.RunExistsError{RunID: "r"}, 1},
		"PayloadError":           {&workflow.PayloadError{Token: "t", Err: errDeclined}, 1},
		"InputError":             {&workflow.InputError{Workflow: "w", Err: errDeclined}, 1},
		"HookTypeError":          {&workflow.HookTypeError{Token: "t"}, 1},
		"ErrHookNotFound":        {workflow.ErrHookNotFound, 2},
		"ErrRunNotFound":         {workflow.ErrRunNotFound, 2},
		"ErrUnknownWorkflow":     {workflow.ErrUnknownWorkflow, 2},
		"ErrEngineClosed":        {workflow.ErrEngineClosed, 2},
		"HookConflictError":      {&workflow.HookConflictError{Token: "t"}, 2},
		"RetryRefusedError":      {&workflow.RetryRefusedError{}, 2},
		"another run's":          {&workflow.RunError{Err: workflow.ErrAlreadyResponded}, 2},
		"RetryAfter asks for it": {workflow.RetryAfter(workflow.ErrAlreadyResponded, time.Second), 2},
		"Fatal in RetryAfter":    {workflow.RetryAfter(workflow.Fatal(errDeclined), time.Second), 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			times, err := attemptTimes(t, 100, tt.err, workflow.MaxAttempts(2))
			if len(times) != tt.attempts || err == nil {
				t.Errorf("%d attempts, want %d: %v", len(times), tt.attempts, err)
			}
		})
	}
}

// What is wrong with a call is wrong with each repeat of it.
func TestWrongCallsInStepsAreNotRepeated(t *testing.T) {
	t.Parallel()
	other := define("other")
	for name, call := range map[string]func(ctx context.Context, c workflow.Client) error{
		"respond to no request": func(ctx context.Context, _ workflow.Client) error {
			return (*workflow.Request)(nil).Respond(ctx, workflow.Text(200, ""))
		},
		"respond without an ID": func(ctx context.Context, _ workflow.Client) error {
			return new(workflow.Request).Respond(ctx, workflow.Text(200, ""))
		},
		"respond with nonsense": func(ctx context.Context, _ workflow.Client) error {
			return (&workflow.Request{ID: "q"}).Respond(ctx, workflow.Text(7, ""))
		},
		"respond with a channel": func(ctx context.Context, _ workflow.Client) error {
			return (&workflow.Request{ID: "q"}).Respond(ctx, workflow.JSON(200, make(chan int)))
		},
		"respond without a run": func(context.Context, workflow.Client) error {
			return (&workflow.Request{ID: "q"}).Respond(t.Context(), workflow.Text(200, ""))
		},
		"resume with a channel": func(ctx context.Context, c workflow.Client) error {
			_, err := workflow.Resume(ctx, c, "t", make(chan int))
			return err
		},
		"a nil client": func(ctx context.Context, _ workflow.Client) error {
			_, err := other.Start(ctx, nil, "")
			return err
		},
		"a nil run": func(ctx context.Context, _ workflow.Client) error { return (*workflow.Run[int])(nil).Cancel(ctx) },
		"a nil workflow": func(ctx context.Context, c workflow.Client) error {
			_, err := (*workflow.Workflow[int, int])(nil).Start(ctx, c, 1)
			return err
		},
		"a nil hook type": func(ctx context.Context, c workflow.Client) error {
			_, err := (*workflow.HookType[int])(nil).Resume(ctx, c, "t", 1)
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			attempts := 0
			_, err := inWorkflow(t, func(ctx workflow.Context) (string, error) {
				return "", workflow.Do(ctx, "call", func(ctx context.Context) error {
					attempts++
					return call(ctx, workflow.ClientFrom(ctx))
				})
			})
			if err == nil || attempts != 1 {
				t.Errorf("%d attempts: %v", attempts, err)
			}
		})
	}
}

// What is nil by mistake is said to be, at once, and nothing is written for it.
func TestNilIsSaidToBeNil(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		call func(ctx workflow.Context) error
		want string
	}{
		"Do":           {func(ctx workflow.Context) error { return workflow.Do(ctx, "s", nil) }, `step "s": its function is nil`},
		"Step":         {func(ctx workflow.Context) error { _, err := workflow.Step[int](ctx, "s", nil); return err }, `step "s": its function is nil`},
		"TxDo":         {func(ctx workflow.Context) error { return workflow.TxDo[int](ctx, "s", nil, nil) }, `step "s": its Transactor is nil`},
		"TxStep":       {func(ctx workflow.Context) error { _, err := workflow.TxStep[int, int](ctx, "s", nil, nil); return err }, `its Transactor is nil`},
		"Go":           {func(ctx workflow.Context) error { _, err := workflow.Go[int](ctx, nil).Wait(ctx); return err }, "the function of a branch is nil"},
		"All":          {func(ctx workflow.Context) error { _, err := workflow.All[int](ctx, nil, nil); return err }, "the function of a branch is nil"},
		"First":        {func(ctx workflow.Context) error { _, _, err := workflow.First[int](ctx, nil); return err }, "the function of a branch is nil"},
		"a nil future": {func(ctx workflow.Context) error { _, err := (*workflow.Future[int])(nil).Wait(ctx); return err }, "the future is nil"},
		"a nil hook":   {func(ctx workflow.Context) error { _, err := (*workflow.Hook[int])(nil).Wait(ctx); return err }, "the hook is nil"},
		"OnPayload of nil": {func(ctx workflow.Context) error {
			return workflow.Select(ctx, workflow.OnPayload(nil, func(int) error { return nil }))
		}, "OnPayload: the hook is nil"},
		"OnRequest of nil":       {func(ctx workflow.Context) error { return workflow.Select(ctx, workflow.OnRequest(nil, nil)) }, "the hook is nil"},
		"OnDone of nil":          {func(ctx workflow.Context) error { return workflow.Select(ctx, workflow.OnDone[int](nil, nil)) }, "OnDone: the future is nil"},
		"OnTimer without a func": {func(ctx workflow.Context) error { return workflow.Select(ctx, workflow.OnTimer(time.Hour, nil)) }, "the function of OnTimer is nil"},
		"New of a nil type":      {func(ctx workflow.Context) error { _, err := (*workflow.HookType[int])(nil).New(ctx); return err }, "the hook type is nil"},
		"Call of a nil workflow": {func(ctx workflow.Context) error {
			_, err := (*workflow.Workflow[int, int])(nil).Call(ctx, 1)
			return err
		}, "the workflow is nil"},
		"a nil Context":       {func(workflow.Context) error { return workflow.Sleep(nil, time.Hour) }, "the Context is nil"},
		"Token of a nil hook": {func(workflow.Context) error { return errors.New((*workflow.Hook[int])(nil).Token()) }, "the hook is nil"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			inLab(t, func(t *testing.T, l *lab) {
				wf := workflow.Define("body", func(ctx workflow.Context, _ string) (string, error) {
					var none *workflow.Hook[int]
					defer none.Close()
					return "", tt.call(ctx)
				})
				l.run(engine.Options{}, wf)
				r := mustStart(l, wf, "")
				began := time.Now()
				wantContains(l, mustFail(l, r).Error(), tt.want)
				if name != "Call of a nil workflow" {
					wantContains(l, mustFail(l, r).Error(), "hostile_test.go:")
				}
				if time.Since(began) > 0 || len(l.journal(r.ID())) != 2 {
					t.Errorf("it took %v and %v", time.Since(began), l.journal(r.ID()))
				}
			})
		})
	}
}

// Options that are nil are left out, as nil cases of a Select are.
func TestNilOptions(t *testing.T) {
	t.Parallel()
	inLab(t, func(_ *testing.T, l *lab) {
		wf := workflow.Define("flow", func(ctx workflow.Context, _ string) (string, error) {
			if err := workflow.Do(ctx, "s", func(context.Context) error { return nil }, nil); err != nil {
				return "", err
			}
			hook, err := workflow.NewHook[string](ctx, nil, workflow.Token("t"))
			if err != nil {
				return "", err
			}
			return hook.Wait(ctx)
		}, nil)
		l.run(engine.Options{}, wf)
		r := mustStart(l, wf, "", nil)
		l.resume("t", "x", nil)
		if got := mustResult(l, r); got != "x" {
			l.Errorf("result is %q", got)
		}
	})
}
