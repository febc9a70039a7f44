package postgres

import (
	"context"
	"embed"
	"fmt"
	"io/fs"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5"
)

// migrations are the steps from an empty schema to that of today, numbered from 1. A
// step that has been released never changes; new ones are added at the end. A step
// keeps the functions that older binaries call until all workers of a fleet are new.
//
//go:embed migrations/*.sql
var migrations embed.FS

// minServer is the oldest server that will do, as server_version_num has it.
const minServer = 140000

// prepare looks at the server, brings the schema to the version of this binary, and
// returns its types.
func prepare(ctx context.Context, conf *pgx.ConnConfig, name string, o Options) (types, error) {
	c, err := pgx.ConnectConfig(ctx, conf)
	if err != nil {
		return nil, err
	}
	defer func() { _ = c.Close(context.WithoutCancel(ctx)) }()
	if err := checkServer(ctx, c, name, o); err != nil {
		return nil, err
	}
	if err := migrate(ctx, c, name, o); err != nil {
		return nil, err
	}
	return readTypes(ctx, c, o.Schema, compositeTypes)
}

// migrate brings the schema to the version of this binary. Of several processes that
// start at once one does it, and the others wait.
func migrate(ctx context.Context, c *pgx.Conn, name string, o Options) error {
	schema := o.Schema
	steps, err := fs.Glob(migrations, "migrations/*.sql")
	if err != nil {
		return err
	}
	version, err := schemaVersion(ctx, c, schema)
	if err == nil && o.Existing && version < len(steps) {
		return incomplete(name, schema, version, len(steps))
	}
	if err == nil && version < len(steps) {
		err = pgx.BeginFunc(ctx, c, func(tx pgx.Tx) error { return runMigrations(ctx, tx, schema, steps) })
	}
	if err != nil {
		return fmt.Errorf("schema %q: %w", schema, err)
	}
	if version > len(steps) {
		return &OpenError{
			Database: name, Err: ErrNewer, Detail: fmt.Sprintf("schema %q is at %d, this binary knows %d", schema, version, len(steps)),
			Advice: "use a binary that is at least as new",
		}
	}
	return nil
}

// incomplete is the error of a schema that would have to be made or migrated.
func incomplete(name, schema string, version, known int) error {
	if version == 0 {
		return &OpenError{Database: name, Err: ErrMissing, Detail: fmt.Sprintf("no schema %q with its tables", schema)}
	}
	return &OpenError{
		Database: name, Err: ErrOlder, Detail: fmt.Sprintf("schema %q is at %d, this binary knows %d", schema, version, known),
		Advice: "use the version that the application has, or start the application with this one first; nothing was changed",
	}
}

// checkServer looks at the version of the server and at what durability it gives.
func checkServer(ctx context.Context, c *pgx.Conn, name string, o Options) error {
	var version, sync, standby string
	err := c.QueryRow(ctx, "SELECT current_setting('server_version_num'), current_setting('synchronous_commit'), pg_is_in_recovery()::text").
		Scan(&version, &sync, &standby)
	if err != nil {
		return err
	}
	if n, err := strconv.Atoi(version); err == nil && n < minServer {
		return &OpenError{Database: name, Err: ErrOldServer, Detail: "it is " + version + ", as server_version_num", Advice: "PostgreSQL 14 or newer is needed"}
	}
	if standby == "true" {
		return &OpenError{Database: name, Err: ErrRefused, Detail: "it is a standby, which cannot be written to", Advice: "give the URL of the primary, or target_session_attrs=read-write"}
	}
	if sync == "off" {
		o.Logger.WarnContext(ctx, "synchronous_commit is off: what the database has accepted can be lost when its server crashes", "database", name)
	}
	return nil
}

// schemaVersion is how many steps a schema has had, 0 if there is none.
func schemaVersion(ctx context.Context, c *pgx.Conn, schema string) (int, error) {
	table := pgx.Identifier{schema, "migrations"}.Sanitize()
	var exists bool
	if err := c.QueryRow(ctx, "SELECT to_regclass($1) IS NOT NULL", table).Scan(&exists); err != nil || !exists {
		return 0, err
	}
	var version int
	err := c.QueryRow(ctx, "SELECT coalesce(max(version), 0) FROM "+table).Scan(&version)
	return version, err
}

func runMigrations(ctx context.Context, tx pgx.Tx, schema string, steps []string) error {
	ident := pgx.Identifier{schema}.Sanitize()
	if _, err := tx.Exec(ctx, "SELECT pg_advisory_xact_lock(hashtext('tenter migrations of ' || $1))", schema); err != nil {
		return err
	}
	var exists bool
	if err := tx.QueryRow(ctx, "SELECT EXISTS (SELECT FROM pg_namespace WHERE nspname = $1)", schema).Scan(&exists); err != nil {
		return err
	}
	set := []string{
		"SET LOCAL search_path = " + ident + ", pg_temp",
		"CREATE TABLE IF NOT EXISTS migrations (version integer PRIMARY KEY, name text NOT NULL, at timestamptz NOT NULL DEFAULT now())",
	}
	if !exists {
		set = append([]string{"CREATE SCHEMA " + ident}, set...)
	}
	for _, sql := range set {
		if _, err := tx.Exec(ctx, sql); err != nil {
			return err
		}
	}
	var version int
	if err := tx.QueryRow(ctx, "SELECT coalesce(max(version), 0) FROM migrations").Scan(&version); err != nil {
		return err
	}
	for i, step := range steps {
		if i < version {
			continue
		}
		sql, err := migrations.ReadFile(step)
		if err != nil {
			return err
		}
		// All its statements at once, for which the simple protocol is made.
		if _, err := tx.Conn().PgConn().Exec(ctx, string(sql)).ReadAll(); err != nil {
			return fmt.Errorf("step %d: %w", i+1, err)
		}
		if _, err := tx.Exec(ctx, "INSERT INTO migrations (version, name) VALUES ($1, $2)", i+1, strings.TrimPrefix(step, "migrations/")); err != nil {
			return err
		}
	}
	return nil
}
