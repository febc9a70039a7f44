package workflowtest_test

import (
	"context"
	"fmt"

	"github.com/tenter-dev/tenter/workflow"
	"github.com/tenter-dev/tenter/workflowtest"
)

var (
	ship      = workflow.Declare[string, string]("ship")
	delivered = workflow.DefineHook[string]("delivered")
)

// orderTea is code of an application, which a test gives a fake.
func orderTea(ctx context.Context, c workflow.Client) error {
	_, err := ship.Start(ctx, c, "tea", workflow.RunID("order-42"))
	return err
}

func ExampleFakeClient() {
	ctx := context.Background()
	var c workflowtest.FakeClient
	if err := orderTea(ctx, &c); err != nil {
		fmt.Println(err)
	}
	for _, s := range c.Starts() {
		fmt.Printf("%s of %s with %s\n", s.RunID, s.Workflow, s.Input)
	}
	// Output: order-42 of ship with "tea"
}

func ExampleFakeClient_OpenHook() {
	ctx := context.Background()
	var c workflowtest.FakeClient
	c.OpenHook(workflow.HookInfo{Token: "parcel:7", RunID: "order-42", Type: "delivered"})
	if _, err := delivered.Resume(ctx, &c, "parcel:7", "left at the door"); err != nil {
		fmt.Println(err)
	}
	_, err := delivered.Resume(ctx, &c, "parcel:8", "lost")
	fmt.Println(err)
	for _, r := range c.Resumes() {
		fmt.Printf("%s got %s\n", r.Token, r.Payload)
	}
	// Output:
	// resume hook "parcel:8": hook not found
	// parcel:7 got "left at the door"
}

func ExampleFakeClient_Complete() {
	ctx := context.Background()
	var c workflowtest.FakeClient
	run, err := ship.Start(ctx, &c, "tea")
	if err != nil {
		fmt.Println(err)
		return
	}
	c.Complete(run.ID(), "on its way")
	fmt.Println(run.Result(ctx))
	// Output: on its way <nil>
}
