package postgres

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/tenter-dev/tenter/internal/batched"
	"github.com/tenter-dev/tenter/store"
	"github.com/tenter-dev/tenter/store/internal/watch"
	"github.com/tenter-dev/tenter/store/internal/workers"
)

// Options are what can be chosen when a database is opened. The zero value works.
type Options struct {
	// Schema holds the tables and functions of Tenter. It is made if it does not
	// exist. Default: "tenter".
	Schema string

	// Existing wants the schema to be there, in the version of this binary: it is neither
	// made nor migrated. For tools that only look. Default: false.
	Existing bool

	// ListenURL is where notifications are listened for: a direct connection, if the
	// URL of the store leads to a PgBouncer in transaction mode, which does not pass
	// them on. Default: the URL of the store.
	ListenURL string

	// Poll is how often runs and answers are looked for if no notification comes;
	// with notifications it is done ten times less often. Default: 1 s.
	Poll time.Duration

	// Logger gets what is worth knowing about the connection to the database, such
	// as notifications that stay away. Default: slog.Default().
	Logger *slog.Logger
}

func (o Options) withDefaults() Options {
	if o.Schema == "" {
		o.Schema = "tenter"
	}
	if o.Poll <= 0 {
		o.Poll = time.Second
	}
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	return o
}

// defaultConns is the size of the pool if the URL does not have pool_max_conns. Two
// connections write; the others read, claim, and wait for locks.
const defaultConns = 12

// maxSchema is the maxDelay name that PostgreSQL does not cut.
const maxSchema = 63

// Store is a store in a schema of a PostgreSQL database. It is safe for concurrent
// use.
type Store struct {
	opts    Options
	name    string // of the database, for messages; without the password
	pool    *pgxpool.Pool
	sockets sockets
	hosts   *hosts
	sql     queries
	types   types
	known   int // the number of the schema that this binary brings
	w       *writer
	loads   *batched.Loader[loading, store.Loaded]
	clock   clock
	watch   watch.List[store.Signal]
	commits watch.List[store.Commit]
	peers   *peers
	defs    workers.Decoder
	stats   counters
	stop    context.CancelFunc
	tasks   sync.WaitGroup
	closed  atomic.Bool

	warmOnce sync.Once // for the first worker
}

var _ store.Store = (*Store)(nil)

// Open opens the schema "tenter" of the database that a URL, or a list of
// key=value pairs, names, as libpq has them; pool_max_conns in it is the size of
// the connection pool. The schema is made, or brought to the version of this
// binary, if need be. ctx limits the opening.
func Open(ctx context.Context, url string) (*Store, error) {
	return OpenWith(ctx, url, Options{})
}

// OpenWith is Open with options. Where the database cannot be used the error is an
// *OpenError that says what to do, and nothing was changed.
func OpenWith(ctx context.Context, url string, o Options) (*Store, error) {
	s, listen, err := connect(ctx, url, o, false)
	if err != nil {
		return nil, err
	}
	background, stop := context.WithCancel(context.WithoutCancel(ctx))
	s.stop = stop
	s.w = newWriter(s)
	s.peers = newPeers(s, listen)
	s.w.start(background, &s.tasks)
	s.peers.start(background, &s.tasks)
	return s, nil
}

