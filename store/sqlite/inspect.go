package sqlite

import (
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"zombiezen.com/go/sqlite"
)

const (
	adviceCorrupt = "restore it from a backup, or copy what can be read with: sqlite3 FILE .recover"
	adviceOlder   = "use the version that the application has, or start the application with this one first; nothing was changed"
	adviceNotDB   = "give the path of a new file, or of a database"
	adviceCanOpen = "this process has to be allowed to write the file and its directory"
	adviceOrphan  = "put the file back beside it; for a new database, move away first what is left of the old one, which has its last commits"
	adviceForeign = "put the file back that the log belongs to; if this one was restored from a backup, move FILE-wal and FILE-shm away first, " +
		"which have the last commits of the one that it replaces"
)

// refusal makes the error of a file that Tenter can't use.
type refusal func(err error, detail, advice string) error

// inspect looks at a file before anything is opened for writing, so that one
// that Tenter cannot use is left as it is. It reads little, whatever the size.
func inspect(path string) error {
	refuse := func(err error, detail, advice string) error {
		return &OpenError{Path: path, Err: err, Detail: detail, Advice: advice}
	}
	if path == "" || path == ":memory:" || strings.HasPrefix(path, "file:") {
		return refuse(errors.New("the path does not name a file"), "", "give the path of a file; it is made if it does not exist")
	}
	path, err := resolve(path)
	if err != nil {
		return refuse(err, "", "")
	}
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		dir := filepath.Dir(path)
		if d, err := os.Stat(dir); err != nil || !d.IsDir() {
			return refuse(ErrNoDirectory, dir, "make it first")
		}
		return inspectOrphans(path, refuse)
	case err != nil:
		return refuse(err, "", "")
	case info.IsDir():
		return refuse(ErrNotDatabase, "it is a directory", adviceNotDB)
	case info.Size() == 0:
		return inspectOrphans(path, refuse)
	}
	return inspectFile(path, refuse)
}

// inspectFile looks at a file that has something in it.
func inspectFile(path string, refuse refusal) error {
	h, err := readHeader(path)
	switch {
	case err == nil:
		if err := inspectHeader(path, h, refuse); err != nil {
			return err
		}
		if found, advice, err := inspectLog(path, h); err == nil && found != "" {
			return refuse(ErrCorrupt, found, advice)
		}
	case !isDamage(err): // which the schema tells more about
		return refuse(err, "", "")
	}
	return inspectSchema(path, refuse)
}

// resolve returns the path of the file that SQLite opens, and beside which it has the
// log: it follows symbolic links, also one that leads to a file that is not there.
func resolve(path string) (string, error) {
	path, err := filepath.Abs(path)
	if err != nil || runtime.GOOS == "windows" { // where SQLite takes links for files
		return path, err
	}
	const most = 40 // links that lead to links
	for range most {
		dir, err := filepath.EvalSymlinks(filepath.Dir(path))
		if err != nil {
			return path, nil //nolint:nilerr // there is no directory, which the caller notices when it looks for the file
		}
		path = filepath.Join(dir, filepath.Base(path))
		to, err := os.Readlink(path)
		if err != nil {
			return path, nil //nolint:nilerr // it is not a link
		}
		if path = to; !filepath.IsAbs(to) {
			path = filepath.Join(dir, to)
		}
	}
	return "", errors.New("too many symbolic links")
}

// inspectOrphans refuses a file that is not there, or empty, beside what belongs to one
// that was: SQLite would delete that log or journal, or take it for the new file's.
func inspectOrphans(path string, refuse refusal) error {
	_, err := os.Stat(path)
	missing := errors.Is(err, fs.ErrNotExist)
	state := "it is empty"
	if missing {
		state = "it is not there"
	}
	for _, suffix := range []string{"-wal", "-shm", "-journal"} {
		left, err := os.Stat(path + suffix)
		if err != nil || !orphan(path+suffix, left.Size(), missing) {
			continue
		}
		// Another process may be making the file: what is beside it comes after it.
		if info, err := os.Stat(path); err == nil && info.Size() > 0 {
			return inspectFile(path, refuse)
		}
		return refuse(ErrCorrupt, fmt.Sprintf("%s, and %s%s is, with %d bytes", state, filepath.Base(path), suffix, left.Size()), adviceOrphan)
	}
	return nil
}

// orphan reports whether a file shows that there was a database, which is missing or empty.
func orphan(name string, size int64, missing bool) bool {
	switch {
	case strings.HasSuffix(name, "-journal"):
		// One that undoes the making of a database has seen none.
		pages, ok := journalPages(name)
		return ok && (missing || pages > 0)
	case missing:
		return true // an empty log too: a process may have it open
	default:
		return size > 0 && strings.HasSuffix(name, "-wal")
	}
}

// journalPages returns how large a database was before the transaction that a rollback
// journal undoes. It reports whether there is anything to be undone.
func journalPages(name string) (pages uint32, ok bool) {
	f, err := os.Open(name)
	if err != nil {
		return 0, false
	}
	defer func() { _ = f.Close() }()
	const magic = "\xd9\xd5\x05\xf9\x20\xa1\x63\xd7"
	var h [20]byte
	if _, err := io.ReadFull(f, h[:]); err != nil || string(h[:len(magic)]) != magic {
		return 0, false
	}
	return binary.BigEndian.Uint32(h[16:]), true
}

// fileHeader is what a database begins with. Less of it is that of a file that is shorter.
type fileHeader []byte

const fileHeaderSize = 100

// pageSize is 0 if there is no valid one.
func (h fileHeader) pageSize() int {
	page := int(binary.BigEndian.Uint16(h[16:]))
	if page == 1 {
		page = 65536
	}
	if page < 512 || page&(page-1) != 0 {
		return 0
	}
	return page
}

