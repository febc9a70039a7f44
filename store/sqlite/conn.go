package sqlite

import (
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"
	"unsafe"

	"zombiezen.com/go/sqlite"

	"github.com/tenter-dev/tenter/store"
)

// conn is a connection with its prepared statements. This file is all that
// knows how the driver is called.
type conn struct {
	c        *sqlite.Conn
	stmts    [queryCount]stmt
	previous bool // the file has the schema before this one, see previous.go
}

func openConn(path string, flags sqlite.OpenFlags) (*conn, error) {
	c, err := sqlite.OpenConn(path, flags)
	if err != nil {
		return nil, err
	}
	return &conn{c: c}, nil
}

func (c *conn) close() error { return c.c.Close() }

// exec runs a script of statements and throws rows away.
func (c *conn) exec(script string) error {
	for strings.TrimSpace(script) != "" {
		s, rest, err := c.c.PrepareTransient(script)
		if err != nil {
			return err
		}
		script = script[len(script)-rest:]
		for {
			row, err := s.Step()
			if err != nil {
				s.Finalize()
				return err
			}
			if !row {
				break
			}
		}
		if err := s.Finalize(); err != nil {
			return err
		}
	}
	return nil
}

// text runs a query and returns the first column of its first row.
func (c *conn) text(query string) (string, error) {
	all, err := c.texts(query)
	if err != nil || len(all) == 0 {
		return "", err
	}
	return all[0], nil
}

// texts runs a query and returns the first column of its rows.
func (c *conn) texts(query string) (all []string, err error) {
	s, _, err := c.c.PrepareTransient(query)
	if err != nil {
		return nil, err
	}
	defer s.Finalize()
	for {
		row, err := s.Step()
		if err != nil || !row {
			return all, err
		}
		all = append(all, s.ColumnText(0))
	}
}

// changed reports whether the last statement changed a row.
func (c *conn) changed() bool { return c.c.Changes() > 0 }

// inserted is the rowid of the last row that was inserted into a table that has them.
func (c *conn) inserted() int64 { return c.c.LastInsertRowID() }

// on returns the prepared statement of a query, ready to be bound.
func (c *conn) on(q query) *stmt {
	st := &c.stmts[q]
	if st.s == nil {
		s, err := c.c.Prepare(c.sql(queries[q]))
		if err != nil {
			st.err = fmt.Errorf("prepare statement: %w", err)
			return st
		}
		st.s = s
	}
	st.param, st.col, st.err = 0, 0, nil
	return st
}

// stmt is a prepared statement. Parameters are bound and columns are read in
// their order, one call each. It needs end, unless run is called.
type stmt struct {
	s     *sqlite.Stmt
	param int
	col   int
	err   error
}

func (st *stmt) bindText(v string) *stmt {
	st.param++
	if st.err == nil {
		st.s.BindText(st.param, v)
	}
	return st
}

// bindOptText binds NULL for an empty string.
func (st *stmt) bindOptText(v string) *stmt {
	if v != "" {
		return st.bindText(v)
	}
	st.param++
	if st.err == nil {
		st.s.BindNull(st.param)
	}
	return st
}

func (st *stmt) bindInt(v int64) *stmt {
	st.param++
	if st.err == nil {
		st.s.BindInt64(st.param, v)
	}
	return st
}

func (st *stmt) bindBool(v bool) *stmt {
	if v {
		return st.bindInt(1)
	}
	return st.bindInt(0)
}

func (st *stmt) bindTime(t time.Time) *stmt { return st.bindText(formatTime(t)) }

// bindData binds text as text, so that it can be read by hand, anything else as
// a blob, and nil as NULL.
func (st *stmt) bindData(b []byte) *stmt {
	switch {
	case b == nil:
		return st.bindOptText("")
	case isText(b):
		// The driver copies it, so it is not kept.
		return st.bindText(unsafe.String(unsafe.SliceData(b), len(b)))
	}
	return st.bindBlob(b)
}

// bindBlob binds a blob, and nil as NULL.
func (st *stmt) bindBlob(b []byte) *stmt {
	if b == nil {
		return st.bindOptText("")
	}
	st.param++
	if st.err == nil {
		st.s.BindBytes(st.param, b)
	}
	return st
}

// isText reports whether b reads as text everywhere: SQLite's tools end a text
// at a zero byte.
func isText(b []byte) bool {
	if slices.Contains(b, 0) {
		return false
	}
	return utf8.Valid(b)
}

// next goes to the next row.
func (st *stmt) next() bool {
	st.col = 0
	if st.err != nil {
		return false
	}
	row, err := st.s.Step()
	st.err = err
	return row && err == nil
}

// end makes the statement ready for its next use and returns its error.
func (st *stmt) end() error {
	if st.s == nil {
		return st.err
	}
	// The error of the reset is that of the step before.
	if err := st.s.Reset(); err != nil && st.err == nil {
		st.err = err
	}
	return st.err
}

// run executes a statement that returns no rows.
func (st *stmt) run() error {
	for st.next() {
	}
	return st.end()
}

// first goes to the only row of interest.
func (st *stmt) first() (bool, error) {
	row := st.next()
	return row, st.err
}

func (st *stmt) text() string {
	st.col++
	return st.s.ColumnText(st.col - 1)
}

func (st *stmt) int() int64 {
	st.col++
	return st.s.ColumnInt64(st.col - 1)
}

func (st *stmt) bool() bool { return st.int() != 0 }

// time reads a time, the zero time from NULL.
func (st *stmt) time() time.Time {
	s := st.text()
	if s == "" {
		return time.Time{}
	}
	return parseTime(s)
}

// data reads what bindData wrote.
func (st *stmt) data() []byte {
	i := st.col
	st.col++
	n := st.s.ColumnLen(i)
	if n == 0 {
		if st.s.ColumnIsNull(i) {
			return nil
		}
		return []byte{}
	}
	b := make([]byte, n)
	st.s.ColumnBytes(i, b)
	return b
}

// kind reads a kind without an allocation if it is a known one.
func (st *stmt) kind() store.Kind {
	st.col++
	return store.Kind(st.s.ColumnText(st.col - 1))
}

func isBusy(err error) bool { return sqlite.ErrCode(err).ToPrimary() == sqlite.ResultBusy }

func isFull(err error) bool { return sqlite.ErrCode(err).ToPrimary() == sqlite.ResultFull }

func isDamage(err error) bool {
	switch sqlite.ErrCode(err).ToPrimary() {
	case sqlite.ResultCorrupt, sqlite.ResultNotADB:
		return true
	default:
		return false
	}
}
