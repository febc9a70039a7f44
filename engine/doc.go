// Package engine executes runs.
//
// An [Engine] on a store is the door to runs: [workflow.Workflow.Start],
// [Engine.Resume] and [workflow.Run.Result] go through it. While [Engine.Run] is
// called it is a worker too, and executes the workflows it was given. Any number of
// processes may do so on one store.
//
// # How it works
//
// A run is an actor with a journal and a mailbox. Its owner feeds it one event at a
// time; workflow code goes on until all its branches wait again; what it asked for
// is committed together with the event, as one transition, and only then does
// anything begin that can be seen outside:
//
//	       ┌──────────── mailbox, step results, timers ◄───────────┐
//	       ▼                                                       │
//	feed one event ──► code goes on ──► commit transition ──► begin steps,
//	 (execution)        (branches)         (store)            answer callers
//
// A crash at any point loses nothing: what was not committed had not been seen, and
// what was is replayed (execution.replay) the same way.
//
// The parts, each in its file: branch (coroutines), scope (what branches can do and
// how they are canceled), step, timer, hook, backlog, child, respond (what they wait for),
// execution (all of a run's code), schedule (when its steps are attempted), actor (the run in its worker), advance, transition
// and commit (a round of it), attempt (steps being executed), txstep (those in a transaction
// of the application, as is all in tx), handoff (what callers hand to a live run, and take
// back from one whose code does not yield), quarantine (runs that
// kill their worker), worker, claim, cache and address (which runs are here, and who
// finds them), lease, watchdog, await (who waits for the end of runs) and unattended (of
// which nobody executes), webhook and caller (requests that wait for an answer),
// telemetry and trace (what OpenTelemetry is told).
//
// It knows no driver and no HTTP: stores and servers are built around it.
package engine
