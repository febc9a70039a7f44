package sqlite

import (
	"context"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"zombiezen.com/go/sqlite"

	"github.com/tenter-dev/tenter/store"
	"github.com/tenter-dev/tenter/store/internal/watch"
	"github.com/tenter-dev/tenter/store/internal/workers"
)

// Options are what can be chosen when a database is opened. The zero value works.
type Options struct {
	// Clock decides acceptance times and leases. Default: time.Now.
	Clock func() time.Time

	// Private promises that no other process, and no other Store of this process,
	// opens the file while it is open here. Its changes are not looked for then,
	// so that a store with nothing to do does nothing at all. Default: false.
	Private bool

	// Logger gets the warnings, such as a transaction of another process that
	// holds up all commits. Default: slog.Default().
	Logger *slog.Logger

	// Existing wants the database to be there, with the schema of this binary: it is
	// neither made nor migrated. For tools that only look. Default: false.
	Existing bool

	// Readers is how many reads can go on at the same time. Default: 4.
	Readers int
}

func (o Options) withDefaults() Options {
	if o.Clock == nil {
		o.Clock = time.Now
	}
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	if o.Readers <= 0 {
		o.Readers = 4
	}
	return o
}

// Store is a store in one SQLite file. It is safe for concurrent use.
type Store struct {
	client
	path    string
	opts    Options
	w       *writer
	pool    *pool
	watch   watch.List[store.Signal]
	commits watch.List[store.Commit]
	stats   counters
	defs    workers.Decoder
	fatal   fatalError
	files   *openFiles
	closed  atomic.Bool

	previous bool // the file has the schema before this one, which a Reader reads
}

var _ store.Store = (*Store)(nil)

// client has the operations of store.Client. They are carried out by do: the writer,
// or what carries them out in a transaction of the application.
type client struct {
	do func(ctx context.Context, run func(w *writer) error) error
}

// Open opens the database in the file at path, which is made if it does not exist.
func Open(path string) (*Store, error) { return OpenWith(path, Options{}) }

// OpenWith is Open with options. A file that Tenter cannot use is left as it is,
// and the error is an *OpenError that says what to do.
func OpenWith(path string, o Options) (*Store, error) {
	o = o.withDefaults()
	if err := inspect(path); err != nil {
		return nil, err
	}
	create := sqlite.OpenCreate
	if o.Existing {
		create = 0
		if _, err := existing(path, thisEdition.known()); err != nil {
			return nil, err
		}
	}
	c, err := openWriter(path, create)
	if err != nil {
		return nil, err
	}
	if err := thisEdition.migrate(c, path, o.Clock); err != nil {
		_ = c.close()
		if isDamage(err) {
			return nil, &OpenError{Path: path, Err: ErrCorrupt, Detail: err.Error(), Advice: adviceCorrupt}
		}
		return nil, err
	}
	s := &Store{path: path, opts: o}
	if s.files, err = statFiles(path, c, "-wal", "-shm"); err != nil {
		_ = c.close()
		return nil, &OpenError{Path: path, Err: err, Advice: "end the processes that have it open, put it back together with its -wal, and start them again"}
	}
	s.pool = newPool(s, o.Readers)
	s.w = newWriter(s, c)
	s.client = client{s.w.do}
	if err := s.w.start(); err != nil {
		_ = c.close()
		return nil, fmt.Errorf("open database %q: %w", path, err)
	}
	return s, nil
}

// Path is the file that the store is in.
func (s *Store) Path() string { return s.path }

// String names the file, for logs.
func (s *Store) String() string { return "sqlite " + s.path }

// Now is the clock that decides acceptance times and leases.
func (s *Store) Now() time.Time { return s.opts.Clock() }

// Shared reports whether other processes may have the file open.
func (s *Store) Shared() bool { return !s.opts.Private }

// closeWithin is how long Close lets what is under way go on.
const closeWithin = 3 * time.Second

// Close carries out the operations that wait, lets the reads under way end and closes
// the file. Operations called later return store.ErrClosed. If the disk does not answer
// it fails after 3 s, and leaves the file open: nothing of what was committed is lost,
// and the outcome of what was under way is unknown.
func (s *Store) Close() error {
	if !s.closed.CompareAndSwap(false, true) {
		return nil
	}
	return s.closing(func() error {
		s.pool.close()
		return s.w.close()
	})
}

// closing calls f, for a while.
func (s *Store) closing(f func() error) error {
	done := make(chan error, 1)
	go func() { done <- f() }()
	late := time.NewTimer(closeWithin)
	defer late.Stop()
	select {
	case err := <-done:
		if err != nil {
			return fmt.Errorf("close database %q: %w", s.path, err)
		}
		return nil
	case <-late.C:
		return fmt.Errorf("close database %q: the disk did not answer within %v, so the file was left open", s.path, closeWithin)
	}
}
