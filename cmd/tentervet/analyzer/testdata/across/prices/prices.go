// Package prices is of the same module as its caller.
package prices

import (
	"context"
	"os"
	"time"

	"github.com/tenter-dev/tenter/workflow"
)

// List has prices.
type List struct{}

// Load reads them.
func (l *List) Load() ([]byte, error) { return os.ReadFile("prices") } // want Load:`io os.ReadFile`

// Today is one of them.
func Today() int { return price(time.Now()) } // want Today:`clock time.Now`

func price(at time.Time) int { return at.Day() }

// Tomorrow reads the clock too.
func Tomorrow() int { return Today() + 1 } // want Tomorrow:`clock time.Now`

// Context is another name.
type Context = workflow.Context

// Round is harmless.
func Round(n int) int { return n / 10 * 10 }

// Blessed is said to be harmless.
func Blessed() int {
	return time.Now().Day() //lint:ignore tentervet the result is only shown
}

// Retry gives fn to a step.
func Retry(ctx workflow.Context, name string, fn func() error) error { // want Retry:`durable, steps \[2\]`
	return workflow.Do(ctx, name, func(context.Context) error { return fn() })
}

// Label takes a context, and does nothing durable.
func Label(ctx workflow.Context, s string) string { return workflow.InfoOf(ctx).RunID + s } // want Label:`^$`
