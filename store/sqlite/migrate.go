package sqlite

import (
	"fmt"
	"strconv"
	"time"
)

// schemaVersion is how many migrations a file has seen. It has them in a table,
// because user_version belongs to the application.
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

// migrate brings a file to the schema of today. Several processes may do so at
// once: the first does it, the others wait and find it done.
func migrate(c *conn, path string, clock func() time.Time) error {
	version, err := schemaVersion(c)
	if err != nil {
		return fmt.Errorf("read schema of %q: %w", path, err)
	}
	if version == len(migrations) {
		return nil
	}
	c.c.SetBusyTimeout(time.Minute)
	if err := c.exec("BEGIN IMMEDIATE"); err != nil {
		return fmt.Errorf("migrate %q: %w", path, err)
	}
	if err := migrateLocked(c, path, clock); err != nil {
		_ = c.exec("ROLLBACK")
		return err
	}
	if err := c.exec("COMMIT"); err != nil {
		return fmt.Errorf("migrate %q: %w", path, err)
	}
	return nil
}

func migrateLocked(c *conn, path string, clock func() time.Time) error {
	version, err := schemaVersion(c)
	if err != nil {
		return fmt.Errorf("read schema of %q: %w", path, err)
	}
	if version > len(migrations) {
		return &OpenError{
			Path: path, Err: ErrNewer, Advice: adviceNewer,
			Detail: fmt.Sprintf("schema %d, this binary knows %d", version, len(migrations)),
		}
	}
	if version == 0 {
		if err := c.exec("CREATE TABLE IF NOT EXISTS tenter_schema (version INTEGER NOT NULL PRIMARY KEY, applied_at TEXT NOT NULL)"); err != nil {
			return fmt.Errorf("migrate %q: %w", path, err)
		}
	}
	for ; version < len(migrations); version++ {
		if err := c.exec(migrations[version]); err != nil {
			return fmt.Errorf("migrate %q to schema %d: %w", path, version+1, err)
		}
		row := fmt.Sprintf("INSERT INTO tenter_schema VALUES (%d, '%s')", version+1, formatTime(clock()))
		if err := c.exec(row); err != nil {
			return fmt.Errorf("migrate %q to schema %d: %w", path, version+1, err)
		}
	}
	return nil
}
