// Package scenario holds the acceptance tests: what a user of the engine must see,
// each scenario told through the public API alone, on the real SQLite store.
//
// A scenario is told once and played in many ways (see everywhere): with parked runs
// kept in memory and evicted at once, with payloads that carry an idempotency key and
// without, and with the engine crashing at every write of the way, before it and
// after it. Where only a real process will do, the test binary executes itself as a
// worker and is killed with SIGKILL.
package scenario
