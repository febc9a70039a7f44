//go:build !race

package engine_test

const raceDetector = false

func fewer(n int) int { return n }
