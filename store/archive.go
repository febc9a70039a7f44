package store

import (
	"context"
	"time"
)

// Archiver is a store that runs can be copied out of and into, as a whole.
type Archiver interface {
	// Export returns all that the store has of a run, as of one moment. ErrNotFound if
	// there is no such run.
	Export(ctx context.Context, runID string) (Archive, error)

	// Import inserts runs, all of them or none: a run with its children, which could
	// not be told apart from new ones if they came later. The runs are free, as after a
	// crash of their worker if they had one. Messages get new IDs, in their order. If an
	// ID is taken it is ErrExists, and if an open hook has the token of one of theirs
	// ErrConflict; taken is that ID or token. Receipts and responses that are there
	// already stay as they are.
	Import(ctx context.Context, runs []Archive) (taken string, err error)
}

// Archive is all that a store has of a run.
type Archive struct {
	Run       Run
	Events    []Event
	Cuts      []CutEvent
	Mail      []Message
	Unread    []UnreadMessage
	Hooks     []ArchivedHook // in the order in which they were opened
	Receipts  []StoredReceipt
	Responses []Response
	TxSteps   []DoneTxStep

	Generations []ArchivedGeneration // those that are over, in their order

	// Subscriptions are the run's own, by Ref. Import tells those whose target is there and has ended;
	// one whose target is not there waits until it is imported.
	Subscriptions []Subscription
}

// ArchivedGeneration is a generation that is over.
type ArchivedGeneration struct {
	Generation
	Unread int64 // number of the last of Archive.Unread by then
}

// CutEvent is an event that a retry has cut off the journal.
type CutEvent struct {
	Cut   int64 // the epoch of the retry
	CutAt time.Time
	Event Event
}

// UnreadMessage is a message that a run has never taken.
type UnreadMessage struct {
	Number    int64
	Message   Message
	Journaled bool // it is in the journal too
}

// ArchivedHook is a hook, open or not.
type ArchivedHook struct {
	Hook      Hook
	AdoptedAs string // of a reservation: the ID under which the run has claimed it
}

// StoredReceipt is what is kept of a payload that had a key.
type StoredReceipt struct {
	Token         string
	Key           string
	HookID        string
	RunID         string
	Type          string
	Metadata      []byte
	Webhook       []byte
	Request       string
	HookCreatedAt time.Time
	ExpiresAt     time.Time
}

// DoneTxStep is a transactional step that was executed, or claimed and not completed.
type DoneTxStep struct {
	Step      string
	Completed bool
	// Message is the ID of the message with the result, among Archive.Mail if it is there still.
	Message int64
}
