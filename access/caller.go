package access

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Caller is who sends a request, and what that may do.
type Caller struct {
	Scope Scope

	// Name is what Policy.Name says, or else the name of the API key. It is empty if nobody has
	// given one.
	Name string

	// Via is where Name comes from: "key", or "app" for Policy.Name.
	Via string

	// NamesOthers is that of the API key.
	NamesOthers bool
}

// maxName is the longest name in bytes, as of a workflow.Actor.
const maxName = 256

// checkName says what is wrong with a name that is not empty.
func checkName(name string) error {
	switch {
	case len(name) > maxName:
		return fmt.Errorf("it has %d bytes, at most %d are allowed", len(name), maxName)
	case !utf8.ValidString(name):
		return errors.New("it is not valid UTF-8")
	case strings.ContainsFunc(name, unicode.IsControl):
		return errors.New("it has control characters")
	}
	return nil
}

// named is the caller that an API key, or nil, lets in, with the name that the policy has for the
// request.
func (g *Guard) named(r *http.Request, key *APIKey, s Scope) (Caller, error) {
	c := Caller{Scope: s}
	if key != nil {
		c.NamesOthers = key.NamesOthers
		if key.Name != "" {
			c.Name, c.Via = key.Name, "key"
		}
	}
	if g.policy.Name == nil {
		return c, nil
	}
	if name := g.policy.Name(r); name != "" {
		if err := checkName(name); err != nil {
			return Caller{}, fmt.Errorf("%w: the name of the sender: %w", ErrRefused, err)
		}
		c.Name, c.Via = name, "app"
	}
	return c, nil
}
