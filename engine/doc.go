// Package engine executes runs.
//
// An [Engine] on a store gives access to runs: [workflow.Workflow.Start], workflow.Resume and
// [workflow.Run.Result] go through it. While [Engine.Run] is running, the engine is also a
// worker and executes its workflows. Any number of processes may do so on one store.
//
// # How it works
//
// A run is an actor with a journal and a mailbox. Its owner feeds it one event at a time;
// workflow code continues until all its branches wait again; what it asked for is committed
// together with the event, as one transition. Only then does anything visible outside begin:
//
//	       ┌──────────── mailbox, step results, timers ◄───────────┐
//	       ▼                                                       │
//	feed one event ──► code goes on ──► commit transition ──► begin steps,
//	 (execution)        (branches)         (store)            answer callers
//
// A crash at any point loses nothing: what was not committed was not visible, and what was
// committed is replayed (Execution.Replay) with the same outcome.
//
// # Floors
//
// The files, from top to bottom. Calls go down; callbacks, waits and results go up.
//
//   - facade: redeliver, webhook, firstrequest, refused, sender, answer, call, watch, tx, publish, resume, exportforreplay, checkreplay, replay, checkpayloads, inspect, failures, respond, catalog, storedhooks,
//     runs, pause, cursor, fork, forkpoint, retry, operations, start, await, unattended, response, engine, program, actor, watchers,
//     errors, options, answerkeys, logger, id
//   - worker (internal/worker): lifecycle, txstep, round, catchup, cache, watchdog, resync,
//     prune, telllisteners, tellends, batches, advance, commit, restart, unknowncommit, pause, report, transition, ownership,
//     attempt, hookindex, quarantine, claim, pausedworkflows, lease, hooktypes, inbox, handoff, worker, actor,
//     schedule, yield
//   - telemetry (internal/telemetry): trace, telemetry
//   - waiting (internal/waiting): loader, begun, resync, recent, result, registry
//   - outage (internal/outage): outage
//   - jitter (internal/jitter): jitter
//   - execution (internal/execution): feed, fork, link, await, backlog, state, hook, respond, child, awaitrun, patch, restart,
//     timer, step, scope, instep, logger, check, derive, origin, execution, span, environment, divergence, branch,
//     stacks
//
// The engine knows neither drivers nor HTTP: stores and servers are built around it.
package engine
