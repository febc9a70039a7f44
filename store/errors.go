package store

import "errors"

var (
	// ErrNotFound is returned when there is no such run, or no open hook with
	// that token. Nothing was written.
	ErrNotFound = errors.New("not found")

	// ErrExists is returned when a run ID is taken. Nothing was written.
	ErrExists = errors.New("run exists")

	// ErrConflict is returned when the database has moved on since the caller
	// looked: another message is in the mailbox, or the journal is longer.
	// Nothing was written; look again.
	ErrConflict = errors.New("conflict")

	// ErrFenced is returned when another worker owns the run, or it has ended.
	// Nothing was written; what the caller remembers of the run is void.
	ErrFenced = errors.New("fenced: the run has another owner")

	// ErrMismatch is returned when a payload is meant for a hook of another type
	// than the one that has the token. Nothing was written.
	ErrMismatch = errors.New("hook is of another type")

	// ErrPaused is returned when a transition can't be written, because the run or its workflow
	// is paused. Nothing was written; the epoch and the owner of the run are as they were.
	ErrPaused = errors.New("paused")

	// ErrOldWorker is returned when something can't be done, such as a restart or a pause, because
	// a worker is live whose binary does not know it. Nothing was written.
	ErrOldWorker = errors.New("a worker is live whose binary is too old for this: stop it, or replace it by a newer one")

	// ErrClosed is returned by a store that has been closed.
	ErrClosed = errors.New("store is closed")
)
