package p

import (
	"github.com/tenter-dev/tenter/engine"
)

// Payment is what the fragments publish.
type Payment struct{ ID string }

var (
	eng     *engine.Engine
	orderID string
	payment Payment
)
