package workflow_test

import (
	"context"
	"fmt"

	"github.com/tenter-dev/tenter/workflow"
)

// Greeting changed the order of its steps. Runs that began on version 1 finish on it;
// new ones begin on version 2.
var Greeting = workflow.Declare[string, string]("greeting")

func greetV1(_ workflow.Context, name string) (string, error) {
	return "Hello " + name, nil
}

func greetV2(ctx workflow.Context, name string) (string, error) {
	return workflow.Step(ctx, "translate", func(context.Context) (string, error) { return "Bonjour " + name, nil })
}

func ExampleVersion() {
	eng, stop := serve(
		Greeting.Implement(greetV1),
		Greeting.Implement(greetV2, workflow.Version(2)),
	)
	defer stop()

	ctx := context.Background()
	run := must(Greeting.Start(ctx, eng, "Ada"))
	fmt.Println(run.Result(ctx))
	fmt.Println(must(run.Info(ctx)).Version)
	// Output:
	// Bonjour Ada <nil>
	// 2
}
