package sqlite

import (
	"errors"
	"fmt"
	"sync/atomic"
)

// fatalError is why a store has failed for good while it was open: its file is damaged, or its
// files are no longer those that other processes find. From then on nothing is read or written:
// what was decided on a damaged page would make it worse, and what is written to a file without
// a name is lost.
type fatalError struct{ reason atomic.Pointer[error] }

// err returns the error of all operations since, or nil.
func (g *fatalError) err() error {
	if err := g.reason.Load(); err != nil {
		return *err
	}
	return nil
}

// noteFatal returns err, or if that is fatal to the store, what all operations return from now
// on.
func (s *Store) noteFatal(err error) error {
	switch {
	case isDamage(err):
		return s.fail(fmt.Errorf("database %q: %w (%w): nothing more is written to it; %s", s.path, ErrCorrupt, err, adviceCorrupt))
	case isFatal(err):
		return s.fatal.err()
	}
	return err
}

// checkFiles fails the store if its files no longer have their names.
func (s *Store) checkFiles() error {
	if err := s.fatal.err(); err != nil {
		return err
	}
	if err := s.files.changed(); err != nil {
		return s.fail(fmt.Errorf("database %q: %w (%w): nothing more is written to it; %s", s.path, ErrReplaced, err, adviceReplaced()))
	}
	return nil
}

// fail has the store fail for good, for the first reason that there is.
func (s *Store) fail(reason error) error {
	if s.fatal.reason.CompareAndSwap(nil, &reason) {
		s.opts.Logger.Error("the database is given up: nothing more is read from it or written to it", "database", s.path, "error", reason)
	}
	return s.fatal.err()
}

// isFatal reports whether an error is one for which a store fails for good.
func isFatal(err error) bool { return errors.Is(err, ErrCorrupt) || errors.Is(err, ErrReplaced) }
