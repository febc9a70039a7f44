package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/tenter-dev/tenter/bench/race/peer"
)

// raceApart races an engine whose client is in another process, and checks that the
// worker has executed the runs.
func (r *race) raceApart(ctx context.Context, o *outcome) (err error) {
	worker, err := r.start(ctx, o.contender, peer.RoleWorker)
	if err != nil {
		return err
	}
	defer func() { err = closed(err, worker) }()
	// If the worker executes nothing, the client waits for it. It is killed then; the worker
	// may have a server to end.
	ctx, cancel := context.WithTimeoutCause(ctx, r.sizes.apart, fmt.Errorf("no result in %v", r.sizes.apart))
	defer cancel()
	client, err := worker.startClient(ctx)
	if err != nil {
		return errors.Join(context.Cause(ctx), err)
	}
	defer func() { err = closed(err, client) }()
	warmed, got, err := manyRuns(r.sizes, client)
	if err != nil {
		return errors.Join(context.Cause(ctx), err)
	}
	count, err := worker.do(peer.Command{Do: peer.DoCount})
	if err != nil {
		return err
	}
	if runs := warmed.Done + got.Done; count.Steps < runs*manySteps {
		return fmt.Errorf("the worker has executed %d steps of %d runs of %d", count.Steps, runs, manySteps)
	}
	o.add(&apartPerSecond, perSecond(got))
	return nil
}
