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

// schemaFiles are what the schema is made of: migrations, numbered from 1, whose number is that
// of the schema, and the functions of the last one. A migration that has been released never
// changes; new ones are added at the end. One that only comes with other functions is empty.
//
//go:embed migrations/*.sql functions/*.sql
var schemaFiles embed.FS

// oldestServed is the lowest number of a schema whose binaries the schema of today serves: they
// find the functions that they call, and the columns that they read. See doc.go for when it may
// rise.
const oldestServed = 1

// edition is a schema as a binary brings it.
type edition struct {
	files  fs.FS
	steps  []string // its migrations, whose number is that of the schema
	oldest int      // see oldestServed
}

func newEdition(files fs.FS, oldest int) (edition, error) {
	steps, err := fs.Glob(files, "migrations/*.sql")
	return edition{files, steps, oldest}, err
}

// thisEdition is that of this binary.
func thisEdition() (edition, error) { return newEdition(schemaFiles, oldestServed) }

// minServer is the oldest server that will do, as server_version_num has it.
const minServer = 140000

// prepare looks at the server, brings the schema to the version of this binary, and
// returns its types.
func prepare(ctx context.Context, conf *pgx.ConnConfig, name string, o Options, e edition) (types, error) {
	c, err := pgx.ConnectConfig(ctx, conf)
	if err != nil {
		return nil, err
	}
	defer func() { _ = c.Close(context.WithoutCancel(ctx)) }()
	if err := checkServer(ctx, c, name, o); err != nil {
		return nil, err
	}
	if err := migrate(ctx, c, name, o, e); err != nil {
		return nil, err
	}
	return readTypes(ctx, c, o.Schema, compositeTypes)
}

// migrate brings the schema to the number of an edition, unless it is higher, and serves its
// binaries. Of several processes that start at once one does it, and the others wait.
func migrate(ctx context.Context, c *pgx.Conn, name string, o Options, e edition) error {
	known := len(e.steps)
	version, err := schemaVersion(ctx, c, o.Schema)
	if err == nil && o.Existing && version < known {
		return incomplete(name, o.Schema, version, known)
	}
	if err == nil && version < known {
		err = pgx.BeginFunc(ctx, c, func(tx pgx.Tx) error { return e.install(ctx, tx, name, o.Schema) })
		if err == nil {
			version, err = schemaVersion(ctx, c, o.Schema) // another binary may have done more
		}
	}
	if err == nil && version > known {
		return e.checkServed(ctx, c, name, o.Schema, version)
	}
	if err != nil {
		return fmt.Errorf("schema %q: %w", o.Schema, err)
	}
	return nil
}

// checkServed refuses a schema of a higher number that does not serve the binaries of an edition.
func (e edition) checkServed(ctx context.Context, c *pgx.Conn, name, schema string, version int) error {
	known, oldest := len(e.steps), version
	// A binary from before there was the column is not served by whatever has no number there.
	err := c.QueryRow(ctx, "SELECT coalesce(oldest, version) FROM "+pgx.Identifier{schema, "migrations"}.Sanitize()+" WHERE version = $1", version).Scan(&oldest)
	if err != nil {
		return fmt.Errorf("schema %q: %w", schema, err)
	}
	if known >= oldest {
		return nil
	}
	return &OpenError{
		Database: name, Err: ErrNewer, Detail: fmt.Sprintf("schema %q is at %d and serves binaries that know %d or higher, this one knows %d", schema, version, oldest, known),
		Advice: fmt.Sprintf("use a binary that knows %d or higher", oldest),
	}
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
	var version, sync, names, standby, messages, isolation string
	err := c.QueryRow(ctx, `SELECT current_setting('server_version_num'), current_setting('synchronous_commit'), current_setting('synchronous_standby_names'),
		pg_is_in_recovery()::text, current_setting('client_min_messages'), current_setting('default_transaction_isolation')`).
		Scan(&version, &sync, &names, &standby, &messages, &isolation)
	if err != nil {
		return err
	}
	if n, err := strconv.Atoi(version); err == nil && n < minServer {
		return &OpenError{Database: name, Err: ErrOldServer, Detail: "it is " + version + ", as server_version_num", Advice: "PostgreSQL 14 or newer is needed"}
	}
	if standby == "true" {
		return &OpenError{Database: name, Err: ErrRefused, Detail: "it is a standby, which cannot be written to", Advice: "give the URL of the primary, or target_session_attrs=read-write"}
	}
	switch {
	case sync == "off":
		o.Logger.WarnContext(ctx, "synchronous_commit is off: what the database has accepted can be lost when its server crashes", "database", name)
	case names != "" && (sync == "local" || sync == "remote_write"):
		o.Logger.WarnContext(ctx, "synchronous_commit does not wait until a standby has written to its disk: what the database has accepted can be lost in a failover",
			"database", name, "synchronous_commit", sync)
	}
	if messages == "error" {
		return &OpenError{
			Database: name, Err: ErrRefused, Detail: "client_min_messages is error, which hides that a commit did not wait for its standby",
			Advice: "set it to warning or lower for the role and the database",
		}
	}
	if isolation != "read committed" {
		return &OpenError{
			Database: name, Err: ErrRefused, Detail: "default_transaction_isolation is " + isolation + ": what a statement has waited for would not be seen",
			Advice: "set it to read committed for the role and the database, or in the URL; transactions of the application may have another one",
		}
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

// install runs the migrations that a schema has not had, and installs the functions.
func (e edition) install(ctx context.Context, tx pgx.Tx, name, schema string) error {
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
	if version >= len(e.steps) {
		return nil // another process has done it
	}
	for i, step := range e.steps[version:] {
		if err := runScript(ctx, tx, e.files, step); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, "INSERT INTO migrations (version, name) VALUES ($1, $2)", version+i+1, strings.TrimPrefix(step, "migrations/"))
		if err != nil {
			return err
		}
	}
	if len(e.steps) < firstSet {
		return nil
	}
	if err := e.checkWorkers(ctx, tx, name, schema); err != nil {
		return err
	}
	if _, err := tx.Exec(ctx, "UPDATE migrations SET oldest = $2 WHERE version = $1", len(e.steps), e.oldest); err != nil {
		return err
	}
	return installFunctions(ctx, tx, e.files, schema)
}

// firstSet is the first number of a schema that has its functions beside its migrations.
const firstSet = 3

// checkWorkers refuses to install an edition that does not serve workers which are live.
func (e edition) checkWorkers(ctx context.Context, tx pgx.Tx, name, schema string) error {
	if e.oldest < firstSet {
		return nil // those of before are not told apart
	}
	var workers string
	var lowest *int
	err := tx.QueryRow(ctx, "SELECT coalesce(string_agg(name, ', ' ORDER BY name), ''), min(schema) FROM workers WHERE lease_until > clock_timestamp() AND schema < $1", e.oldest).
		Scan(&workers, &lowest)
	if err != nil || lowest == nil {
		return err
	}
	return &OpenError{
		Database: name, Err: ErrInUse,
		Detail: fmt.Sprintf("schema %q is to be at %d, which serves binaries that know %d or higher; workers that know %d are live: %s", schema, len(e.steps), e.oldest, *lowest, workers),
		Advice: "stop these workers first, or replace them by a version in between",
	}
}