// pages is how many pages the file says that it has, if that was written with the last
// change.
func (h fileHeader) pages() (n int64, ok bool) {
	return int64(binary.BigEndian.Uint32(h[28:])), string(h[24:28]) == string(h[92:96])
}

// hasLog reports whether changes of the file go to a log.
func (h fileHeader) hasLog() bool { return h[18] > 1 }

// readHeader reads the header of a file, through SQLite: closing a file ends all locks
// that the process has on it, whoever took them. Without the lock of a connection that is
// open, the next process to close the file would take itself for the last, and delete the
// log.
func readHeader(path string) (fileHeader, error) {
	if info, err := os.Stat(path); err == nil && info.Size() < fileHeaderSize {
		return readHeaderPlain(path)
	}
	c, err := openConn(immutable(path), sqlite.OpenReadOnly|sqlite.OpenURI)
	if err != nil {
		return readHeaderPlain(path)
	}
	defer func() { _ = c.close() }()
	// A file that is shorter than it says has a first page all the same.
	err = c.exec("PRAGMA writable_schema=1")
	var text string
	if err == nil {
		text, err = c.text(fmt.Sprintf("SELECT hex(substr(data, 1, %d)) FROM sqlite_dbpage WHERE pgno = 1", fileHeaderSize))
	}
	if sqlite.ErrCode(err).ToPrimary() == sqlite.ResultCorrupt {
		return nil, err
	}
	if h, e := hex.DecodeString(text); err == nil && e == nil && len(h) == fileHeaderSize {
		return h, nil
	}
	return readHeaderPlain(path)
}

// readHeaderPlain reads the header of what SQLite does not take for a database, so that
// it has no locks on it.
func readHeaderPlain(path string) (fileHeader, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	h := make(fileHeader, fileHeaderSize)
	n, err := io.ReadFull(f, h)
	return h[:n], unlessShort(err)
}

// immutable is the name under which SQLite reads a file as it is, without locks.
func immutable(path string) string { return "file:" + url.PathEscape(path) + "?immutable=1" }

// inspectHeader checks the header of a file against its size.
func inspectHeader(path string, h fileHeader, refuse refusal) error {
	const magic = "SQLite format 3\x00"
	if len(h) < len(magic) || string(h[:len(magic)]) != magic {
		return refuse(ErrNotDatabase, "it starts with other bytes", adviceNotDB)
	}
	if len(h) < fileHeaderSize {
		return refuse(ErrCorrupt, fmt.Sprintf("it ends after %d bytes", len(h)), adviceCorrupt)
	}
	page := int64(h.pageSize())
	if page == 0 {
		return refuse(ErrCorrupt, fmt.Sprintf("its header says pages of %d bytes", binary.BigEndian.Uint16(h[16:])), adviceCorrupt)
	}
	info, err := os.Stat(path)
	if err != nil {
		return refuse(err, "", "")
	}
	// Pages may still be in the log only.
	pages, known := h.pages()
	if wal, err := os.Stat(path + "-wal"); known && info.Size() < pages*page && (err != nil || wal.Size() == 0) {
		return refuse(ErrCorrupt, fmt.Sprintf("it has %d bytes of %d", info.Size(), pages*page), adviceCorrupt)
	}
	return nil
}

// inspectSchema reads the schema through a connection that cannot write.
func inspectSchema(path string, refuse refusal) error {
	_, err := readVersion(path)
	_, refused := errors.AsType[*OpenError](err)
	switch {
	case err == nil || refused:
		return err
	case isDamage(err):
		return refuse(ErrCorrupt, err.Error(), adviceCorrupt)
	case sqlite.ErrCode(err).ToPrimary() == sqlite.ResultCantOpen:
		// A log that only a writer can recover: opening it will do.
		return nil
	default:
		return refuse(err, "", "")
	}
}

// existing returns the number of a file's schema. It refuses a file that would have to be made, or
// whose number is below the least.
func existing(path string, least int) (version int, err error) {
	info, err := os.Stat(path)
	if err == nil && info.Size() > 0 {
		if version, err = readVersion(path); err != nil {
			return 0, &OpenError{Path: path, Err: err}
		}
	}
	switch {
	case err != nil:
		return 0, &OpenError{Path: path, Err: ErrMissing, Detail: "no such file"}
	case version == 0:
		return 0, &OpenError{Path: path, Err: ErrMissing, Detail: "the file has no tables of Tenter"}
	case version < least:
		return 0, &OpenError{
			Path: path, Err: ErrOlder, Detail: fmt.Sprintf("schema %d, this binary knows %d", version, thisEdition.known()), Advice: adviceOlder,
		}
	}
	return version, nil
}

// readVersion reads the number of a file's schema, which has to serve this binary, and leaves
// nothing beside the file.
func readVersion(path string) (int, error) {
	read := func(name string, flags sqlite.OpenFlags) (int, error) {
		c, err := openConn(name, flags)
		if err != nil {
			return 0, err
		}
		defer func() { _ = c.close() }()
		c.c.SetBusyTimeout(10 * time.Second)
		if err := thisEdition.checkServed(c, path); err != nil {
			return 0, err
		}
		return schemaVersion(c)
	}
	if path, err := resolve(path); err == nil {
		if _, err := os.Stat(path + "-wal"); errors.Is(err, fs.ErrNotExist) {
			// Nobody has it open: it can be read without making a log.
			v, err := read(immutable(path), sqlite.OpenReadOnly|sqlite.OpenURI)
			if _, refused := errors.AsType[*OpenError](err); err == nil || refused {
				return v, err
			}
		}
	}
	return read(path, sqlite.OpenReadOnly)
}
