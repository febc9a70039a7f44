package main

import (
	"context"
	"crypto/rand"
	"errors"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/tenter-dev/tenter/bench/internal/proc"
	"github.com/tenter-dev/tenter/internal/pgtest"
	"github.com/tenter-dev/tenter/store/postgres"
)

// postgresServer is a PostgreSQL that databases are made on.
type postgresServer struct {
	url        string
	conn       *pgx.Conn // to a database that nothing is measured in
	postmaster int       // its process ID if it is our own, else 0
	settings   []string  // that were chosen for it
	stop       func() error
	bill       bill // of the database that was dropped last
}

// bill is what the server did for a database, from when it was empty.
type bill struct {
	runs         float64
	transactions float64
	walBytes     float64
	walSyncs     float64
	cpu          time.Duration // of the whole server, if it is our own
}

// startServer starts a server of our own, which is as PostgreSQL ships it.
func startServer(ctx context.Context, dir string, settings []string) (s *postgresServer, err error) {
	dir, err = os.MkdirTemp(dir, "tenter-bench-")
	if err != nil {
		return nil, err
	}
	remove := func() error { return os.RemoveAll(dir) }
	if err := os.Chmod(dir, 0o777); err != nil { // the server's user may be another one
		return nil, errors.Join(err, remove())
	}
	url, end, err := pgtest.Private(ctx, dir, settings...)
	if err != nil {
		return nil, errors.Join(err, remove())
	}
	stop := func() error { return errors.Join(end(), remove()) }
	s, err = useServer(ctx, url)
	if err != nil {
		return nil, errors.Join(err, stop())
	}
	s.stop, s.settings = stop, settings
	var backend int
	if err := s.conn.QueryRow(ctx, "SELECT pg_backend_pid()").Scan(&backend); err != nil {
		return nil, errors.Join(err, s.close(ctx))
	}
	s.postmaster, err = proc.ParentOf(backend)
	if err != nil {
		return nil, errors.Join(err, s.close(ctx))
	}
	return s, nil
}

// useServer uses a server that is up. The role in the URL may make databases.
func useServer(ctx context.Context, url string) (*postgresServer, error) {
	conn, err := pgx.Connect(ctx, url)
	if err != nil {
		return nil, err
	}
	return &postgresServer{url: url, conn: conn, stop: func() error { return nil }}, nil
}

func (s *postgresServer) close(ctx context.Context) error {
	return errors.Join(s.conn.Close(ctx), s.stop())
}

// describe has the version and the settings that matter for how fast and how durable it is.
func (s *postgresServer) describe(ctx context.Context) (string, error) {
	rows, err := s.conn.Query(ctx, `SELECT name || '=' || current_setting(name) FROM unnest($1::text[]) WITH ORDINALITY x (name, n) ORDER BY n`,
		[]string{
			"server_version", "fsync", "synchronous_commit", "full_page_writes", "wal_sync_method", "commit_delay", "shared_buffers",
			"max_wal_size", "checkpoint_timeout", "autovacuum", "jit", "shared_preload_libraries",
		})
	if err != nil {
		return "", err
	}
	settings, err := pgx.CollectRows(rows, pgx.RowTo[string])
	whose := "a private server, over a unix socket, with the settings that PostgreSQL ships"
	switch {
	case s.postmaster == 0:
		whose = "a server that was there"
	case len(s.settings) > 0:
		whose += " but for `" + strings.Join(s.settings, "` `") + "`"
	}
	return "On " + whose + ": `" + strings.Join(settings, "` `") + "`.\n", err
}

// create makes an empty database, with Tenter's schema in it.
func (s *postgresServer) create(ctx context.Context) (_ string, drop func() error, err error) {
	name := "tenter_bench_" + strings.ToLower(rand.Text())
	if _, err := s.conn.Exec(ctx, "CREATE DATABASE "+name); err != nil {
		return "", nil, err
	}
	at, err := url.Parse(s.url)
	if err != nil {
		return "", nil, err
	}
	at.Path = "/" + name
	db, err := postgres.Open(ctx, at.String())
	if err != nil {
		return "", nil, errors.Join(err, s.drop(ctx, name))
	}
	if err := db.Close(); err != nil {
		return "", nil, err
	}
	before, err := s.spent(ctx, name)
	if err != nil {
		return "", nil, err
	}
	return at.String(), func() error {
		ctx := context.WithoutCancel(ctx)
		err := s.reckon(ctx, at.String(), name, before)
		return errors.Join(err, s.drop(ctx, name))
	}, nil
}

