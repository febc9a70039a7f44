package engine_test

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"zombiezen.com/go/sqlite"

	"github.com/tenter-dev/tenter/engine"
	"github.com/tenter-dev/tenter/inspect"
	"github.com/tenter-dev/tenter/store"
	sqlitestore "github.com/tenter-dev/tenter/store/sqlite"
	"github.com/tenter-dev/tenter/workflow"
)

// An order and the run that handles it are created in one transaction, and so are a
// payment and the payload that reports it.
func TestWithTx(t *testing.T) {
	t.Parallel()
	inBank(t, func(t *testing.T, b *bank) {
		paid := workflow.DefineHook[string]("paid")
		order := workflow.Define("order", func(ctx workflow.Context, id string) (string, error) {
			hook, err := paid.New(ctx, workflow.Token("paid:"+id))
			if err != nil {
				return "", err
			}
			return hook.Wait(ctx)
		})
		b.run(engine.Options{Hooks: []workflow.HookDefinition{paid}}, order)
		ctx := t.Context()
		changed := errors.New("changed our mind")
		place := func(then error) (run *workflow.Run[string], err error) {
			err = b.tx(func(c *sqlite.Conn) error {
				if err := pay(c, "ordered"); err != nil {
					return err
				}
				run, err = order.Start(ctx, b.eng.WithTx(sqlitestore.Tx(c)), "1", workflow.RunID("order-1"))
				return errors.Join(err, then)
			})
			return run, err
		}
		settle := func(then error) error {
			return b.tx(func(c *sqlite.Conn) error {
				if err := pay(c, "paid"); err != nil {
					return err
				}
				_, err := paid.Resume(ctx, b.eng.WithTx(sqlitestore.Tx(c)), "paid:1", "cash")
				return errors.Join(err, then)
			})
		}

		_, err := place(changed)
		wantIs(b.lab, err, changed)
		b.advance(time.Minute)
		_, err = b.eng.RunInfo(ctx, "order-1")
		wantIs(b.lab, err, workflow.ErrRunNotFound)

		run, err := place(nil)
		if err != nil {
			t.Fatal(err)
		}
		b.advance(time.Minute)
		wantStatus(b.lab, order.Get(b.eng, "order-1"), workflow.StatusWaiting)
		if _, err := run.Result(ctx); err == nil {
			t.Error("the client of a transaction waited for a run")
		}

		wantIs(b.lab, settle(changed), changed)
		b.advance(time.Minute)
		wantStatus(b.lab, order.Get(b.eng, "order-1"), workflow.StatusWaiting)
		if err := settle(nil); err != nil {
			t.Fatal(err)
		}
		if got := mustResult(b.lab, order.Get(b.eng, "order-1")); got != "cash" {
			t.Errorf("result is %q", got)
		}
		if d := cmp.Diff([]string{"ordered", "paid"}, b.paid()); d != "" {
			t.Error(d)
		}
	})
}

