//go:build race

package engine_test

// raceDetector says that goroutines are scheduled as it pleases the race detector.
const raceDetector = true
