package p

import (
	"context"

	"github.com/tenter-dev/tenter/engine"
)

type Payment struct{ Amount int }

func release(context.Context, string) error { return nil }

var (
	eng             *engine.Engine
	order, delivery string
)