// Whatever is refused, the transaction goes on as if nothing had been asked.
func TestWithTxRefusals(t *testing.T) {
	t.Parallel()
	inBank(t, func(t *testing.T, b *bank) {
		amount := workflow.DefineHook[int]("amount")
		wf := workflow.Define("wait", func(ctx workflow.Context, token string) (int, error) {
			hook, err := amount.New(ctx, workflow.Token(token))
			if err != nil {
				return 0, err
			}
			return hook.Wait(ctx)
		})
		b.run(engine.Options{Hooks: []workflow.HookDefinition{amount}, MaxPayload: 100}, wf)
		mustStart(b.lab, wf, "tok", workflow.RunID("r"))
		ended := mustStart(b.lab, wf, "tok", workflow.RunID("ended"))
		_ = mustFail(b.lab, ended)
		ctx := t.Context()
		err := b.tx(func(c *sqlite.Conn) error {
			client := b.eng.WithTx(sqlitestore.Tx(c))
			start := func(id string) error {
				_, err := wf.Start(ctx, client, "other", workflow.RunID(id))
				return err
			}
			resume := func(token string, payload any, opts ...workflow.ResumeOption) error {
				_, err := workflow.Resume(ctx, client, token, payload, opts...)
				return err
			}
			wantIs(b.lab, start("r"), workflow.ErrRunExists)
			wantIs(b.lab, resume("none", 1), workflow.ErrHookNotFound)
			wantIs(b.lab, resume("none", 1, workflow.OrStart(wf, "none", workflow.RunID("r"))), workflow.ErrRunExists)
			if _, ok := errors.AsType[*workflow.PayloadError](resume("tok", "much")); !ok {
				t.Error("a payload of another type was accepted")
			}
			wantIs(b.lab, resume("tok", string(make([]byte, 200))), workflow.ErrPayloadTooLarge)
			_, err := workflow.DefineHook[int]("other").Resume(ctx, client, "tok", 1)
			if _, ok := errors.AsType[*workflow.HookTypeError](err); !ok {
				t.Errorf("error is %v", err)
			}
			_, err = client.HookByToken(ctx, "none")
			wantIs(b.lab, err, workflow.ErrHookNotFound)
			_, err = client.RunInfo(ctx, "none")
			wantIs(b.lab, err, workflow.ErrRunNotFound)
			wantIs(b.lab, client.CancelRun(ctx, "none"), workflow.ErrRunNotFound)
			wantIs(b.lab, client.WakeRun(ctx, "ended"), workflow.ErrRunEnded)
			wantIs(b.lab, client.TerminateRun(ctx, "ended", ""), workflow.ErrRunEnded)
			if _, ok := errors.AsType[*workflow.RetryRefusedError](client.RetryRun(ctx, "r")); !ok {
				t.Error("a waiting run was retried")
			}
			_, err = client.ForkRun(ctx, workflow.ForkRequest{RunID: "none", Position: 1})
			wantIs(b.lab, err, workflow.ErrRunNotFound)
			_, err = client.ForkRun(ctx, workflow.ForkRequest{RunID: "r", Position: 1, ForkID: "ended"})
			wantIs(b.lab, err, workflow.ErrRunExists)
			if _, err = client.ForkRun(ctx, workflow.ForkRequest{RunID: "ended", Position: 1, ForkID: "fork"}); err != nil {
				t.Error(err)
			}
			if _, err := client.RunInfo(ctx, "fork"); err != nil {
				t.Errorf("a fork of this transaction: %v", err)
			}
			if _, err := b.eng.RunInfo(ctx, "fork"); !errors.Is(err, workflow.ErrRunNotFound) {
				t.Errorf("a fork before the commit: %v", err)
			}
			return start("new")
		})
		if err != nil {
			t.Fatal(err)
		}
		b.advance(time.Minute)
		wantStatus(b.lab, wf.Get(b.eng, "new"), workflow.StatusWaiting)
	})
}

