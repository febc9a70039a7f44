// Package workflowtest tests workflows, with the real engine on the real SQLite store,
// in a bubble of fake time (see package testing/synctest): a year of waiting takes
// milliseconds, and no test sleeps.
//
//	func TestApproval(t *testing.T) {
//		t.Parallel()
//		opts := engine.Options{Workflows: []workflow.Definition{Approval}}
//		workflowtest.Test(t, opts, func(t *testing.T, eng *workflowtest.Engine) {
//			run := workflowtest.Start(eng, Approval, "doc-7")
//			eng.Advance(365 * 24 * time.Hour)
//			eng.Hook(run).Resume(Decision{Approved: true})
//			if got := workflowtest.Result(eng, run); got != "published" {
//				t.Errorf("result is %q", got)
//			}
//		})
//	}
//
// The [Engine] is a workflow.Client, so code that takes one can be tested as it is. A
// call that starts, resumes or cancels a run returns when all runs have gone as far as
// they can without time passing. [Engine.State] tells what a run waits for,
// [Engine.Hook] waits until it waits for a hook, [Result] for its end, [Engine.Journal] has
// its history as text.
//
// Steps are executed for real, unless the test says otherwise: [Replace] puts a fake in
// the place of a step, [Step.Fail] has attempts of it fail, [Step.Kill] has it kill the
// process. Webhooks are reached by [Engine.HTTP], without a socket; [Engine.Link] finds the link of
// somebody, to answer by it.
//
// [CrashEverywhere] is [Test] with a worker that crashes at every commit: the test must
// pass all the same. [Replay] replays runs of other builds, from files.
//
// # What is different from production
//
// Retries of steps have no jitter: with the default they come after 1 s, 2 s, 4 s. IDs
// of runs are in order, and their secrets, from which tokens, NewID and Rand are
// derived, are the same in each execution of a test. The test is one process, the
// worker another one, on one private database: so a transactional step, which needs a
// transaction of the application on it, has to be replaced.
//
// Inside the bubble there is no network, and T.Run, T.Parallel and T.Deadline may not be
// called: call T.Parallel before Test, and Test in subtests. Cleanup functions that the
// test registers are executed while the engine still works.
package workflowtest
