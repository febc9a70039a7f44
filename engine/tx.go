package engine

import (
	"context"
	"errors"
	"fmt"

	"github.com/tenter-dev/tenter/internal/run"
	"github.com/tenter-dev/tenter/store"
	"github.com/tenter-dev/tenter/workflow"
)

// WithTx returns a client whose calls are part of a transaction that the application has open
// on the database of the engine's store: runs that it starts and hooks that it resumes are
// started and resumed when the transaction commits, together with its other writes, and
// nothing happens if it rolls back.
//
//	tx, err := pool.Begin(ctx)
//	…
//	_, err = tx.Exec(ctx, `INSERT INTO orders (id) VALUES ($1)`, id)
//	…
//	run, err := ProcessOrder.Start(ctx, eng.WithTx(postgres.Tx(tx)), order, workflow.RunID("order-"+id))
//	…
//	err = tx.Commit(ctx)
//
// The package of the store makes tx: postgres.Tx, postgres.SQLTx, sqlite.Tx. If it can't be
// used, say because it belongs to another database, each call fails.
//
// A refusal, such as workflow.ErrRunExists or workflow.ErrHookNotFound, leaves the transaction
// usable. On any other error, roll it back.
//
// A run does not begin before the commit, so the transaction can't wait for it: use its ID
// with the engine afterwards, by workflow.Get or workflow.Workflow.Get. A client lives only as
// long as its transaction, and is no more safe for concurrent use. A run that it has resumed
// stays locked until the transaction ends: other payloads for the run, and the run itself,
// wait that long. In a transactional step, workflow.ClientFrom returns such a client.
func (e *Engine) WithTx(tx store.Tx) workflow.Client { return e.withTx(tx) }

func (e *Engine) withTx(tx any) *txClient {
	c := &txClient{e: e}
	if e == nil {
		return c
	}
	j, joins := e.store.(store.Joiner)
	t, ok := tx.(store.Tx)
	switch {
	case !joins:
		c.err = fmt.Errorf("the store (%T) can't take part in transactions of the application", e.store)
	case !ok:
		c.err = fmt.Errorf("%T is not a transaction that a store knows: make it with postgres.Tx, postgres.SQLTx or sqlite.Tx", tx)
	default:
		c.in, c.err = j.Within(t)
	}
	if c.err != nil {
		c.err = fmt.Errorf("join transaction: %w", c.err)
	}
	return c
}

// txClient is the client of a transaction.
type txClient struct {
	e   *Engine
	in  store.Joined
	err error // why in can't be used
}

var errAwaitInTx = errors.New("a run does not begin before its transaction commits: wait for it with the engine, after that")

var errCallInTx = errors.New("a run gets no request before the transaction commits: call with the engine, after that")

// joinTx is withTx for a worker's steps.
func (e *Engine) joinTx(tx any) (store.Joined, func(context.Context) context.Context, error) {
	c := e.withTx(tx)
	return c.in, c.scene, c.err
}

// scene lets a step find the client of its transaction.
func (c *txClient) scene(ctx context.Context) context.Context {
	s := &run.Scene{Client: c, Respond: c.respond}
	if step, ok := ctx.Value(run.Key{}).(*run.Scene); ok {
		s.Info, s.Inherited = step.Info, step.Inherited
	}
	return context.WithValue(ctx, run.Key{}, s)
}

func (c *txClient) usable(ctx context.Context) error {
	if err := c.e.usable(ctx); err != nil {
		return err
	}
	return c.err
}

func (c *txClient) StartRun(ctx context.Context, req workflow.StartRequest) (string, error) {
	return c.e.start(ctx, req, func(n store.NewRun) error {
		if c.err != nil {
			return c.err
		}
		return c.in.Start(ctx, n)
	})
}

func (c *txClient) ResumeHook(ctx context.Context, req workflow.ResumeRequest) (workflow.HookInfo, error) {
	return c.e.resume(ctx, req, func(p store.Payload) (workflow.HookInfo, error) {
		if c.err != nil {
			return workflow.HookInfo{}, c.err
		}
		return c.e.accept(ctx, c.in, p)
	})
}

