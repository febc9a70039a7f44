package main

import (
	"context"
	"crypto/rand"
	"errors"
	"net/url"
	"os"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/tenter-dev/tenter/bench/internal/proc"
	"github.com/tenter-dev/tenter/internal/pgtest"
)

// postgres is a private server, as PostgreSQL ships it, for all who want one.
type postgres struct {
	url        string // over TCP, as a server's would be
	conn       *pgx.Conn
	postmaster int
	stop       func() error
	err        error // why there is none
}

func startPostgres(ctx context.Context, dir string) (p *postgres, err error) {
	dir, err = os.MkdirTemp(dir, "tenter-race-")
	if err != nil {
		return nil, err
	}
	remove := func() error { return os.RemoveAll(dir) }
	if err := os.Chmod(dir, 0o777); err != nil { // the server's user may be another one
		return nil, errors.Join(err, remove())
	}
	socket, end, err := pgtest.Private(ctx, dir)
	if err != nil {
		return nil, errors.Join(err, remove())
	}
	p = &postgres{stop: func() error { return errors.Join(end(), remove()) }}
	if err := p.connect(ctx, socket); err != nil {
		return nil, errors.Join(err, p.close(ctx))
	}
	return p, nil
}

// connect makes a role that may log in over TCP.
func (p *postgres) connect(ctx context.Context, socket string) (err error) {
	if p.conn, err = pgx.Connect(ctx, socket); err != nil {
		return err
	}
	const user = "race"
	password := rand.Text()
	if _, err := p.conn.Exec(ctx, "CREATE ROLE "+user+" SUPERUSER LOGIN PASSWORD '"+password+"'"); err != nil {
		return err
	}
	var port string
	var backend int
	if err := p.conn.QueryRow(ctx, "SELECT current_setting('port'), pg_backend_pid()").Scan(&port, &backend); err != nil {
		return err
	}
	at := url.URL{
		Scheme: "postgres", User: url.UserPassword(user, password), Host: "127.0.0.1:" + port,
		Path: "/postgres", RawQuery: "sslmode=disable",
	}
	p.url = at.String()
	p.postmaster, err = proc.ParentOf(backend)
	return err
}

// create makes an empty database. Dropped with it are those whose names begin with its.
func (p *postgres) create(ctx context.Context) (_ string, drop func() error, err error) {
	at, err := url.Parse(p.url)
	if err != nil {
		return "", nil, err
	}
	name := "race_" + strings.ToLower(rand.Text())
	at.Path = "/" + name
	// Nobody starts with what others have left to be written.
	for _, statement := range []string{"CHECKPOINT", "CREATE DATABASE " + name} {
		if _, err := p.conn.Exec(ctx, statement); err != nil {
			return "", nil, err
		}
	}
	return at.String(), func() error { return p.drop(context.WithoutCancel(ctx), name) }, nil
}

func (p *postgres) drop(ctx context.Context, prefix string) error {
	rows, err := p.conn.Query(ctx, "SELECT datname FROM pg_database WHERE starts_with(datname, $1)", prefix)
	if err != nil {
		return err
	}
	names, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return err
	}
	for _, name := range names {
		if _, err := p.conn.Exec(ctx, "DROP DATABASE "+name+" WITH (FORCE)"); err != nil {
			return err
		}
	}
	return nil
}

// describe has the version and the settings that matter for how durable it is.
func (p *postgres) describe(ctx context.Context) (s string, err error) {
	if p.conn == nil {
		return "not to be had: " + p.err.Error(), nil
	}
	err = p.conn.QueryRow(ctx, `SELECT current_setting('server_version') || ', a private server on this machine, over TCP on loopback: ' ||
		string_agg('`+"`' || name || '=' || current_setting(name) || '`"+`', ' ' ORDER BY n)
		FROM unnest('{fsync,synchronous_commit,full_page_writes,wal_sync_method,shared_buffers,max_wal_size}'::text[]) WITH ORDINALITY x (name, n)`).Scan(&s)
	return s, err
}

func (p *postgres) close(ctx context.Context) error {
	if p.stop == nil {
		return nil
	}
	var err error
	if p.conn != nil {
		err = p.conn.Close(context.WithoutCancel(ctx))
	}
	return errors.Join(err, p.stop())
}
