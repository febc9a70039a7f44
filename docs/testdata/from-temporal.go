package p

import (
	"context"

	"github.com/tenter-dev/tenter/workflow"
)

type (
	OrderInput struct {
		ID     string
		Amount int
	}
	Receipt  struct{ Tracking string }
	Shipped  struct{ Tracking string }
	Payments struct{}
)

func (Payments) Charge(context.Context, int, string) (Receipt, error) { return Receipt{}, nil }

var (
	payments Payments
	ErrLost  = workflow.DefineError("parcel lost")
)
