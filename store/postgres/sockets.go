package postgres

import (
	"context"
	"net"
	"sync"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/tenter-dev/tenter/store"
)

// sockets are the connections to the server, so that they can be cut: a driver that closes
// one takes its leave of the server first, and waits for a server that does not answer.
type sockets struct {
	mu   sync.Mutex
	open map[*socket]struct{}
	cut  bool
}

type socket struct {
	net.Conn
	of *sockets
}

func (c *socket) Close() error {
	c.of.mu.Lock()
	delete(c.of.open, c)
	c.of.mu.Unlock()
	return c.Conn.Close()
}

// dialer connects as dial does, until the sockets are cut.
func (s *sockets) dialer(dial pgconn.DialFunc) pgconn.DialFunc {
	return func(ctx context.Context, network, addr string) (net.Conn, error) {
		s.mu.Lock()
		cut := s.cut
		s.mu.Unlock()
		if cut {
			return nil, store.ErrClosed
		}
		conn, err := dial(ctx, network, addr)
		if err != nil {
			return nil, err
		}
		c := &socket{conn, s}
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.cut {
			_ = conn.Close()
			return nil, store.ErrClosed
		}
		if s.open == nil {
			s.open = make(map[*socket]struct{})
		}
		s.open[c] = struct{}{}
		return c, nil
	}
}

// sever cuts all connections, and lets there be no more.
func (s *sockets) sever() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.cut = true
	for c := range s.open {
		_ = c.Conn.Close()
	}
}
