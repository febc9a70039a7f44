// Package assign has steps that assign to variables of their workflow.
package assign

import (
	"context"
	"encoding/json"
	"errors"

	"github.com/tenter-dev/tenter/workflow"
)

type receipt struct{ ID string }

type order struct {
	Lines   map[string]int
	Receipt receipt
}

func charge(context.Context) (string, error) { return "", nil }

func variables(ctx workflow.Context, in order) (out string, err error) {
	var id string
	n := 0
	ids := make([]string, 1)
	p := new(receipt)
	err = workflow.Do(ctx, "charge", func(ctx context.Context) error {
		v, err := charge(ctx)
		id = v                // want `the step assigns to id, a variable of the workflow: a replay does not execute the step, and the value is lost: return it from the step`
		n++                   // want `assigns to n`
		n += 2                // want `assigns to n`
		ids[0] = v            // want `assigns to ids`
		ids = append(ids, v)  // want `assigns to ids`
		p.ID = v              // want `assigns to p`
		*p = receipt{v}       // want `assigns to p`
		in.Receipt.ID = v     // want `assigns to in`
		in.Lines["x"]++       // want `assigns to in`
		delete(in.Lines, "y") // want `assigns to in`
		(id), out = v, v      // want `assigns to id` `assigns to out`
		for n = range 3 {     // want `assigns to n`
		}
		return err
	})
	return id + ids[n], err
}

func decoded(ctx workflow.Context, data []byte) (receipt, error) {
	var r receipt
	err := workflow.Do(ctx, "load", func(context.Context) error {
		return json.Unmarshal(data, &r) // want `assigns to r`
	})
	return r, err
}

func transactions(ctx workflow.Context, db workflow.Transactor[int]) (string, error) {
	var id string
	err := workflow.TxDo(ctx, "a", db, func(ctx context.Context, tx int) error {
		id = "a" // want `assigns to id`
		return nil
	})
	if err != nil {
		return "", err
	}
	return workflow.TxStep(ctx, "b", db, func(ctx context.Context, tx int) (string, error) {
		id = "b" // want `assigns to id`
		return id, nil
	})
}

func closures(ctx workflow.Context, _ string) (string, error) {
	var id string
	step := func(ctx context.Context) error {
		id = "1" // want `assigns to id`
		func() {
			id = "2" // want `assigns to id`
		}()
		return nil
	}
	if err := workflow.Do(ctx, "variable", step); err != nil {
		return "", err
	}
	set := func(v string) { id = v } // want `assigns to id`
	err := workflow.Do(ctx, "calls", func(context.Context) error {
		set("3")
		return nil
	})
	if err != nil {
		return "", err
	}
	f := workflow.Go(ctx, func(ctx workflow.Context) (string, error) {
		return id, workflow.Do(ctx, "branch", func(context.Context) error {
			id = "4" // want `assigns to id`
			return nil
		})
	})
	return f.Wait(ctx)
}

// retried gives fn to a step.
func retried(ctx workflow.Context, name string, fn func() error) error {
	if fn == nil {
		return errors.New("no function")
	}
	return workflow.Do(ctx, name, func(context.Context) error { return fn() })
}

// named gives fn to retried.
func named(ctx workflow.Context, fn func() error) error { return retried(ctx, "named", fn) }

func wrapped(ctx workflow.Context, _ string) (string, error) {
	var id string
	if err := retried(ctx, "a", func() error { id = "a"; return nil }); err != nil { // want `assigns to id`
		return "", err
	}
	err := named(ctx, func() error { id = "b"; return nil }) // want `assigns to id`
	return id, err
}

type run struct {
	ctx workflow.Context
	id  string
}

func (r *run) fromField() (string, error) {
	var id string
	err := workflow.Do(r.ctx, "charge", func(context.Context) error {
		id = "1" // want `assigns to id`
		return nil
	})
	return id, err
}

// What is not lost.

type shop struct {
	charged int
	cache   map[string]string
}

var total int

func (s *shop) fine(ctx workflow.Context, in order) (_ string, err error) {
	id, err := workflow.Step(ctx, "charge", func(ctx context.Context) (string, error) {
		var r receipt
		id, err := charge(ctx)
		r.ID = id
		_ = json.Unmarshal(nil, &r)
		func() { r.ID = "a closure in it" }()
		s.charged++ // of the process, not of the workflow
		s.cache[id] = id
		total++
		return r.ID, err
	})
	if err != nil {
		return "", err
	}
	err = workflow.Do(ctx, "overwritten", func(ctx context.Context) error {
		_, err = charge(ctx)
		return err
	})
	if err != nil {
		return "", err
	}
	if id, err = workflow.Step(ctx, "both overwritten", func(ctx context.Context) (string, error) {
		id, err = charge(ctx)
		return id, err
	}); err != nil {
		return "", err
	}
	n := 0
	add := func() { n++ }
	add()
	future := workflow.Go(ctx, func(ctx workflow.Context) (int, error) { n++; return n, nil })
	_, err = future.Wait(ctx)
	in.Receipt.ID = id
	return workflow.Step(ctx, "named result", func(ctx context.Context) (string, error) {
		_, err = charge(ctx)
		return "", err
	})
}

// test is how tests count: what is around the workflow belongs to the process.
func test() *workflow.Workflow[string, string] {
	calls := 0
	step := func(context.Context) error { calls++; return nil }
	count := func(v int) { calls += v }
	return workflow.Define("counted", func(ctx workflow.Context, _ string) (string, error) {
		if err := workflow.Do(ctx, "outside", step); err != nil {
			return "", err
		}
		return "", workflow.Do(ctx, "inside", func(context.Context) error {
			calls++
			count(2)
			return nil
		})
	})
}
