package sqlite

import (
	"fmt"
	"strconv"
	"time"
)

// edition is a schema as a binary brings it.
type edition struct {
	migrations []string // the number of the schema is how many there are
	oldest     int      // see oldestServed
}

// thisEdition is that of this binary.
var thisEdition = edition{migrations, oldestServed}

// known is the number of the schema.
func (e edition) known() int { return len(e.migrations) }

// schemaVersion is the number of a file's schema: how many migrations it has seen. It has them
// in a table, because user_version belongs to the application.
func schemaVersion(c *conn) (int, error) {
	name, err := c.text("SELECT name FROM sqlite_schema WHERE type = 'table' AND name = 'tenter_schema'")
	if err != nil || name == "" {
		return 0, err
	}
	v, err := c.text("SELECT max(version) FROM tenter_schema")
	if err != nil || v == "" {
		return 0, err
	}
	return strconv.Atoi(v)
}

// checkServed refuses a file whose schema has a higher number and does not serve the binaries of
// an edition.
func (e edition) checkServed(c *conn, path string) error {
	version, err := schemaVersion(c)
	if err != nil || version <= e.known() {
		return err
	}
	v, err := c.text(fmt.Sprintf("SELECT coalesce(oldest, version) FROM tenter_schema WHERE version = %d", version))
	if err != nil {
		return err
	}
	oldest, err := strconv.Atoi(v)
	if err != nil || e.known() >= oldest {
		return err
	}
	return &OpenError{
		Path: path, Err: ErrNewer,
		Detail: fmt.Sprintf("schema %d serves binaries that know %d or higher, this one knows %d", version, oldest, e.known()),
		Advice: fmt.Sprintf("use a binary that knows %d or higher; nothing was changed", oldest),
	}
}

// migrate brings a file to the schema of an edition, unless it has a higher one that serves its
// binaries. Several processes may do so at once: the first does it, the others wait and find it
// done.
func (e edition) migrate(c *conn, path string, clock func() time.Time) error {
	version, err := schemaVersion(c)
	if err != nil {
		return fmt.Errorf("read schema of %q: %w", path, err)
	}
	if version >= e.known() {
		return e.checkServed(c, path)
	}
	c.c.SetBusyTimeout(time.Minute)
	if err := c.exec("BEGIN IMMEDIATE"); err != nil {
		return fmt.Errorf("migrate %q: %w", path, err)
	}
	if err := e.migrateLocked(c, path, clock()); err != nil {
		_ = c.exec("ROLLBACK")
		return err
	}
	if err := c.exec("COMMIT"); err != nil {
		return fmt.Errorf("migrate %q: %w", path, err)
	}
	return e.checkServed(c, path) // another binary may have done more
}

func (e edition) migrateLocked(c *conn, path string, now time.Time) error {
	version, err := schemaVersion(c)
	if err != nil {
		return fmt.Errorf("read schema of %q: %w", path, err)
	}
	if version >= e.known() {
		return nil // another process has done it
	}
	if version == 0 {
		if err := c.exec("CREATE TABLE IF NOT EXISTS tenter_schema (version INTEGER NOT NULL PRIMARY KEY, applied_at TEXT NOT NULL)"); err != nil {
			return fmt.Errorf("migrate %q: %w", path, err)
		}
	}
	for ; version < e.known(); version++ {
		row := fmt.Sprintf("; INSERT INTO tenter_schema (version, applied_at) VALUES (%d, '%s')", version+1, formatTime(now))
		if err := c.exec(e.migrations[version] + row); err != nil {
			return fmt.Errorf("migrate %q to schema %d: %w", path, version+1, err)
		}
	}
	if err := e.checkWorkers(c, path, now); err != nil {
		return err
	}
	if err := c.exec(fmt.Sprintf("UPDATE tenter_schema SET oldest = %d WHERE version = %d", e.oldest, version)); err != nil {
		return fmt.Errorf("migrate %q to schema %d: %w", path, version, err)
	}
	return nil
}

// checkWorkers refuses to bring an edition that does not serve workers which are live.
func (e edition) checkWorkers(c *conn, path string, now time.Time) error {
	if e.oldest <= 1 {
		return nil // it serves all
	}
	old := fmt.Sprintf("FROM tenter_workers WHERE lease_until > '%s' AND schema < %d", formatTime(now), e.oldest)
	names, err := c.text("SELECT group_concat(name, ', ') " + old)
	if err != nil || names == "" {
		return err
	}
	lowest, err := c.text("SELECT min(schema) " + old)
	if err != nil {
		return err
	}
	return &OpenError{
		Path: path, Err: ErrInUse,
		Detail: fmt.Sprintf("schema %d serves binaries that know %d or higher; workers that know %s are live: %s", e.known(), e.oldest, lowest, names),
		Advice: "stop these workers first, or replace them by a version in between; nothing was changed",
	}
}
