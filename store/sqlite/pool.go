package sqlite

import (
	"context"
	"fmt"
	"sync"

	"github.com/tenter-dev/tenter/store"
)

// pool has a few connections that read beside the writer. They are opened when
// they are needed first.
type pool struct {
	s      *Store
	slots  chan *conn // nil: not opened yet
	closed chan struct{}
	once   sync.Once
}

func newPool(s *Store, n int) *pool {
	p := &pool{s: s, slots: make(chan *conn, n), closed: make(chan struct{})}
	for range n {
		p.slots <- nil
	}
	return p
}

// read calls f with a connection, in one snapshot.
func (p *pool) read(ctx context.Context, f func(c *conn) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	select {
	case <-p.closed:
		return store.ErrClosed
	default:
	}
	if err := p.s.fatal.err(); err != nil {
		return err
	}
	var c *conn
	select {
	case c = <-p.slots:
	case <-ctx.Done():
		return ctx.Err()
	case <-p.closed:
		return store.ErrClosed
	}
	defer func() { p.slots <- c }()
	if c == nil {
		var err error
		if c, err = p.s.openReader(); err != nil {
			return p.s.readError(err)
		}
	}
	err := c.snapshot(f)
	if unexpected(err) {
		return p.s.readError(err)
	}
	return err
}

// readError says which database could not be read, and notes if it is damaged.
func (s *Store) readError(err error) error {
	switch {
	case isFatal(err):
		return err
	case isDamage(err):
		return s.noteFatal(err)
	}
	return fmt.Errorf("read database %q: %w", s.path, err)
}

// snapshot calls f in one read transaction.
func (c *conn) snapshot(f func(c *conn) error) error {
	if err := c.on(qBegin).run(); err != nil {
		return err
	}
	err := f(c)
	if e := c.on(qCommit).run(); err == nil {
		err = e
	}
	return err
}

// pause calls f while nobody reads.
func (p *pool) pause(f func()) {
	var conns []*conn
	defer func() {
		for _, c := range conns {
			p.slots <- c
		}
	}()
	for range cap(p.slots) {
		select {
		case c := <-p.slots:
			conns = append(conns, c)
		case <-p.closed:
			return
		}
	}
	f()
}

// close waits for the reads under way.
func (p *pool) close() {
	p.once.Do(func() {
		close(p.closed)
		for range cap(p.slots) {
			if c := <-p.slots; c != nil {
				_ = c.close()
			}
		}
	})
}