// All that a client does to runs can be part of a transaction.
func TestWithTxVerbs(t *testing.T) {
	t.Parallel()
	inBank(t, func(t *testing.T, b *bank) {
		wf := workflow.Define("sum", func(ctx workflow.Context, token string) (int, error) {
			hook, err := workflow.NewHook[int](ctx, workflow.Token(token))
			if err != nil {
				return 0, err
			}
			sum := 0
			for n, err := range hook.All(ctx) {
				if sum += n; err != nil || n == 0 {
					return sum, err
				}
			}
			return sum, nil
		})
		sleepy := workflow.Define("sleepy", func(ctx workflow.Context, _ string) (string, error) {
			return "awake", workflow.Sleep(ctx, 24*time.Hour)
		})
		b.run(engine.Options{}, wf, sleepy)
		for _, id := range []string{"canceled", "terminated", "woken"} {
			mustStart(b.lab, sleepy, "", workflow.RunID(id))
		}
		ctx, began := t.Context(), time.Now()
		err := b.tx(func(c *sqlite.Conn) error {
			client := b.eng.WithTx(sqlitestore.Tx(c))
			var infos []workflow.HookInfo
			for _, n := range []int{1, 2, 0} {
				info, err := workflow.Resume(ctx, client, "sum", n, workflow.OrStart(wf, "sum"), workflow.IdempotencyKey(string(rune('a'+n))))
				if err != nil {
					return err
				}
				infos = append(infos, info)
			}
			again, err := workflow.Resume(ctx, client, "sum", 1, workflow.IdempotencyKey("b"))
			if err != nil || !again.Duplicate || !infos[0].Started || infos[1].Started {
				t.Errorf("%+v, then %+v, %v", infos, again, err)
			}
			if h, err := client.HookByToken(ctx, "sum"); err != nil || h.RunID != infos[0].RunID {
				t.Errorf("hook is %+v, %v", h, err)
			}
			if _, err := b.eng.HookByToken(ctx, "sum"); !errors.Is(err, workflow.ErrHookNotFound) {
				t.Errorf("the hook is there before the commit: %v", err)
			}
			return errors.Join(client.CancelRun(ctx, "canceled"), client.TerminateRun(ctx, "terminated", "enough"), client.WakeRun(ctx, "woken"))
		})
		if err != nil {
			t.Fatal(err)
		}
		h, err := b.eng.Runs(ctx, inspect.RunFilter{Workflow: "sum"})
		if err != nil || len(h) != 1 {
			t.Fatal(h, err)
		}
		if got := mustResult(b.lab, wf.Get(b.eng, h[0].ID)); got != 3 {
			t.Errorf("sum is %d", got)
		}
		if got := mustResult(b.lab, sleepy.Get(b.eng, "woken")); got != "awake" {
			t.Errorf("result is %q", got)
		}
		wantIs(b.lab, mustFail(b.lab, sleepy.Get(b.eng, "canceled")), workflow.ErrCanceled)
		wantIs(b.lab, mustFail(b.lab, sleepy.Get(b.eng, "terminated")), workflow.ErrTerminated)
		if took := time.Since(began); took > time.Minute {
			t.Errorf("it took %v", took)
		}
	})
}

// A transaction that can't be used says why, at each call.
func TestWithTxUnusable(t *testing.T) {
	t.Parallel()
	inBank(t, func(t *testing.T, b *bank) {
		wf := define("w")
		b.run(engine.Options{}, wf)
		for name, tt := range map[string]struct {
			client workflow.Client
			want   string
		}{
			"no transaction": {b.eng.WithTx(sqlitestore.Tx(nil)), "connection is nil"},
			"nothing":        {b.eng.WithTx(nil), "is not a transaction"},
			"of another":     {b.eng.WithTx(otherTx{}), "otherTx"},
			"no engine":      {(*engine.Engine)(nil).WithTx(otherTx{}), "engine is nil"},
		} {
			ctx := t.Context()
			_, startErr := wf.Start(ctx, tt.client, "")
			_, resumeErr := workflow.Resume(ctx, tt.client, "tok", "")
			_, hookErr := tt.client.HookByToken(ctx, "tok")
			_, infoErr := tt.client.RunInfo(ctx, "r")
			_, forkErr := tt.client.ForkRun(ctx, workflow.ForkRequest{RunID: "r", Position: 1})
			for _, err := range []error{
				startErr, resumeErr, hookErr, infoErr, forkErr,
				tt.client.CancelRun(ctx, "r"), tt.client.WakeRun(ctx, "r"), tt.client.TerminateRun(ctx, "r", ""), tt.client.RetryRun(ctx, "r"),
			} {
				if err == nil {
					t.Fatalf("%s: no error", name)
				}
				wantContains(b.lab, err.Error(), tt.want)
			}
		}
		plain := struct{ store.Store }{b.store}
		eng, err := engine.New(plain, engine.Options{})
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = eng.Close() }()
		_, err = wf.Start(t.Context(), eng.WithTx(otherTx{}), "")
		wantContains(b.lab, err.Error(), "can't take part in transactions")
		synctest.Wait()
	})
}

type otherTx struct{}

func (otherTx) StoreTx() {}

// A workflow can't use the client of a transaction, as it can't use any.
func TestWithTxInWorkflow(t *testing.T) {
	t.Parallel()
	inBank(t, func(t *testing.T, b *bank) {
		wf := workflow.Define("w", func(ctx workflow.Context, _ string) (string, error) {
			err := b.eng.WithTx(otherTx{}).CancelRun(ctx, "r")
			return err.Error(), nil
		})
		b.run(engine.Options{}, wf)
		wantContains(b.lab, mustResult(b.lab, mustStart(b.lab, wf, "")), "do it in a step")
	})
}
