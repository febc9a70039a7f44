// Package indirect has workflow code, and does not import package workflow.
package indirect

import (
	"time"

	"example.com/shop/across/prices"
)

func label(ctx prices.Context) (string, error) {
	_ = time.Now() // want `time.Now gives another time`
	return "", ctx.Err()
}
