// Package maprange has loops over maps.
package maprange

import (
	"context"
	"maps"
	"slices"
	"sort"
	"time"

	"github.com/tenter-dev/tenter/workflow"
)

func steps(ctx workflow.Context, prices map[string]int) (int, error) {
	sum := 0
	for name, price := range prices { // want `ranging over a map makes durable calls in another order on replay: range over its keys in order, slices.Sorted\(maps.Keys\(m\)\)`
		err := workflow.Do(ctx, "charge "+name, func(context.Context) error { return nil })
		if err != nil {
			return 0, err
		}
		sum += price
	}
	return sum, nil
}

type table map[string]*workflow.Hook[bool]

func hooks(ctx workflow.Context, t table) (int, error) {
	for _, hook := range t { // want `ranging over a map`
		hook.Close()
	}
	for name := range maps.Keys(t) { // want `ranging over a map`
		if _, err := t[name].Wait(ctx); err != nil {
			return 0, err
		}
	}
	for _, name := range slices.Collect(maps.Keys(t)) { // want `ranging over a map`
		_ = workflow.NewID(ctx) + name
	}
	for name := range t { // want `ranging over a map`
		if workflow.Patched(ctx, name) {
			return 1, nil
		}
	}
	return 0, nil
}

func prepared(ctx workflow.Context, t table) error {
	var waits []func(workflow.Context) (bool, error)
	for _, hook := range t { // want `ranging over a map`
		waits = append(waits, hook.Wait)
	}
	for name := range t { // want `ranging over a map`
		waits = append(waits, func(ctx workflow.Context) (bool, error) { return t[name].Wait(ctx) })
	}
	var cases []workflow.Case
	for _, hook := range t { // want `ranging over a map`
		cases = append(cases, workflow.OnPayload(hook, func(bool) error { return nil }))
	}
	if _, err := workflow.All(ctx, waits...); err != nil {
		return err
	}
	return workflow.Select(ctx, cases...)
}

func called(ctx workflow.Context, prices map[string]int) error {
	charge := func(name string) error {
		return workflow.Do(ctx, name, func(context.Context) error { return nil })
	}
	for name := range prices { // want `ranging over a map`
		if err := charge(name); err != nil {
			return err
		}
	}
	for name := range prices { // want `ranging over a map`
		if err := pay(ctx, name); err != nil {
			return err
		}
	}
	for name := range prices { // want `ranging over a map`
		func() {
			for range prices { // want `ranging over a map`
				_ = pay(ctx, name)
			}
		}()
		break
	}
	return nil
}

func pay(ctx workflow.Context, name string) error { return payTwice(ctx, name) }

func payTwice(ctx workflow.Context, name string) error {
	return workflow.Do(ctx, name, func(context.Context) error { return nil })
}

func generic[M ~map[K]V, K comparable, V any](ctx workflow.Context, m M) error {
	for range m { // want `ranging over a map`
		if err := workflow.Sleep(ctx, time.Second); err != nil {
			return err
		}
	}
	return nil
}

// What does not depend on the order.

func sorted(ctx workflow.Context, prices map[string]int) error {
	var names []string
	for name := range prices {
		names = append(names, name)
	}
	sort.Strings(names)
	for _, name := range names {
		if err := pay(ctx, name); err != nil {
			return err
		}
	}
	for _, name := range slices.Sorted(maps.Keys(prices)) {
		if err := pay(ctx, name); err != nil {
			return err
		}
	}
	return nil
}

func sums(ctx workflow.Context, prices map[string]int) (int, error) {
	sum := 0
	for name, price := range prices {
		workflow.Logger(ctx).Info("a price", "name", name, "at", workflow.Now(ctx))
		sum += rounded(ctx, price)
	}
	return workflow.Step(ctx, "sum", func(ctx context.Context) (int, error) {
		for _, price := range prices {
			if err := send(ctx, price); err != nil {
				return 0, err
			}
		}
		return sum, nil
	})
}

func rounded(ctx workflow.Context, price int) int { return price + workflow.InfoOf(ctx).Version }

func send(context.Context, int) error { return nil }
