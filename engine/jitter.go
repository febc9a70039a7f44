package engine

import "math/rand/v2"

// jitter returns a random number from 0 up to 1, so that not all do something in the
// same moment. The simulation replaces it to be repeatable.
var jitter = rand.Float64
