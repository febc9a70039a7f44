package p

import (
	"context"

	"github.com/tenter-dev/tenter/workflow"
)

type order struct{}

type shopCode struct{}

func (shopCode) orderV1(workflow.Context, order) (order, error) { return order{}, nil }
func (shopCode) orderV2(workflow.Context, order) (order, error) { return order{}, nil }

var (
	shop  shopCode
	Order = workflow.Declare[order, order]("order")
)

func check(context.Context) error  { return nil }
func charge(context.Context) error { return nil }