func (c *txClient) Publish(ctx context.Context, req workflow.PublishRequest) (workflow.Publication, error) {
	return c.e.publish(ctx, c.in, c.err, req)
}

func (c *txClient) CallHook(_ context.Context, req workflow.CallRequest) (workflow.CallAnswer, error) {
	return workflow.CallAnswer{}, fmt.Errorf("call %s: %w", run.QuoteToken(req.Token), errCallInTx)
}

func (c *txClient) AwaitAnswer(_ context.Context, req workflow.AnswerRequest) (workflow.CallAnswer, error) {
	return workflow.CallAnswer{}, fmt.Errorf("await answer of %s: %w", run.QuoteToken(req.Token), errCallInTx)
}

func (c *txClient) HookByToken(ctx context.Context, token string) (workflow.HookInfo, error) {
	if err := c.usable(ctx); err != nil {
		return workflow.HookInfo{}, fmt.Errorf("look up hook: %w", err)
	}
	return c.e.hookByToken(ctx, c.in, token)
}

func (c *txClient) RunInfo(ctx context.Context, runID string) (workflow.RunInfo, error) {
	if err := c.usable(ctx); err != nil {
		return workflow.RunInfo{}, fmt.Errorf("look up run %s: %w", runID, err)
	}
	return c.e.runInfo(ctx, c.in, runID)
}

func (c *txClient) AwaitRun(_ context.Context, runID string) (workflow.RunResult, error) {
	return workflow.RunResult{}, fmt.Errorf("await run %s: %w", runID, errAwaitInTx)
}

func (c *txClient) CancelRun(ctx context.Context, runID string) error {
	return c.send(ctx, "cancel", store.Message{RunID: runID, Kind: store.CancelRequested})
}

func (c *txClient) WakeRun(ctx context.Context, runID string) error {
	return c.send(ctx, "wake", store.Message{RunID: runID, Kind: store.Woken})
}

func (c *txClient) send(ctx context.Context, verb string, m store.Message) error {
	if err := c.usable(ctx); err != nil {
		return fmt.Errorf("%s run %s: %w", verb, m.RunID, err)
	}
	return c.e.send(ctx, c.in, verb, m)
}

func (c *txClient) TerminateRun(ctx context.Context, runID, reason string) error {
	if err := c.usable(ctx); err != nil {
		return fmt.Errorf("terminate run %s: %w", runID, err)
	}
	return c.e.terminate(ctx, c.in, runID, reason)
}

func (c *txClient) RetryRun(ctx context.Context, runID string) error {
	if err := c.usable(ctx); err != nil {
		return fmt.Errorf("retry run %s: %w", runID, err)
	}
	return c.e.retry(ctx, c.in, runID)
}

func (c *txClient) ForkRun(ctx context.Context, req workflow.ForkRequest) (workflow.ForkPlan, error) {
	if err := c.usable(ctx); err != nil {
		return workflow.ForkPlan{}, fmt.Errorf("fork run %s: %w", req.RunID, err)
	}
	return c.e.fork(ctx, c.in, req)
}

func (c *txClient) PauseRun(ctx context.Context, runID string, req workflow.PauseRequest) error {
	if err := c.usable(ctx); err != nil {
		return fmt.Errorf("pause run %s: %w", runID, err)
	}
	return c.e.pauseRun(ctx, c.in, runID, req)
}

func (c *txClient) ResumeRun(ctx context.Context, runID string) error {
	if err := c.usable(ctx); err != nil {
		return fmt.Errorf("resume run %s: %w", runID, err)
	}
	return c.e.resumeRun(ctx, c.in, runID)
}

func (c *txClient) PauseWorkflow(_ context.Context, name string, _ workflow.PauseRequest) error {
	return fmt.Errorf("pause workflow %s: %w", name, errPauseInTx)
}

func (c *txClient) ResumeWorkflow(_ context.Context, name string) error {
	return fmt.Errorf("resume workflow %s: %w", name, errPauseInTx)
}

// respond answers a request from a transactional step.
func (c *txClient) respond(ctx context.Context, request, responder string, a run.Response) error {
	if err := c.usable(ctx); err != nil {
		return fmt.Errorf("respond: %w", err)
	}
	return c.e.respond(ctx, c.in, request, responder, a)
}
