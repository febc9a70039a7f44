// Package worker executes the runs that it owns.
//
// A run is an actor, with a goroutine while it has something to do. Its execution says what
// the code asks for, its schedule when steps are attempted; the actor commits both as
// transitions and begins what they allow. The lease decides whether a worker may own runs, and
// its claims which runs it takes on.
package worker
