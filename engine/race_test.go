//go:build race

package engine_test

// raceDetector says that goroutines are scheduled as it pleases the race detector.
const raceDetector = true

// fewer is what n becomes where the race detector makes each take twenty times as long. The long
// form is executed without it.
func fewer(n int) int { return n / 5 }
