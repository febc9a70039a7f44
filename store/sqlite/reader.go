package sqlite

import (
	"time"

	"zombiezen.com/go/sqlite"

	"github.com/tenter-dev/tenter/store"
)

// reading keeps the Store of a Reader, which could write, out of reach.
type reading = store.Reader

// Reader reads the database in a file, through connections that SQLite refuses to let write. It has
// the methods of [store.Reader], and is safe for concurrent use.
type Reader struct {
	reading
	s *Store
}

// OpenReader opens the database in the file at path to read it, as [engine.CheckReplay] does before
// a deploy; others may have it open. It is neither made nor migrated: its schema is that of this
// binary, or the one before, which this binary has not migrated yet. Options.Existing does not
// count. The error is an *OpenError that says what to do.
//
// [engine.CheckReplay]: https://pkg.go.dev/github.com/tenter-dev/tenter/engine#CheckReplay
func OpenReader(path string, o Options) (*Reader, error) {
	o = o.withDefaults()
	if err := inspect(path); err != nil {
		return nil, err
	}
	version, err := existing(path, thisEdition.known()-1)
	if err != nil {
		return nil, err
	}
	s := &Store{path: path, opts: o, previous: version < thisEdition.known()}
	c, err := openConn(path, sqlite.OpenReadWrite) // as openReader says
	if err != nil {
		return nil, &OpenError{Path: path, Err: err, Advice: adviceCanOpen}
	}
	defer func() { _ = c.close() }()
	c.c.SetBusyTimeout(10 * time.Second)
	if err := c.exec("PRAGMA query_only=1; SELECT count(*) FROM sqlite_schema"); err != nil { // now it has its files open
		return nil, &OpenError{Path: path, Err: err}
	}
	if s.files, err = statFiles(path, c); err != nil {
		return nil, &OpenError{Path: path, Err: err, Advice: "try again when nobody replaces it"}
	}
	s.pool = newPool(s, o.Readers)
	return &Reader{s, s}, nil
}

// String names the file, for logs.
func (r *Reader) String() string { return r.s.String() }

// Close lets the reads under way end and closes the file. Operations called later return
// store.ErrClosed.
func (r *Reader) Close() error {
	if !r.s.closed.CompareAndSwap(false, true) {
		return nil
	}
	return r.s.closing(func() error {
		r.s.pool.close()
		return nil
	})
}
