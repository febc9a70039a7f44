package store

import (
	"context"
	"time"
)

// Linker has the links under which people answer hooks. A link is a row beside its hook: it is
// issued and revoked by transitions of its run, and answered from outside.
type Linker interface {
	// Answer puts a payload in the mailbox of the run whose hook the link is for, and marks the
	// link as answered, both or neither. It does so only if the link is LinkOpen by the clock of
	// the store; else it writes nothing. It returns the link with the state in which it found it,
	// with a nil error: LinkOpen says that the payload is in the mailbox, whatever has become of
	// the link since. ErrNotFound if there is no such link, ErrConflict if its run is in another
	// generation than the caller saw.
	Answer(ctx context.Context, a Answer) (Link, error)

	// RevokeLink revokes a link, also one that was revoked before, from outside of its run. No retry
	// undoes that. The actor is kept of the first who does. ErrNotFound if there is none.
	RevokeLink(ctx context.Context, id, actor string) error

	// Link returns a link, with the answer of its addressee if there is one. ErrNotFound if
	// there is none.
	Link(ctx context.Context, id string) (Link, error)

	// Links lists links, in the order in which they were issued.
	Links(ctx context.Context, f LinkFilter) ([]Link, error)

	// LinkKeys counts, by the keys that sign them, the links that may still be answered.
	LinkKeys(ctx context.Context) (map[string]int, error)

	// Installation is an ID that was drawn when the database was made. What is signed for one
	// installation is void in another.
	Installation(ctx context.Context) (string, error)
}

// LinkState says what a link is good for.
type LinkState string

// The states of a link. If several fit it has the first of them, but for LinkOpen.
const (
	LinkOpen     LinkState = "open"     // it can be answered
	LinkRevoked  LinkState = "revoked"  // it was taken back
	LinkAnswered LinkState = "answered" // its addressee has answered the hook, by this link or another one, see Answer
	LinkDecided  LinkState = "decided"  // somebody else has answered the hook, and this link or that one is Once
	LinkClosed   LinkState = "closed"   // its hook is closed, or its run has ended, or is Waiting while the hook is Carried
	LinkExpired  LinkState = "expired"
	LinkCarried  LinkState = "carried" // its run has restarted, and may be about to open the hook again
)

// Link lets one person answer a hook, once.
type Link struct {
	ID        string
	RunID     string
	HookID    string
	Addressee string // whom it was issued to: all links of one to a hook share one answer
	Form      string // version of the form that the hook had
	Page      []byte // JSON: what the page offers
	Key       string // ID of the key that signs it
	Once      bool   // the hook takes one answer by links: whoever comes first
	CreatedAt time.Time
	ExpiresAt time.Time
	OpenedPos int64 // position of the event whose turn issued it
	// RevokedPos is the position of the event whose turn revokes it, of RevokeLink alone.
	RevokedPos int64

	// What follows is set by the store.

	State      LinkState
	RevokedAt  time.Time // zero: it was not
	RevokedBy  string    // who revoked it from outside; empty: nobody has, or it is not known
	AnsweredAt time.Time // of the addressee's answer; zero: there is none
	AnsweredBy string    // ID of the link by which it came
	Answer     []byte    // the payload
	Hook       Hook
	Generation int32 // of the run
	// Number is its place in the order in which links were issued.
	Number int64
}

// Answer is a payload that comes by a link. It is one in the generation of the run that takes the
// payload: when the run restarts, answers that it has not taken become those of the next generation. A
// link has the first answer of its addressee since the generation that issued it; what earlier ones
// were answered it does not count.
type Answer struct {
	Link       string
	Data       []byte
	Generation int32  // of the run, as the caller saw it
	Trace      string // of the Message
	Actor      string // who answers, as in NewRun: JSON, with the ID of the link as link
}

// LinkFilter selects links by what all its fields ask for. Zero fields ask for nothing, but one of
// RunID and Addressee is needed.
type LinkFilter struct {
	RunID     string
	HookID    string // with RunID
	Addressee string // only those that are open
	After     int64  // continues a list: the Number of the last link of the page before
	Limit     int    // default 100
}
