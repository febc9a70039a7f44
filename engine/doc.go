// Package engine executes runs.
//
// An [Engine] on a store is the door to runs: [workflow.Workflow.Start],
// workflow.Resume and [workflow.Run.Result] go through it. While [Engine.Run] is
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
// what was is replayed (Execution.Replay) the same way.
//
// # Floors
//
// The files, from the top to the ground. Calls go down; callbacks, waits and what is
// returned go up.
//
//   - facade: tx, start, webhook, resume, respond, retry, inspect, cursor, catalog, runs,
//     watch, response, await, unattended, prune, operations,
//     engine, logger, id
//   - worker (internal/worker): worker, claim, watchdog, resync, prune, lease, cache, hookindex,
//     quarantine, txstep, attempt, unknowncommit, commit, transition, advance, report, handoff,
//     schedule, actor
//   - telemetry (internal/telemetry): telemetry, trace
//   - waiting (internal/waiting): registry, resync, recent, loader, result
//   - outage (internal/outage): outage
//   - jitter (internal/jitter): jitter
//   - execution (internal/execution): execution, state, respond, child, backlog, hook, step,
//     timer, scope, branch, logger, span, divergence, stacks, environment, check
//
// It knows no driver and no HTTP: stores and servers are built around it.
package engine
