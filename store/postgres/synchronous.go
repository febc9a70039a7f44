package postgres

import (
	"context"
	"errors"
	"net"
	"sync/atomic"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
)

// With synchronous replication a commit waits until a standby has it, and nobody sees it before.
// There are two exceptions, and what is seen in them may be lost in a failover.
//
// The wait is canceled. The server says success, with a warning: that commit counts as one whose
// answer was lost. The driver asks for that whenever it gives a connection up: it may not during a
// commit.
//
// The server has crashed, or another was promoted. Then all that is in its log is seen, whether a
// standby has it or not. But one commit that a standby has shows that it has all before: so what
// a caller is told is there is locked, which is written and has the commit wait (start_run in
// functions/start.sql). Ends of runs and answers, which are read all the time, count in a session
// of the server that has committed once (confirm): none lives through a crash.

// errCommitCanceled is the outcome of a commit whose wait was canceled.
var errCommitCanceled = errors.New("the outcome is unknown: the wait for a synchronous standby was canceled, so a failover may lose the commit")

// session is what is known of a connection.
type session struct {
	addr     string      // of the host, once there is a connection
	commits  atomic.Bool // a commit is under way, or what became of it is unknown
	canceled atomic.Bool // the wait of the last commit was
}

const sessionKey = "tenter"

func sessionOf(c *pgconn.PgConn) *session {
	s, _ := c.CustomData()[sessionKey].(*session)
	return s
}

// beginSession is called before each connection is made.
func (s *Store) beginSession(_ context.Context, c *pgx.ConnConfig) error {
	begun, dialed, dial := new(session), "", c.DialFunc
	c.DialFunc = func(ctx context.Context, network, addr string) (net.Conn, error) {
		if begun.commits.Load() { // the connection is there: the driver wants to cancel what it does
			return nil, errors.New("a commit is not canceled")
		}
		if begun.addr == "" {
			dialed = addr
		}
		return dial(ctx, network, addr)
	}
	c.AfterConnect = func(_ context.Context, c *pgconn.PgConn) error {
		begun.addr = dialed
		c.CustomData()[sessionKey] = begun
		s.hosts.connected(dialed)
		return nil
	}
	s.hosts.order(c)
	return nil
}

// noticeSession is called for each notice of the server. The function of the server that a warning
// comes from is the same in all languages; its code is that of all warnings.
func noticeSession(c *pgconn.PgConn, n *pgconn.Notice) {
	if s := sessionOf(c); s != nil && n.Routine == "SyncRepWaitForLSN" {
		s.canceled.Store(true)
	}
}

// committing calls f, which commits on a connection.
func committing(c *pgxpool.Conn, f func() error) error {
	s := sessionOf(c.Conn().PgConn())
	s.canceled.Store(false)
	s.commits.Store(true)
	err := f()
	if !c.Conn().IsClosed() {
		s.commits.Store(false)
	}
	if s.canceled.Load() {
		return errCommitCanceled
	}
	return err
}

// confirmed is a column: whether the session has been through confirm. (A name that begins with
// tenter and a dot would be one in the schema.)
const confirmed = `coalesce(current_setting('tenter_session.confirmed', true), '') = 'on'`

// confirm returns when what was read on a connection, and is read in its session from now on, is as
// durable as commits are. The session is the server's: behind a pooler, connections outlive it, and
// share it.
func (s *Store) confirm(ctx context.Context, c *pgxpool.Conn) error {
	if s.sql.reads {
		return nil // it can't commit, and nothing is decided by what it reads
	}
	pid := 0
	err := committing(c, func() error {
		// A commit that has written nothing waits for nobody.
		return c.QueryRow(ctx, "SELECT pg_backend_pid() FROM pg_logical_emit_message(true, 'tenter', '')").Scan(&pid)
	})
	if err != nil {
		return err
	}
	_, err = c.Exec(ctx, "SELECT set_config('tenter_session.confirmed', 'on', false) WHERE pg_backend_pid() = $1", pid)
	return err
}
