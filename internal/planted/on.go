//go:build plantedbugs

package planted

import "sync/atomic"

var planted atomic.Value

// Plant makes a bug be there, and no other. Empty: none.
func Plant(b Bug) { planted.Store(b) }

// Here reports whether the bug is there.
func (b Bug) Here() bool { return planted.Load() == b }
