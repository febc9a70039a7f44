// Package worker executes the runs that it owns.
//
// A run is an actor, with a goroutine while it has something to do. Its execution says what
// the code asks for, its schedule when steps are attempted; the actor commits both as
// transitions and begins what they allow. What a worker may own is decided by its lease,
// and which runs it takes on by its claims.
package worker
