// Package execution executes the workflow code of one run.
//
// An execution is fed the events of the run's journal one at a time and says what the code
// asks for. It is deterministic: fed the same events, it asks for the same. It knows no clock,
// no worker, and nothing of the store but its types. Only three things tie it to the machine:
// the identity of goroutines (branch, execution), stacks (divergence, stacks), and the time
// that deferred functions get when a run is evicted (branch).
package execution