func (s *postgresServer) drop(ctx context.Context, name string) error {
	_, err := s.conn.Exec(ctx, "DROP DATABASE "+name+" WITH (FORCE)")
	return err
}

// reckon makes the bill of a database.
func (s *postgresServer) reckon(ctx context.Context, url, name string, before bill) error {
	now, err := s.spent(ctx, name)
	if err != nil {
		return err
	}
	conn, err := pgx.Connect(ctx, url)
	if err != nil {
		return err
	}
	err = conn.QueryRow(ctx, "SELECT count(*) FROM tenter.runs").Scan(&now.runs)
	s.bill = now.since(before)
	return errors.Join(err, conn.Close(ctx))
}

// spent is what the server has done for a database so far. Nobody may be connected to
// it any more: a backend tells the last of what it has done when it ends.
func (s *postgresServer) spent(ctx context.Context, name string) (b bill, err error) {
	for left := 1; left > 0; {
		err := s.conn.QueryRow(ctx, "SELECT count(*) FROM pg_stat_activity WHERE datname = $1", name).Scan(&left)
		if err != nil {
			return b, err
		}
		if err := pause(ctx, 5*time.Millisecond); err != nil {
			return b, err
		}
	}
	var version int // as server_version_num
	if err := s.conn.QueryRow(ctx, "SELECT current_setting('server_version_num')::int").Scan(&version); err != nil {
		return b, err
	}
	if version < 150000 { // which answers from a file that is half a second old at most
		if err := pause(ctx, time.Second); err != nil {
			return b, err
		}
	}
	if err := s.count(ctx, name, &b); err != nil {
		return b, err
	}
	syncs := "SELECT wal_sync::float8 FROM pg_stat_wal"
	if version >= 180000 { // which counts them with all other I/O
		syncs = "SELECT sum(fsyncs)::float8 FROM pg_stat_io WHERE object = 'wal' AND context = 'normal'"
	}
	err = s.conn.QueryRow(ctx, syncs).Scan(&b.walSyncs)
	return b, err
}

func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// databaseOf is the name of the database that a URL leads to.
func databaseOf(at string) (string, error) {
	u, err := url.Parse(at)
	if err != nil {
		return "", err
	}
	return strings.TrimPrefix(u.Path, "/"), nil
}

// cpu is what the server has used so far, if it is our own.
func (s *postgresServer) cpu() (time.Duration, error) {
	if s.postmaster == 0 {
		return 0, nil
	}
	return proc.TreeCPU(s.postmaster)
}

// count reads what is known of transactions and WAL while there are connections. The
// count of transactions may lag, by a second or until a connection was idle for ten.
func (s *postgresServer) count(ctx context.Context, name string, b *bill) (err error) {
	if b.cpu, err = s.cpu(); err != nil {
		return err
	}
	return s.conn.QueryRow(ctx, `SELECT xact_commit + xact_rollback, pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '0/0')::float8
		FROM pg_stat_database WHERE datname = $1`, name).Scan(&b.transactions, &b.walBytes)
}

func (b bill) since(before bill) bill {
	return bill{
		b.runs - before.runs, b.transactions - before.transactions, b.walBytes - before.walBytes,
		b.walSyncs - before.walSyncs, b.cpu - before.cpu,
	}
}

// billed adds what the server did for each run, those of the warm-up too.
func billed(r round) round {
	return func(ctx context.Context, e *env) ([]metric, error) {
		ms, err := r(ctx, e)
		if err != nil {
			return nil, err
		}
		b, what := e.server.bill, ms[0].name
		return append(
			ms,
			metric{name: what + ": transactions on the server, those that only read too", value: b.transactions / b.runs, unit: "/run"},
			metric{name: what + ": syncs of the WAL", value: b.walSyncs / b.runs, unit: "/run"},
			metric{name: what + ": WAL written", value: b.walBytes / b.runs / 1024, unit: "KiB/run"},
			e.server.cpuMetric(what+": CPU of the server", float64(b.cpu.Microseconds())/b.runs, "µs/run"),
		), nil
	}
}

func (s *postgresServer) cpuMetric(name string, value float64, unit string) metric {
	if s.postmaster == 0 {
		return metric{name: name, missing: "the server is not our own"}
	}
	return metric{name: name, value: value, unit: unit}
}
