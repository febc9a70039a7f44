// Package across has workflow code that calls other packages.
package across

import (
	"time"

	"example.com/otherlib"
	"example.com/shop/across/prices"

	"github.com/tenter-dev/tenter/workflow"
)

func order(ctx workflow.Context, list *prices.List) (int, error) {
	if _, err := list.Load(); err != nil { // want `prices.List.Load reaches os.ReadFile \(prices.go:16\), which is executed again on each replay, maybe with another result: call prices.List.Load in a step`
		return 0, err
	}
	n := prices.Today()    // want `prices.Today reaches time.Now \(prices.go:19\), which gives another time`
	n += prices.Tomorrow() // want `prices.Tomorrow reaches time.Now \(in Today, prices.go:19\)`
	n += prices.Round(n) + prices.Blessed()
	_ = otherlib.Now() // of another module: its own business
	return n, nil
}

func wrapped(ctx workflow.Context, names map[string]int) error {
	var last string
	err := prices.Retry(ctx, "charge", func() error {
		time.Sleep(time.Second)
		last = "x" // want `the step assigns to last`
		return nil
	})
	for name := range names {
		last += prices.Label(ctx, name)
	}
	for name := range names { // want `ranging over a map`
		_ = prices.Retry(ctx, name, func() error { return nil })
	}
	workflow.Logger(ctx).Info(last)
	return err
}
