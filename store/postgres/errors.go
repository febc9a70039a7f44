package postgres

import (
	"errors"
	"fmt"
	"net"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/tenter-dev/tenter/store"
)

// What can be wrong with a database, as the Err of an *OpenError.
var (
	ErrURL         = errors.New("the connection string cannot be read")
	ErrUnreachable = errors.New("the server cannot be reached")
	ErrRefused     = errors.New("the server refuses the connection")
	ErrOldServer   = errors.New("the server is too old")
	ErrRights      = errors.New("the role lacks rights")
	ErrMissing     = errors.New("there is no database of Tenter")
	ErrOlder       = errors.New("the schema was written by an older version of Tenter")
	ErrNewer       = errors.New("the schema was written by a newer version of Tenter")
	ErrInUse       = errors.New("workers of an older version of Tenter use the database")
)

// OpenError says why a database cannot be used, and what to do. Nothing in it has
// been changed.
type OpenError struct {
	Database string // host, port and name
	Err      error  // errors.Is(err, ErrRights) and so on
	Detail   string // what was found
	Advice   string // what to do
}

// Error says which database it is, what is wrong, and what to do.
func (e *OpenError) Error() string {
	s := fmt.Sprintf("open database %s: %v", e.Database, e.Err)
	if e.Detail != "" {
		s += " (" + e.Detail + ")"
	}
	if e.Advice != "" {
		s += "; " + e.Advice
	}
	return s
}

// Unwrap returns Err.
func (e *OpenError) Unwrap() error { return e.Err }

// openError says what an error means to somebody who opens a database.
func openError(name string, err error) error {
	var known *OpenError
	if errors.As(err, &known) {
		return err
	}
	oe := &OpenError{Database: name, Err: err}
	if pe, ok := errors.AsType[*pgconn.PgError](err); ok {
		oe.Detail = pe.Message
		switch {
		case pe.Code == "42501":
			oe.Err, oe.Advice = ErrRights, "grant it CREATE on the database for the first start, or make the schema as docs/postgres.md has it"
		case pe.Code == "3D000":
			oe.Err, oe.Advice = ErrRefused, "make the database first: createdb"
		case strings.HasPrefix(pe.Code, "28"):
			oe.Err, oe.Advice = ErrRefused, "check role, password and pg_hba.conf"
		case pe.Code == "53300":
			oe.Err, oe.Advice = ErrRefused, "raise max_connections, or lower pool_max_conns"
		case pe.Code == "42P05", pe.Code == "26000":
			oe.Err, oe.Advice = ErrRefused, "it seems to be a PgBouncer in transaction mode, without prepared statements: add default_query_exec_mode=cache_describe"
		case strings.HasPrefix(pe.Code, "57P"):
			oe.Err, oe.Advice = ErrUnreachable, "it starts up or shuts down: try again"
		}
		return oe
	}
	_, dial := errors.AsType[*net.OpError](err)
	_, connect := errors.AsType[*pgconn.ConnectError](err)
	if dial || connect {
		oe.Err, oe.Advice = ErrUnreachable, "check that it runs, and host and port"
		oe.Detail = strings.Join(strings.Fields(err.Error()), " ") // pgx lists its attempts line by line
	}
	return oe
}

// codes are the refusals that functions of the schema return, nothing being written.
var codes = map[string]error{
	"not_found": store.ErrNotFound,
	"exists":    store.ErrExists,
	"conflict":  store.ErrConflict,
	"fenced":    store.ErrFenced,
	"mismatch":  store.ErrMismatch,
	"busy":      errBusy,

	"paused":     store.ErrPaused,
	"old_worker": store.ErrOldWorker,
}

// errBusy means that nothing was written, because somebody else has a lock.
var errBusy = errors.New("locked by another transaction")

// refusal is the error of a code, nil for none.
func refusal(code *string) error {
	if code == nil {
		return nil
	}
	if err, ok := codes[*code]; ok {
		return err
	}
	return fmt.Errorf("the database answers %q, which this binary does not know", *code)
}

// passing reports whether an error says that nothing was written, and that the same
// may succeed when it is tried again: a lock that was not to be had, a deadlock, a
// serialization failure.
func passing(err error) bool {
	if errors.Is(err, errBusy) {
		return true
	}
	pe, ok := errors.AsType[*pgconn.PgError](err)
	return ok && undone(pe) && (pe.Code == "55P03" || strings.HasPrefix(pe.Code, "40"))
}

// undone reports whether an error ended a transaction, and not the connection with it,
// perhaps in the middle of a commit. Severity would be in the language of the server.
func undone(pe *pgconn.PgError) bool { return pe.SeverityUnlocalized == "ERROR" }

// standby reports whether an error says that a server cannot be written to, as one that
// was the primary: new connections may lead to another.
func standby(err error) bool {
	pe, ok := errors.AsType[*pgconn.PgError](err)
	return ok && pe.Code == "25006"
}

// separable reports whether an error says that nothing of a batch was written, and
// that one operation may be to blame: the others can be carried out without it.
func separable(err error) bool {
	pe, ok := errors.AsType[*pgconn.PgError](err)
	if !ok || !undone(pe) {
		return false
	}
	switch pe.Code[:2] {
	case "21", "22", "23", "40", "54": // rows, data, constraints, conflicts, limits
		return true
	}
	return pe.Code == "55P03" || pe.Code == "57014" // a lock, a statement that took too long
}
