package access

import (
	"errors"
	"fmt"
	"net/http"
)

// Scope is what somebody may do. Each includes those before it.
type Scope int

// The scopes.
const (
	None  Scope = iota // nothing
	Read               // look: lists, journals with their payloads, and the tokens of hooks, which are secrets
	Write              // start, resume, cancel, terminate, wake and retry as well
)

func (s Scope) String() string {
	switch s {
	case Read:
		return "read"
	case Write:
		return "write"
	default:
		return "none"
	}
}

// Token is a bearer token.
type Token struct {
	// Secret is what the sender has to know. It has at least 16 bytes; rand.Text makes
	// good ones.
	Secret string
	Scope  Scope
}

// Policy says who may do what. The zero value lets programs and people on the same
// machine do everything, and nobody else anything: the connection must come from a
// loopback address, name one as its host (else any web page could reach it, by a name of
// its own that leads here), and not come through a proxy.
type Policy struct {
	// Tokens are those that are accepted. With any, a request needs one of them, from
	// wherever it comes: Authorization: Bearer and the secret.
	Tokens []Token

	// Authorize decides instead, if it is not nil: by the session that the app has, the
	// user that a proxy has named, or whatever it knows of a request.
	Authorize func(*http.Request) Scope
}

// Errors of [Guard.Check].
var (
	// ErrNoToken is the error of a request without a token where one is needed.
	ErrNoToken = errors.New("a token is needed: send it as Authorization: Bearer TOKEN")
	// ErrWrongToken is the error of a request whose token is not among those accepted.
	ErrWrongToken = errors.New("the token is not one that is accepted here")
	// ErrNotLocal is the error of a request from elsewhere while no tokens are configured.
	ErrNotLocal = errors.New("no tokens are configured, so only the same machine is served: " +
		"at localhost, 127.0.0.1 or [::1], and not through a proxy")
	// ErrRefused is the error of a request that Policy.Authorize allows nothing.
	ErrRefused = errors.New("not allowed")
)

const minSecret = 16

// Guard carries a policy out.
type Guard struct {
	policy Policy
}

// NewGuard makes a guard. It panics if a secret is shorter than 16 bytes or a token has
// no scope: what comes from an environment variable that is not set must not open the door.
func NewGuard(p Policy) *Guard {
	for i, t := range p.Tokens {
		if len(t.Secret) < minSecret {
			panic(fmt.Sprintf("access: the secret of token %d has %d bytes, and needs %d", i+1, len(t.Secret), minSecret))
		}
		if t.Scope != Read && t.Scope != Write {
			panic(fmt.Sprintf("access: token %d has no scope", i+1))
		}
	}
	return &Guard{policy: p}
}

// Check says what the sender of a request may do. With an error it is nothing.
func (g *Guard) Check(r *http.Request) (Scope, error) {
	switch {
	case g.policy.Authorize != nil:
		if s := g.policy.Authorize(r); s != None {
			return s, nil
		}
		return None, ErrRefused
	case len(g.policy.Tokens) == 0:
		if !local(r) {
			return None, ErrNotLocal
		}
		return Write, nil
	}
	secret, ok := bearer(r)
	if !ok {
		return None, ErrNoToken
	}
	t := g.find(secret)
	if t == nil {
		return None, ErrWrongToken
	}
	return t.Scope, nil
}

// Tokens reports whether a request needs a token.
func (g *Guard) Tokens() bool { return g.policy.Authorize == nil && len(g.policy.Tokens) > 0 }
