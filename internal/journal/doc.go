// Package journal is the language of journals: what Tenter itself writes into them, and
// into the columns beside them, in a form that has to outlive the binary that wrote it.
// It has the lines of what code asks for, the references of hooks, children and steps,
// errors in their recorded form, the reasons for which runs are blocked, and the labels
// from which tokens, IDs and random numbers derive.
//
// Each form has one writer and one reader, and both are here. Databases out there are
// full of these bytes: a form can get a successor that is read beside it, but it can't
// change. The tests of this package have the forms as literals, and engine/testdata/golden
// has whole journals. The kinds of events are in package store, whose contract has them.
package journal
