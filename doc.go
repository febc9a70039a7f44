// Package tenter is the root of Tenter, a durable workflow engine. It holds
// no code; what follows is a map of the module.
//
// A workflow is an ordinary Go function that can pause for a second or a
// year, survive any crash, and go on exactly where it was. What it does best
// is wait for the outside world: a hook pauses a run until somebody sends a
// payload to its token, and a webhook gives a run a URL of its own.
//
//	var Approval = workflow.Define("approval", approve)
//
//	func approve(ctx workflow.Context, doc string) (bool, error) {
//		hook, err := workflow.NewHook[Decision](ctx, workflow.Token("approval:"+doc))
//		if err != nil {
//			return false, err
//		}
//		defer hook.Close()
//
//		err = workflow.Do(ctx, "ask", func(ctx context.Context) error {
//			return mailReviewers(ctx, doc, hook.Token())
//		})
//		if err != nil {
//			return false, err
//		}
//		decision, err := hook.Wait(ctx) // days later, perhaps after a deploy
//		return decision.Approved, err
//	}
//
// The program that runs it opens a store, makes an engine and keeps it going:
//
//	st, err := sqlite.Open("app.db")
//	...
//	eng, err := engine.New(st, engine.Options{
//		Workflows: []workflow.Definition{Approval},
//	})
//	...
//	go func() { log.Fatal(eng.Run(ctx)) }()
//
//	run, err := Approval.Start(ctx, eng, "doc-7")
//	...
//	_, err = workflow.Resume(ctx, eng, "approval:doc-7", Decision{Approved: true})
//	...
//	approved, err := run.Result(ctx)
//
// # Packages
//
//   - [github.com/tenter-dev/tenter/workflow] is what authors of workflows
//     import: steps, hooks, webhooks, timers, child runs.
//   - [github.com/tenter-dev/tenter/engine] executes workflows, and starts,
//     resumes and watches runs.
//   - [github.com/tenter-dev/tenter/store] is the contract between an engine
//     and its database. Pick one of
//     [github.com/tenter-dev/tenter/store/sqlite], a file beside the program,
//     and [github.com/tenter-dev/tenter/store/postgres], for many workers.
//   - [github.com/tenter-dev/tenter/server] has the HTTP handlers: webhooks
//     and the API; [github.com/tenter-dev/tenter/client] is its other end.
//   - [github.com/tenter-dev/tenter/sender] knows the systems that send webhooks: GitHub, Stripe, Slack and more.
//   - [github.com/tenter-dev/tenter/access] says who may look and who may act, over HTTP.
//   - [github.com/tenter-dev/tenter/inspect] is what people and tools see of runs,
//     from an engine or a client alike.
//   - [github.com/tenter-dev/tenter/dashboard] shows runs to people.
//   - [github.com/tenter-dev/tenter/workflowtest] tests workflows, with days
//     of fake time in milliseconds.
//   - [github.com/tenter-dev/tenter/cmd/tenter] is the command line, and
//     [github.com/tenter-dev/tenter/cmd/tentervet], a module of its own, finds
//     mistakes in workflow code.
//
// Start with package workflow, or with the examples folder, where each
// program runs by itself.
package tenter
