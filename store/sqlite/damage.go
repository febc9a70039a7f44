package sqlite

import (
	"fmt"
	"sync/atomic"
)

// damage is what was found wrong with the file while it was open. From then on nothing
// is read or written any more: what was decided on a damaged page would make it worse.
type damage struct{ found atomic.Pointer[error] }

// err returns the error of all operations after the damage was found, or nil.
func (d *damage) err() error {
	if err := d.found.Load(); err != nil {
		return *err
	}
	return nil
}

// seen returns err, or if it tells of damage what is to be returned from now on.
func (s *Store) seen(err error) error {
	if !isDamage(err) {
		return err
	}
	return s.give(fmt.Errorf("database %q: %w (%w): nothing more is written to it; %s", s.path, ErrCorrupt, err, adviceCorrupt))
}

// give gives the file up, for the first reason that there is.
func (s *Store) give(reason error) error {
	if s.damage.found.CompareAndSwap(nil, &reason) {
		s.opts.Logger.Error("the database is damaged: nothing more is written to it", "database", s.path, "error", reason)
	}
	return s.damage.err()
}
