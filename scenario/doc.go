// Package scenario holds the acceptance tests: what a user of the engine must see,
// each scenario told through the public API alone, on real stores.
//
// A scenario is told once and played in many ways (see everywhere): with parked runs
// kept in memory and evicted at once, with payloads that carry an idempotency key and
// without, and with the engine crashing at every write of the way, before it and
// after it. That is in a bubble of fake time, on SQLite.
//
// Where only real processes will do, the test binary executes itself as a worker, or as a process
// that takes requests, on either store (see onEachStore); it is killed, frozen, terminated, and cut
// off from its database by a proxy. Where there is a load (see load), a checker compares the
// database with what the test has seen: see checker for what it proves. Loads last for seconds, or
// for as long as -scenario.for and -scenario.kills say.
package scenario
