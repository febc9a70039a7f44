package sqlite

import (
	"fmt"
	"time"

	"zombiezen.com/go/sqlite"
)

// openWriter opens the connection that writes.
func openWriter(path string, flags sqlite.OpenFlags) (*conn, error) {
	refuse := func(err error) error {
		e := &OpenError{Path: path, Err: err}
		if sqlite.ErrCode(err).ToPrimary() == sqlite.ResultCantOpen {
			e.Advice = adviceCanOpen
		}
		return e
	}
	c, err := openConn(path, sqlite.OpenReadWrite|flags)
	if err != nil {
		return nil, refuse(err)
	}
	if err := setUpWriter(c); err != nil {
		_ = c.close()
		if isDamage(err) {
			return nil, &OpenError{Path: path, Err: ErrCorrupt, Detail: err.Error(), Advice: adviceCorrupt}
		}
		return nil, refuse(err)
	}
	return c, nil
}

func setUpWriter(c *conn) error {
	c.c.SetBusyTimeout(time.Second)
	// Several processes may do this at once. SQLite does not always wait then.
	var mode string
	for tries := 0; ; tries++ {
		var err error
		if mode, err = c.text("PRAGMA journal_mode=WAL"); err == nil {
			break
		}
		if !isBusy(err) || tries == 100 {
			return err
		}
		time.Sleep(20 * time.Millisecond) //nolint:forbidigo // Open has no context, and another process is done with its PRAGMA at once
	}
	if mode != "wal" {
		return fmt.Errorf("the file system does not allow a write-ahead log (journal mode %s)", mode)
	}
	return c.exec(`
		PRAGMA synchronous=FULL;
		PRAGMA cache_size=-8000;
		PRAGMA temp_store=MEMORY;
		PRAGMA journal_size_limit=67108864;
		PRAGMA wal_autocheckpoint=8000;`)
}

// openReader opens a connection that only reads.
func (s *Store) openReader() (*conn, error) {
	// A connection must be allowed to write to read while a log is there.
	c, err := openConn(s.files.files[0].path, sqlite.OpenReadWrite)
	if e := s.checkFiles(); e != nil { // it is to another file, or to none
		if err == nil {
			_ = c.close()
		}
		return nil, e
	}
	if err != nil {
		return nil, err
	}
	c.previous = s.previous
	c.c.SetBusyTimeout(10 * time.Second)
	if err := c.exec("PRAGMA query_only=1; PRAGMA cache_size=-2000; PRAGMA temp_store=MEMORY;"); err != nil {
		_ = c.close()
		return nil, err
	}
	return c, nil
}
