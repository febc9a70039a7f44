package pgtest

// Programs returns the folder of PostgreSQL's programs. The error is ErrNotInstalled if there are
// none.
func Programs() (string, error) { return findPrograms() }
