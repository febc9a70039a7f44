// Package run is the seam between the author API in package workflow and the
// engine that executes runs: what a workflow asks for and what it is given, as
// plain values and bytes. Package workflow puts types around it; the engine
// implements [Scope]. It knows neither of them, and no store.
package run
