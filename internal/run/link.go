package run

import (
	"time"

	"github.com/tenter-dev/tenter/internal/journal"
)

// Link is a link to be made, under which somebody answers a hook.
type Link struct {
	Addressee string
	ExpiresIn time.Duration
	Once      bool
	Page      journal.Page
}

// OpenLink is a link of this run.
type OpenLink interface {
	ID() string
	URL() string
	ExpiresAt() time.Time
	// Revoke is idempotent.
	Revoke()
}
