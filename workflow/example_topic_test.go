package workflow_test

import (
	"context"
	"fmt"

	"github.com/tenter-dev/tenter/workflow"
)

// Receipt is what is published to the topic Paid.
type Receipt struct {
	Amount int
}

// Paid is shared by the workflows that listen and the code that publishes.
var Paid = workflow.DefineTopic[Receipt]("paid")

// A topic reaches all hooks that listen to a subject, many or none: the publisher need not know
// them.
func ExampleDefineTopic() {
	// listener is a workflow that waits for the payment of an order.
	listener := func(name string) *workflow.Workflow[string, string] {
		return workflow.Define(name, func(ctx workflow.Context, orderID string) (string, error) {
			paid, err := Paid.Listen(ctx, orderID)
			if err != nil {
				return "", err
			}
			defer paid.Close()
			p, err := paid.Wait(ctx)
			return fmt.Sprintf("%s knows of %d", name, p.Amount), err
		})
	}
	shipping, accounting := listener("shipping"), listener("accounting")
	eng, stop := serve(shipping, accounting)
	defer stop()

	ctx := context.Background()
	ship := must(shipping.Start(ctx, eng, "order-7"))
	book := must(accounting.Start(ctx, eng, "order-7"))

	p := must(Paid.Publish(ctx, eng, "order-7", Receipt{Amount: 100}, workflow.IdempotencyKey("payment-3")))
	fmt.Println(p.Listeners, "listen")
	fmt.Println(ship.Result(ctx))
	fmt.Println(book.Result(ctx))

	p = must(Paid.Publish(ctx, eng, "order-8", Receipt{Amount: 5}))
	fmt.Println(p.Listeners, "listen")
	// Output:
	// 2 listen
	// shipping knows of 100 <nil>
	// accounting knows of 100 <nil>
	// 0 listen
}
