package postgres

import (
	"context"

	"github.com/jackc/pgx/v5"

	"github.com/tenter-dev/tenter/store"
)

// reading keeps the Store of a Reader, which could write, out of reach.
type reading = store.Reader

// Reader reads a database through connections on which the server refuses all writes. It has the
// methods of [store.Reader], and is safe for concurrent use.
type Reader struct {
	reading
	s *Store
}

// OpenReader opens a database to read it, as [engine.CheckReplay] does before a deploy. It is neither
// made nor migrated: its schema is that of this binary, or the one before, which this binary has not
// migrated yet. The role needs no rights but to read. Of the options, Schema and Logger count. ctx
// limits the opening. The error is an *OpenError that says what to do.
//
// All its connections have default_transaction_read_only, which a PgBouncer does not pass on: give
// the URL of the server itself.
//
// [engine.CheckReplay]: https://pkg.go.dev/github.com/tenter-dev/tenter/engine#CheckReplay
func OpenReader(ctx context.Context, url string, o Options) (*Reader, error) {
	s, _, err := connect(ctx, url, o, true)
	if err != nil {
		return nil, err
	}
	return &Reader{s, s}, nil
}

// String says which database it is: host, port and name.
func (r *Reader) String() string { return r.s.String() }

// Close closes the connections. Operations called later return store.ErrClosed. If the database does
// not answer it cuts them after 3 s, and fails.
func (r *Reader) Close() error {
	if !r.s.closed.CompareAndSwap(false, true) {
		return nil
	}
	return r.s.closing(func() {}, r.s.pool.Close)
}

// lookAt looks at the server and the schema, and reports whether that is the one before this
// binary's.
func lookAt(ctx context.Context, conf *pgx.ConnConfig, name string, o Options, e edition) (previous bool, err error) {
	c, err := pgx.ConnectConfig(ctx, conf)
	if err != nil {
		return false, err
	}
	defer func() { _ = c.Close(context.WithoutCancel(ctx)) }()
	if err := checkServer(ctx, c, name, o); err != nil {
		return false, err
	}
	known := len(e.steps)
	version, err := schemaVersion(ctx, c, o.Schema)
	switch {
	case err != nil:
		return false, err
	case version < known-1:
		return false, incomplete(name, o.Schema, version, known)
	case version > known:
		return false, e.checkServed(ctx, c, name, o.Schema, version)
	}
	return version < known, nil
}
