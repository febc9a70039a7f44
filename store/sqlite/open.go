package sqlite

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"zombiezen.com/go/sqlite"
)

const (
	adviceCorrupt = "restore it from a backup, or copy what can be read with: sqlite3 FILE .recover"
	adviceNewer   = "use a binary that is at least as new; nothing was changed"
	adviceOlder   = "use the version that the application has, or start the application with this one first; nothing was changed"
	adviceNotDB   = "give the path of a new file, or of a database"
	adviceCanOpen = "this process has to be allowed to write the file and its directory"
)

// inspect looks at a file before anything is opened for writing, so that one
// that Tenter cannot use is left as it is. It reads little, whatever the size.
func inspect(path string) error {
	refuse := func(err error, detail, advice string) error {
		return &OpenError{Path: path, Err: err, Detail: detail, Advice: advice}
	}
	if path == "" || path == ":memory:" || strings.HasPrefix(path, "file:") {
		return refuse(errors.New("the path does not name a file"), "", "give the path of a file; it is made if it does not exist")
	}
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		dir := filepath.Dir(path)
		if d, err := os.Stat(dir); err != nil || !d.IsDir() {
			return refuse(ErrNoDirectory, dir, "make it first")
		}
		return nil
	case err != nil:
		return refuse(err, "", "")
	case info.IsDir():
		return refuse(ErrNotDatabase, "it is a directory", adviceNotDB)
	case info.Size() == 0:
		if log, err := os.Stat(path + "-wal"); err == nil && log.Size() > 0 {
			return refuse(ErrCorrupt, "it is empty, and its log is not", adviceCorrupt) // SQLite would delete that
		}
		return nil
	}
	if err := inspectHeader(path, info.Size(), refuse); err != nil {
		return err
	}
	if found, err := inspectLog(path); err == nil && found != "" {
		return refuse(ErrCorrupt, found, adviceCorrupt)
	}
	return inspectSchema(path, refuse)
}

// inspectHeader checks the first 100 bytes of a file against its size.
func inspectHeader(path string, size int64, refuse func(err error, detail, advice string) error) error {
	f, err := os.Open(path)
	if err != nil {
		return refuse(err, "", "")
	}
	defer func() { _ = f.Close() }()
	var h [100]byte
	n, err := io.ReadFull(f, h[:])
	if err != nil && !errors.Is(err, io.ErrUnexpectedEOF) {
		return refuse(err, "", "")
	}
	const magic = "SQLite format 3\x00"
	if n < len(magic) || string(h[:len(magic)]) != magic {
		return refuse(ErrNotDatabase, "it starts with other bytes", adviceNotDB)
	}
	if n < len(h) {
		return refuse(ErrCorrupt, fmt.Sprintf("it ends after %d bytes", n), adviceCorrupt)
	}
	page := int64(binary.BigEndian.Uint16(h[16:]))
	if page == 1 {
		page = 65536
	}
	if page < 512 || page&(page-1) != 0 {
		return refuse(ErrCorrupt, fmt.Sprintf("its header says pages of %d bytes", page), adviceCorrupt)
	}
	// The page count in the header holds if it was written with the last change,
	// and pages may still be in the log only.
	pages := int64(binary.BigEndian.Uint32(h[28:]))
	current := string(h[24:28]) == string(h[92:96])
	if wal, err := os.Stat(path + "-wal"); current && size < pages*page && (err != nil || wal.Size() == 0) {
		return refuse(ErrCorrupt, fmt.Sprintf("it has %d bytes of %d", size, pages*page), adviceCorrupt)
	}
	return nil
}

// inspectSchema reads the schema through a connection that cannot write.
func inspectSchema(path string, refuse func(err error, detail, advice string) error) error {
	version, err := readVersion(path)
	switch {
	case err == nil:
	case isDamage(err):
		return refuse(ErrCorrupt, err.Error(), adviceCorrupt)
	case sqlite.ErrCode(err).ToPrimary() == sqlite.ResultCantOpen:
		// A log that only a writer can recover: opening it will do.
		return nil
	default:
		return refuse(err, "", "")
	}
	if version > len(migrations) {
		return refuse(ErrNewer, fmt.Sprintf("schema %d, this binary knows %d", version, len(migrations)), adviceNewer)
	}
	return nil
}

// exists refuses a file that would have to be made or migrated.
func exists(path string) error {
	info, err := os.Stat(path)
	version := 0
	if err == nil && info.Size() > 0 {
		if version, err = readVersion(path); err != nil {
			return &OpenError{Path: path, Err: err}
		}
	}
	switch {
	case err != nil:
		return &OpenError{Path: path, Err: ErrMissing, Detail: "no such file"}
	case version == 0:
		return &OpenError{Path: path, Err: ErrMissing, Detail: "the file has no tables of Tenter"}
	case version < len(migrations):
		return &OpenError{
			Path: path, Err: ErrOlder, Detail: fmt.Sprintf("schema %d, this binary knows %d", version, len(migrations)), Advice: adviceOlder,
		}
	}
	return nil
}

// readVersion reads the schema version of a file and leaves nothing beside it.
func readVersion(path string) (int, error) {
	read := func(name string, flags sqlite.OpenFlags) (int, error) {
		c, err := openConn(name, flags)
		if err != nil {
			return 0, err
		}
		defer func() { _ = c.close() }()
		c.c.SetBusyTimeout(10 * time.Second)
		return schemaVersion(c)
	}
	if _, err := os.Stat(path + "-wal"); errors.Is(err, fs.ErrNotExist) {
		// Nobody has it open: it can be read without making a log.
		v, err := read("file:"+url.PathEscape(path)+"?immutable=1", sqlite.OpenReadOnly|sqlite.OpenURI)
		if err == nil {
			return v, nil
		}
	}
	return read(path, sqlite.OpenReadOnly)
}

// openWriter opens the connection that writes.
func openWriter(path string) (*conn, error) {
	refuse := func(err error) error {
		e := &OpenError{Path: path, Err: err}
		if sqlite.ErrCode(err).ToPrimary() == sqlite.ResultCantOpen {
			e.Advice = adviceCanOpen
		}
		return e
	}
	c, err := openConn(path, sqlite.OpenReadWrite|sqlite.OpenCreate)
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
func openReader(path string) (*conn, error) {
	// A connection must be allowed to write to read while a log is there.
	c, err := openConn(path, sqlite.OpenReadWrite)
	if err != nil {
		return nil, err
	}
	c.c.SetBusyTimeout(10 * time.Second)
	if err := c.exec("PRAGMA query_only=1; PRAGMA cache_size=-2000; PRAGMA temp_store=MEMORY;"); err != nil {
		_ = c.close()
		return nil, err
	}
	return c, nil
}
