// Package execution executes the workflow code of one run.
//
// It is fed the events of the run's journal one at a time and says what the code asks for.
// It is deterministic: fed the same events, it asks for the same. It knows no store but its
// types, no clock, and no worker. All that ties it to the machine is the identity of
// goroutines (branch, execution), stacks (divergence, stacks), and the time that deferred
// functions get when a run is evicted (branch).
package execution
