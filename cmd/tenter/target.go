package main

import (
	"errors"
	"log/slog"
	"strings"

	"github.com/tenter-dev/tenter/engine"
	"github.com/tenter-dev/tenter/inspect"
	"github.com/tenter-dev/tenter/store"
	"github.com/tenter-dev/tenter/store/postgres"
	"github.com/tenter-dev/tenter/store/sqlite"
)

// target is where the runs are.
type target struct {
	db, schema string
	flags      []string // that name it, for commands to be copied
}

// target finds out where the runs are: flags come before the environment.
func (a *app) target() (target, error) {
	t := target{db: a.cli.DB, schema: a.cli.Schema}
	for _, f := range []struct{ name, value string }{
		{"--db", t.db},
		{"--schema", t.schema},
	} {
		if f.value != "" {
			t.flags = append(t.flags, f.name, f.value)
		}
	}
	if t.schema == "" {
		t.schema, _ = a.env("TENTER_SCHEMA")
	}
	if t.db == "" {
		t.db, _ = a.env("TENTER_DB")
	}
	if t.db == "" {
		return t, usage("where are the runs? Say --db app.db or --db postgres://user@host/database, or set TENTER_DB")
	}
	return t, nil
}

// client opens what the target names.
func (a *app) client() (inspect.Client, error) {
	t, err := a.target()
	if err != nil {
		return nil, err
	}
	st, err := a.openStore(t, true)
	if err != nil {
		return nil, err
	}
	eng, err := engine.New(st, engine.Options{Logger: a.logger()})
	if err != nil {
		return nil, errors.Join(err, st.Close())
	}
	a.closer = func() error { return errors.Join(eng.Close(), st.Close()) }
	return eng, nil
}

// database opens the store of a command that works on databases only. If it has to exist
// it is neither made nor migrated.
func (a *app) database(existing bool) (store.Store, error) {
	t, err := a.target()
	if err != nil {
		return nil, err
	}
	st, err := a.openStore(t, existing)
	if err != nil {
		return nil, err
	}
	a.closer = st.Close
	return st, nil
}

func (a *app) openStore(t target, existing bool) (store.Store, error) {
	if strings.HasPrefix(t.db, "postgres://") || strings.HasPrefix(t.db, "postgresql://") {
		return postgres.OpenWith(a.ctx, t.db, postgres.Options{Schema: t.schema, Existing: existing, Logger: a.logger()})
	}
	if t.schema != "" && a.cli.Schema != "" {
		return nil, usage("--schema is for PostgreSQL")
	}
	path := strings.TrimPrefix(t.db, "sqlite:")
	if scheme, _, found := strings.Cut(path, "://"); found {
		return nil, usage("--db %s: there is no such kind of database: give a file, sqlite:FILE or postgres://…", scheme)
	}
	return sqlite.OpenWith(path, sqlite.Options{Existing: existing, Logger: a.logger()})
}

// logger shows warnings of the store, such as a transaction that holds up all commits.
func (a *app) logger() *slog.Logger {
	return slog.New(slog.NewTextHandler(a.stderr, &slog.HandlerOptions{
		Level: slog.LevelWarn,
		ReplaceAttr: func(groups []string, at slog.Attr) slog.Attr {
			if len(groups) == 0 && at.Key == slog.TimeKey {
				return slog.Attr{}
			}
			return at
		},
	}))
}

// command is a command line to be copied, with the flags that say where the runs are.
func (t target) command(args ...string) string {
	words := append([]string{"tenter"}, t.flags...)
	for _, arg := range args {
		words = append(words, quote(arg))
	}
	return strings.Join(words, " ")
}
