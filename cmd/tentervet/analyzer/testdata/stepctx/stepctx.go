// Package stepctx has steps that use the context of their workflow.
package stepctx

import (
	"context"
	"errors"
	"time"

	tenter "github.com/tenter-dev/tenter/workflow"
)

func pay(ctx context.Context, key string) (string, error) { return key, ctx.Err() }

type ctxAlias = tenter.Context

func uses(ctx ctxAlias, in string) (string, error) {
	wctx := ctx
	_, err := tenter.Step(ctx, "key", func(context.Context) (string, error) {
		return pay(ctx, tenter.InfoOf(ctx).StepID) // want `the step uses ctx, the context of the workflow, which fails with workflow.ErrNotInWorkflow in steps: use the context that the step's function gets`
	})
	if err != nil {
		return "", err
	}
	err = tenter.Do(ctx, "other name", func(ctx context.Context) error {
		_, err := pay(wctx, in) // want `the step uses wctx`
		return err
	})
	if err != nil {
		return "", err
	}
	err = tenter.Do(ctx, "durable call in a step", func(context.Context) error {
		return tenter.Sleep(ctx, time.Second) // want `the step uses ctx`
	})
	if err != nil {
		return "", err
	}
	err = tenter.Do(ctx, "patch in a step", func(context.Context) error {
		if tenter.Patched(ctx, "v2") { // want `the step uses ctx`
			return nil
		}
		return errors.New("old")
	})
	if err != nil {
		return "", err
	}
	bounded, cancel := tenter.WithTimeout(ctx, time.Hour)
	defer cancel()
	return tenter.Step(bounded, "in a closure", func(stepCtx context.Context) (string, error) {
		done := make(chan struct{})
		go func() {
			<-bounded.Done() // want `the step uses bounded`
			close(done)
		}()
		return pay(stepCtx, in)
	})
}

type run struct {
	ctx tenter.Context
	n   int
}

func (r *run) field() error {
	return tenter.Do(r.ctx, "field", func(context.Context) error {
		_, err := pay(r.ctx, "") // want `the step uses r.ctx`
		return err
	})
}

// env embeds a context.
type env struct {
	tenter.Context
	region string
}

func embedded(e env, _ string) error {
	return tenter.Do(e, "embedded", func(ctx context.Context) error {
		_, err := pay(ctx, e.region)
		if err != nil {
			return err
		}
		_, err = pay(e, e.region) // want `the step uses e, `
		return err
	})
}

// A step's own context, even if it has the same name.

func shadowed(ctx tenter.Context, in string) (string, error) {
	return tenter.Step(ctx, "pay", func(ctx context.Context) (string, error) {
		ctx, cancel := context.WithTimeout(ctx, time.Minute)
		defer cancel()
		return pay(ctx, tenter.InfoOf(ctx).StepID)
	}, tenter.Timeout(time.Minute))
}

func logs(ctx tenter.Context, in string) error {
	key := tenter.InfoOf(ctx).RunID
	return tenter.Do(ctx, "log", func(stepCtx context.Context) error {
		tenter.Logger(ctx).Info("in a step it logs at once")
		_, err := pay(stepCtx, key)
		return err
	})
}

func branch(ctx tenter.Context, hook *tenter.Hook[string]) (string, error) {
	f := tenter.Go(ctx, func(tenter.Context) (string, error) { return hook.Wait(ctx) })
	return f.Wait(ctx)
}
