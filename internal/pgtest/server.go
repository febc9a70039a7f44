package pgtest

import (
	"context"
	"errors"
	"net"
	"os"
	"strconv"
	"syscall"
	"testing"

	"github.com/tenter-dev/tenter/internal/sandbox"
)

// Server is a PostgreSQL of the test's own.
type Server struct {
	t testing.TB
	c *cluster
}

// Start starts a server as PostgreSQL ships it, except for 300 connections and what the
// settings say ("log_statement=all"). It ends with the test.
func Start(t testing.TB, settings ...string) *Server {
	t.Helper()
	c, err := newCluster(context.WithoutCancel(t.Context()), shortPath, settings...)
	if errors.Is(err, ErrNotInstalled) {
		skip(t, err.Error())
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.close(); err != nil {
			t.Error(err)
		}
	})
	return &Server{t, c}
}

// URL logs in as superuser, over the unix socket.
func (s *Server) URL() string { return s.c.socketURL(superuser) }

// TCP is URL over TCP. It has [Server.Addr] in it, which a test can replace by the address
// of a proxy.
func (s *Server) TCP() string { return s.c.tcpURL() }

// Addr is where the server listens: an address on loopback that stays the same over
// restarts.
func (s *Server) Addr() string { return net.JoinHostPort(sandbox.Loopback, strconv.Itoa(s.c.port)) }

// Log is the path of the server's log.
func (s *Server) Log() string { return s.c.box.Path("log") }

// Stop ends the server as an administrator does who does not wait for clients: their
// connections are cut, and what was committed is in the data files.
func (s *Server) Stop() {
	s.t.Helper()
	s.end(os.Interrupt)
}

// Crash ends the server without a good-bye. It recovers from its write-ahead log when it
// is started again.
func (s *Server) Crash() {
	s.t.Helper()
	s.end(syscall.SIGQUIT)
}

func (s *Server) end(signal os.Signal) {
	s.t.Helper()
	if err := s.c.stop(signal); err != nil {
		s.t.Fatal(err)
	}
}

// Start starts a server that was stopped or has crashed. It returns when clients can
// connect.
func (s *Server) Start() {
	s.t.Helper()
	if err := s.c.start(context.WithoutCancel(s.t.Context())); err != nil {
		s.t.Fatal(err)
	}
}

// Restart stops the server and starts it.
func (s *Server) Restart() {
	s.t.Helper()
	s.Stop()
	s.Start()
}