// connect returns a store that can read, and how to listen for notifications. If it is to read only,
// it changes nothing, and neither can its connections.
func connect(ctx context.Context, url string, o Options, reads bool) (s *Store, listen *pgx.ConnConfig, err error) {
	o = o.withDefaults()
	if len(o.Schema) > maxSchema {
		return nil, nil, fmt.Errorf("open database: the schema name %q has %d bytes, PostgreSQL allows %d", o.Schema, len(o.Schema), maxSchema)
	}
	conf, err := pgxpool.ParseConfig(url)
	if err != nil {
		return nil, nil, &OpenError{Database: redacted(url), Err: ErrURL, Detail: err.Error(), Advice: "it looks like postgres://user@host:5432/database"}
	}
	if !strings.Contains(url, "pool_max_conns") {
		conf.MaxConns = defaultConns
	}
	name := fmt.Sprintf("%s:%d/%s", conf.ConnConfig.Host, conf.ConnConfig.Port, conf.ConnConfig.Database)
	if m := conf.ConnConfig.DefaultQueryExecMode; m == pgx.QueryExecModeExec || m == pgx.QueryExecModeSimpleProtocol {
		return nil, nil, &OpenError{
			Database: name, Err: ErrURL, Detail: "default_query_exec_mode is " + m.String() + ", which cannot send lists",
			Advice: "use cache_describe, which needs no prepared statements either",
		}
	}
	if reads {
		conf.ConnConfig.RuntimeParams["default_transaction_read_only"] = "on"
	}
	listen = conf.ConnConfig.Copy()
	if o.ListenURL != "" {
		if listen, err = pgx.ParseConfig(o.ListenURL); err != nil {
			return nil, nil, &OpenError{Database: redacted(o.ListenURL), Err: ErrURL, Detail: err.Error(), Advice: "Options.ListenURL is a URL as the store's"}
		}
	}
	for _, c := range []*pgx.ConnConfig{conf.ConnConfig, listen} {
		if c.ConnectTimeout == 0 && len(c.Fallbacks) > 0 {
			c.ConnectTimeout = connectTimeout
		}
	}
	if conf.PingTimeout == 0 {
		conf.PingTimeout = connectTimeout
	}
	e, err := thisEdition()
	if err != nil {
		return nil, nil, err
	}
	s = &Store{opts: o, name: name, hosts: newHosts(conf.ConnConfig), known: len(e.steps)}
	q := queries{schema: o.Schema, reads: reads}
	if reads {
		q.previous, err = lookAt(ctx, conf.ConnConfig, name, o, e)
	} else {
		s.types, err = prepare(ctx, conf.ConnConfig, name, o, e)
	}
	if err != nil {
		return nil, nil, openError(name, err)
	}
	s.sql = newQueries(q)
	for _, c := range []*pgx.ConnConfig{conf.ConnConfig, listen} {
		c.DialFunc = s.sockets.dialer(c.DialFunc)
	}
	// A PgBouncer gives them to whoever has the connection that once listened. pgx would keep them.
	conf.ConnConfig.OnNotification = func(*pgconn.PgConn, *pgconn.Notification) {}
	conf.ConnConfig.OnNotice = noticeSession
	conf.BeforeConnect = s.beginSession
	conf.AfterConnect = func(_ context.Context, c *pgx.Conn) error {
		s.types.register(c.TypeMap())
		return nil
	}
	if s.pool, err = pgxpool.NewWithConfig(ctx, conf); err != nil {
		return nil, nil, openError(name, err)
	}
	if err := s.setClock(ctx); err != nil {
		s.pool.Close()
		return nil, nil, openError(name, err)
	}
	s.loads = newLoads(s)
	return s, listen, nil
}

// String says which database it is: host, port and name.
func (s *Store) String() string { return s.name }

// Shared reports whether other processes may have the database open: they may.
func (s *Store) Shared() bool { return true }

// closeWithin is how long Close lets what is under way go on.
const closeWithin = 3 * time.Second

// Close carries out the operations that wait and closes the connections. Operations
// called later return store.ErrClosed. If the database does not answer it cuts the
// connections after 3 s, and fails; then the outcome of what was under way is unknown to
// its callers.
func (s *Store) Close() error {
	if !s.closed.CompareAndSwap(false, true) {
		return nil
	}
	return s.closing(s.stop, func() {
		s.w.close()
		s.stop()
		s.tasks.Wait()
		s.pool.Close()
	})
}

// closing calls f to close the connections. If that takes too long it calls stop, and cuts them.
func (s *Store) closing(stop, f func()) error {
	late := time.AfterFunc(closeWithin, func() {
		stop()
		s.sockets.sever()
	})
	f()
	if !late.Stop() {
		return fmt.Errorf("close database %s: it did not answer within %v, so its connections were cut", s.name, closeWithin)
	}
	return nil
}

// requestTimeout is how long to wait for a database that does not answer.
const requestTimeout = 15 * time.Second

// connectTimeout is how long to wait for each of several hosts, one of which may be cut off, so
// that there is time for the others.
const connectTimeout = 4 * time.Second

// with lends a connection.
func (s *Store) with(ctx context.Context, f func(ctx context.Context, c *pgxpool.Conn) error) error {
	if s.closed.Load() {
		return store.ErrClosed
	}
	return s.borrow(ctx, requestTimeout, f)
}

// borrow lends a connection, also while the store is being closed, to f, which has to be answered
// within a time.
func (s *Store) borrow(ctx context.Context, answer time.Duration, f func(ctx context.Context, c *pgxpool.Conn) error) error {
	c, err := s.acquire(ctx)
	if err != nil {
		return err
	}
	defer c.Release()
	limited, cancel := context.WithTimeout(ctx, answer)
	defer cancel()
	err = f(limited, c)
	silent := err != nil && limited.Err() != nil && ctx.Err() == nil
	if silent {
		s.hosts.silent(sessionOf(c.Conn().PgConn()).addr)
	}
	if silent || standby(err) || errors.Is(err, errCommitCanceled) {
		s.pool.Reset() // the other connections lead to the same server; new ones may not
	}
	return err
}

func (s *Store) acquire(ctx context.Context) (*pgxpool.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	c, err := s.pool.Acquire(ctx)
	if err != nil {
		if s.closed.Load() {
			return nil, store.ErrClosed
		}
		return nil, fmt.Errorf("connect to database %s: %w", s.name, err)
	}
	return c, nil
}

// redacted is a URL without its password, which may be in its query too.
func redacted(s string) string {
	u, err := url.Parse(s)
	if err != nil || u.Host == "" {
		return "(connection string)"
	}
	u.RawQuery, u.Fragment = "", ""
	return u.Redacted()
}
