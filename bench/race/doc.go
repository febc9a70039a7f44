// Command race measures Tenter and its peers side by side, on this machine: the same
// workloads, each engine as its documentation sets it up to lose nothing.
//
//	go run ./race                  measure all, and update docs/performance.md and the plot
//	go run ./race -only 'DBOS'     only those whose names the pattern matches
//	go run ./race -quick           see that it works; the numbers mean little
//
// Each engine is raced by a program of its own, in a module of its own below peers/,
// which this program builds and drives as package peer says. In each round each engine
// gets a fresh database and a fresh process, while none of the others is up, and warms
// up; the order changes from round to round. On another fresh database, one process
// starts runs that a second one executes. The tables have the median of the rounds, and
// what they ranged over. What can't be had or fails is in the tables too, with why.
package main
