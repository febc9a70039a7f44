package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/tenter-dev/tenter/workflow"
)

// Order is what the example reads of an order in a webhook.
type Order struct {
	ID                int64  `json:"id"`
	Name              string `json:"name"`
	TotalPrice        string `json:"total_price"`
	CanceledAt        string `json:"cancelled_at"`
	FulfillmentStatus string `json:"fulfillment_status"`
}

// State is what has become of an order.
type State string

// The states of an order.
const (
	Open      State = "open"
	Fulfilled State = "fulfilled"
	Canceled  State = "canceled"
)

// State returns what has become of o.
func (o Order) State() State {
	switch {
	case o.CanceledAt != "":
		return Canceled
	case o.FulfillmentStatus == "fulfilled":
		return Fulfilled
	}
	return Open
}

func token(id int64) string { return "shopify-order:" + strconv.FormatInt(id, 10) }

// returnable is for how long an order that is fulfilled can still be canceled.
const returnable = 30 * 24 * time.Hour

// Handling is what happens to an order, whose ID is its input.
var Handling = workflow.Define("order", handle, workflow.StartedByRequest())

func handle(ctx workflow.Context, id int64) (State, error) {
	hook, err := workflow.NewWebhook(ctx, append(how[:len(how):len(how)], workflow.Token(token(id)))...)
	if err != nil {
		return "", err
	}
	defer hook.Close()

	o, err := next(ctx, hook) // that which has started the run
	if err != nil {
		return "", err
	}
	if err := do(ctx, "reserve", "Order %s: what it takes is reserved.", o.Name); err != nil {
		return "", err
	}
	for o.State() == Open {
		if o, err = next(ctx, hook); err != nil {
			return "", err
		}
	}
	if o.State() == Canceled {
		return Canceled, do(ctx, "release", "Order %s: it is canceled, and nothing is reserved any more.", o.Name)
	}

	if err := do(ctx, "thank", "Order %s: %s, and the customer is thanked.", o.Name, o.TotalPrice); err != nil {
		return "", err
	}
	month, stop := workflow.WithTimeout(ctx, returnable)
	defer stop()
	for o.State() != Canceled {
		o, err = next(month, hook)
		if errors.Is(err, context.DeadlineExceeded) {
			return Fulfilled, nil
		}
		if err != nil {
			return "", err
		}
	}
	return Canceled, do(ctx, "refund", "Order %s: %s is paid back.", o.Name, o.TotalPrice)
}

// next waits for what Shopify sends next about an order.
func next(ctx workflow.Context, hook *workflow.Webhook) (o Order, err error) {
	req, err := hook.Wait(ctx)
	if err != nil {
		return o, err
	}
	return o, req.JSON(&o)
}

// do stands for what a shop does.
func do(ctx workflow.Context, step, format string, args ...any) error {
	return workflow.Do(ctx, step, func(context.Context) error {
		_, err := fmt.Printf(format+"\n", args...)
		return err
	})
}
