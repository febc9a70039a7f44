package main

import (
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"os/user"
	"slices"
	"strings"

	"github.com/tenter-dev/tenter/access"
	"github.com/tenter-dev/tenter/client"
	"github.com/tenter-dev/tenter/engine"
	"github.com/tenter-dev/tenter/inspect"
	"github.com/tenter-dev/tenter/store"
	"github.com/tenter-dev/tenter/store/postgres"
	"github.com/tenter-dev/tenter/store/sqlite"
	"github.com/tenter-dev/tenter/workflow"
)

// target is where the runs are.
type target struct {
	db, schema, server string
	flags              []string // that name it, for commands to be copied
}

// target determines where the runs are: flags come before the environment.
func (a *app) target() (target, error) {
	t := target{db: a.cli.DB, schema: a.cli.Schema, server: a.cli.Server}
	if t.db != "" && t.server != "" {
		return t, usage("--db and --server: give one of them")
	}
	for _, f := range []struct{ name, value string }{
		{"--db", withoutPassword(t.db)},
		{"--schema", t.schema},
		{"--server", t.server},
		{"--api-key-file", a.cli.APIKeyFile},
	} {
		if f.value != "" {
			t.flags = append(t.flags, f.name, f.value)
		}
	}
	if t.schema == "" {
		t.schema, _ = a.env("TENTER_SCHEMA")
	}
	if t.db == "" && t.server == "" {
		t.db, _ = a.env("TENTER_DB")
		t.server, _ = a.env("TENTER_SERVER")
		if t.db != "" && t.server != "" {
			return t, usage("TENTER_DB and TENTER_SERVER are both set: say --db or --server")
		}
	}
	if t.db == "" && t.server == "" {
		return t, usage("where are the runs? Say --db app.db, --db postgres://user@host/database or --server URL, or set TENTER_DB or TENTER_SERVER")
	}
	return t, nil
}

// withoutPassword is the URL of a database as it may be shown.
func withoutPassword(db string) string {
	if u, err := url.Parse(db); err == nil && u.User != nil {
		return u.Redacted()
	}
	return db
}

// client opens what the target names.
func (a *app) client() (inspect.Client, error) {
	t, err := a.target()
	if err != nil {
		return nil, err
	}
	a.ctx = workflow.WithActor(a.ctx, a.actor(t))
	if t.server != "" {
		return a.remote(t.server)
	}
	st, err := a.openStore(t, true)
	if err != nil {
		return nil, err
	}
	eng, err := engine.New(st, engine.Options{Logger: a.logger(), StoredHooks: true})
	if err != nil {
		return nil, errors.Join(err, st.Close())
	}
	a.closer = func() error { return errors.Join(eng.Close(), st.Close()) }
	return eng, nil
}

// actor is who does what the command does: of a server, whose API key says it, only if that is asked
// for.
func (a *app) actor(t target) workflow.Actor {
	name := a.cli.By
	if u, err := user.Current(); name == "" && t.server == "" && err == nil {
		name = u.Username
	}
	if name == "" {
		return workflow.Actor{}
	}
	return workflow.Actor{Name: name, Via: "cli"}
}

// remote is the client of a server.
func (a *app) remote(base string) (inspect.Client, error) {
	key, _ := a.env("TENTER_API_KEY")
	if name := a.cli.APIKeyFile; name != "" {
		keys, err := readKeys(name)
		if err != nil {
			return nil, err
		}
		key = keys[0].Secret
	}
	cl, err := client.New(base, client.Options{APIKey: key})
	if err != nil {
		return nil, usage("--server %s: it has to be like https://example.com", base)
	}
	return cl, nil
}

// readKeys reads keys from a file, one a line, with or without the name of its owner before it.
func readKeys(name string) ([]access.APIKey, error) {
	data, err := os.ReadFile(name)
	if err != nil {
		return nil, fmt.Errorf("read key: %w", err)
	}
	var keys []access.APIKey
	for l := range strings.Lines(string(data)) {
		switch words := strings.Fields(l); len(words) {
		case 0:
		case 1:
			keys = append(keys, access.APIKey{Secret: words[0]})
		case 2:
			keys = append(keys, access.APIKey{Name: words[0], Secret: words[1]})
		default:
			return nil, usage("%s: a line has %d words: it has to be a key, or a name and a key", name, len(words))
		}
	}
	if len(keys) == 0 {
		return nil, usage("%s: there is no API key in it", name)
	}
	return keys, nil
}

// database opens the store of a command that works on databases only. If it has to exist
// it is neither made nor migrated.
func (a *app) database(existing bool) (store.Store, error) {
	t, err := a.target()
	if err != nil {
		return nil, err
	}
	if t.server != "" {
		return nil, usage("this works on a database only: say --db")
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
	words := []string{"tenter"}
	for _, arg := range slices.Concat(t.flags, args) {
		words = append(words, quote(arg))
	}
	return strings.Join(words, " ")
}
