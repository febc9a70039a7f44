// Package jitter keeps waiting goroutines and processes from acting at the same moment.
package jitter

import "math/rand/v2"

var source = rand.Float64

// Fraction returns a random number in [0, 1).
func Fraction() float64 { return source() }

// Replace replaces the source of random numbers until it is restored: a simulation has to be
// repeatable.
func Replace(f func() float64) (restore func()) {
	had := source
	source = f
	return func() { source = had }
}
