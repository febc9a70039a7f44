package inspect

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/tenter-dev/tenter/workflow"
)

// LinkState says what a link to an answer page is good for.
type LinkState string

// The states of a link. LinkOpen and LinkCarried are not final, nor is LinkClosed if the hook is carried:
// when the run opens that, the link is open. A retry of the run can make others open again.
const (
	LinkOpen     LinkState = "open"     // it can be answered
	LinkRevoked  LinkState = "revoked"  // it was taken back, or its run has restarted with a hook of another form
	LinkAnswered LinkState = "answered" // its addressee has answered the hook, by this link or another one
	LinkDecided  LinkState = "decided"  // somebody else has answered, and one answer is all that the hook takes
	LinkClosed   LinkState = "closed"   // its hook is closed, or its run has ended, or has restarted and waits without the hook
	LinkExpired  LinkState = "expired"
	LinkCarried  LinkState = "carried" // its run is restarting; try again
)

// Link is a link to an answer page, without its URL.
type Link struct {
	ID         string          `json:"id"`
	RunID      string          `json:"run_id"`
	HookID     string          `json:"hook_id"`
	HookType   string          `json:"hook_type,omitempty"`
	Addressee  string          `json:"addressee"`
	State      LinkState       `json:"state"`
	Once       bool            `json:"once,omitempty"` // one answer is all that the hook takes by links
	Title      string          `json:"title,omitempty"`
	CreatedAt  time.Time       `json:"created_at"`
	ExpiresAt  time.Time       `json:"expires_at"`
	RevokedAt  time.Time       `json:"revoked_at,omitzero"`
	RevokedBy  workflow.Actor  `json:"revoked_by,omitzero"`   // who revoked it from outside of its run
	AnsweredAt time.Time       `json:"answered_at,omitzero"`  // of the addressee's answer
	AnsweredBy string          `json:"answered_by,omitempty"` // ID of the link by which it came
	Answer     json.RawMessage `json:"answer,omitempty"`
	// Number is its place in the order in which links were made, for LinkFilter.After.
	Number int64 `json:"number"`
}

// LinkFilter selects links by what all its fields ask for. Zero fields ask for nothing, but one of RunID
// and Addressee is needed.
type LinkFilter struct {
	RunID     string
	HookID    string // with RunID
	Addressee string // only links that can be answered: what waits for somebody
	After     int64  // continues a list: the Number of the last link of the page before
	Limit     int    // default 100
}

// Validate says what is wrong with f.
func (f *LinkFilter) Validate() error {
	if err := cmp.Or(checkText("run_id", f.RunID), checkText("hook_id", f.HookID), checkText("addressee", f.Addressee)); err != nil {
		return err
	}
	switch {
	case f.RunID == "" && f.Addressee == "":
		return errors.New("a run or an addressee is needed")
	case f.RunID != "" && f.Addressee != "":
		return errors.New("it is either of a run or for an addressee")
	case f.HookID != "" && f.RunID == "":
		return errors.New("a hook is one of a run, which is needed too")
	case f.After < 0 || f.Limit < 0 || f.Limit > MaxLimit:
		return fmt.Errorf("after is %d and limit %d: they can't be negative, and a limit is at most %d", f.After, f.Limit, MaxLimit)
	}
	return nil
}
