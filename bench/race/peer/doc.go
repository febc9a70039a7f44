// Package peer is what the programs that race have in common: one program for each
// engine, in a module of its own, so that no engine decides on another's dependencies.
// Such a program opens a [System] and leaves the rest to [Main]: loops, clocks and
// counts are the same for all.
//
// The race starts the program, tells it in a line of JSON where its database is, and
// then sends [Command] after [Command], each answered by one [Result]. The end of its
// input ends the program. A system can also be raced in two processes, a worker and a
// client: see [Role].
package peer
