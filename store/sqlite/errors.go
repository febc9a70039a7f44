package sqlite

import (
	"errors"
	"fmt"

	"github.com/tenter-dev/tenter/store"
)

// What can be wrong with a file, as the Err of an *OpenError. ErrCorrupt and ErrReplaced are
// also what all operations return once that has shown while the database was open.
var (
	ErrNoDirectory = errors.New("the directory does not exist")
	ErrNotDatabase = errors.New("the file is not a SQLite database")
	ErrCorrupt     = errors.New("the database is damaged")
	ErrMissing     = errors.New("there is no database of Tenter")
	ErrOlder       = errors.New("the database was written by an older version of Tenter")
	ErrNewer       = errors.New("the database was written by a newer version of Tenter")
	ErrInUse       = errors.New("workers of an older version of Tenter use the database")
	ErrReplaced    = errors.New("the files of the database were removed or replaced while it was open")
)

// OpenError says why a file cannot be used, and what to do. The file has been
// left as it was.
type OpenError struct {
	Path   string
	Err    error  // errors.Is(err, ErrCorrupt) and so on
	Detail string // what was found
	Advice string // what to do
}

// Error says which file it is, what is wrong, and what to do.
func (e *OpenError) Error() string {
	s := fmt.Sprintf("open database %q: %v", e.Path, e.Err)
	if e.Detail != "" {
		s += " (" + e.Detail + ")"
	}
	if e.Advice != "" {
		s += "; " + e.Advice
	}
	return s
}

// Unwrap returns Err.
func (e *OpenError) Unwrap() error { return e.Err }

var errUnknownEffect = errors.New("the transition has an effect of an unknown kind")

func isNotFound(err error) bool { return errors.Is(err, store.ErrNotFound) }
