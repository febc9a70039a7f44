// Package workflow is what authors of workflows use.
//
// A workflow is an ordinary Go function that can pause for a second or a year and
// survives any crash. It decides; what it does to the world is done in steps, whose
// results are recorded. After a crash the function is called again with the same
// input, each step and wait returns what is recorded, and it goes on where it was:
//
//	var Approval = workflow.Define("approval", func(ctx workflow.Context, doc string) (string, error) {
//		hook, err := workflow.NewHook[Decision](ctx, workflow.Token("approval:"+doc))
//		if err != nil {
//			return "", err
//		}
//		defer hook.Close()
//
//		decision, err := hook.Wait(ctx) // a second or a year
//		if err != nil {
//			return "", err
//		}
//		return workflow.Step(ctx, "publish", func(ctx context.Context) (string, error) {
//			return publish(ctx, doc, decision)
//		})
//	})
//
// # Waiting
//
// A [Hook] waits for payloads from outside, [Sleep] for time, [Workflow.Call] for
// another run, [Future.Wait] for a branch started with [Go]. [Select], [First] and
// [All] wait for several of them; what loses a race consumes nothing.
// [WithTimeout] and its relatives bound any wait, durably.
//
// # Determinism
//
// Workflow code must make the same calls in the same order when it is called again.
// So it takes the time from [Now], random numbers from [Rand], IDs from [NewID],
// concurrency from [Go], and leaves the rest to steps. A change of the code that
// breaks this for runs under way blocks them with a message that says where;
// [Version] keeps them on the old code.
//
// # Deferred functions
//
// A run that waits may be put out of memory, and comes back by being called again. Its deferred
// functions are executed when it goes, although it has not ended: what is durable in them
// ([Hook.Close], a step, a line of [Logger]) does nothing then, and comes when the run really gets
// there. So side effects belong in steps there too. A recover does not see it.
package workflow
