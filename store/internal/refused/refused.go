// Package refused tells errors by which a store refuses an operation from failures.
package refused

import (
	"errors"

	"github.com/tenter-dev/tenter/store"
)

// Is reports whether an error says that nothing was written, and that nothing would be if the
// operation were tried again.
func Is(err error) bool {
	for _, e := range []error{
		store.ErrNotFound, store.ErrExists, store.ErrConflict,
		store.ErrFenced, store.ErrPaused, store.ErrMismatch, store.ErrOldWorker, store.ErrClosed,
	} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}
