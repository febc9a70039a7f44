//go:build race

package sqlite

import "flag"

// The race detector makes the checks of the store model take twenty times as long. All of them are
// executed without it.
func init() { _ = flag.Set("rapid.checks", "20") }
