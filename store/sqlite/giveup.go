package sqlite

import (
	"errors"
	"fmt"
	"sync/atomic"
)

// giveUp is why a store was given up while it was open: its file is damaged, or its files
// are not those any more that others find. From then on nothing is read or written: what
// was decided on a damaged page would make it worse, and what is written to a file without
// a name is lost.
type giveUp struct{ reason atomic.Pointer[error] }

// err returns the error of all operations since, or nil.
func (g *giveUp) err() error {
	if err := g.reason.Load(); err != nil {
		return *err
	}
	return nil
}

// seen returns err, or if the store is to be given up for it, what is to be returned from
// now on.
func (s *Store) seen(err error) error {
	switch {
	case isDamage(err):
		return s.give(fmt.Errorf("database %q: %w (%w): nothing more is written to it; %s", s.path, ErrCorrupt, err, adviceCorrupt))
	case isGivenUp(err):
		return s.givenUp.err()
	}
	return err
}

// inPlace gives the store up if its files are not those any more that have their names.
func (s *Store) inPlace() error {
	if err := s.givenUp.err(); err != nil {
		return err
	}
	if err := s.place.changed(); err != nil {
		return s.give(fmt.Errorf("database %q: %w (%w): nothing more is written to it; %s", s.path, ErrReplaced, err, adviceReplaced()))
	}
	return nil
}

// give gives the store up, for the first reason that there is.
func (s *Store) give(reason error) error {
	if s.givenUp.reason.CompareAndSwap(nil, &reason) {
		s.opts.Logger.Error("the database is given up: nothing more is read from it or written to it", "database", s.path, "error", reason)
	}
	return s.givenUp.err()
}

// isGivenUp reports whether an error is one for which a store is given up.
func isGivenUp(err error) bool { return errors.Is(err, ErrCorrupt) || errors.Is(err, ErrReplaced) }
