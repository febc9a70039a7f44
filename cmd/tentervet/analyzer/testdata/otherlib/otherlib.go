// Package otherlib is of another module.
package otherlib

import "time"

// Now is what libraries have, and use in ways that are their own business.
func Now() time.Time { return time.Now() }
