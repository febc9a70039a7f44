package access

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
)

// Scope is what somebody may do. Each includes those before it.
type Scope int

// The scopes.
const (
	None  Scope = iota // nothing
	Read               // look: lists, and journals with their payloads; generated tokens of hooks, which are secrets, are masked
	Write              // start, resume, cancel, terminate, wake and retry as well
)

// String returns none, read or write.
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

// Policy says who may do what. The zero value makes an API key with the scope Write when the
// program starts, which is good until it ends; the handler logs it.
type Policy struct {
	// APIKeys are those that are accepted. A request needs one of them, from wherever it
	// comes: Authorization: Bearer and the secret.
	APIKeys []APIKey

	// Authorize decides instead, if it is not nil: by the session that the app has, the
	// user that a proxy has named, or whatever it knows of a request.
	Authorize func(*http.Request) Scope

	// Unauthenticated is what everybody may do who can reach the handler, in place of both
	// of the above. That is everybody behind each proxy in front of it, every user and every
	// container of the machine, and, if the handler is on a loopback address, any web page
	// that a browser on the machine shows (by DNS rebinding).
	Unauthenticated Scope

	// Name says who sends a request that is let in, for journals to say who did what: the user of
	// the app's session, or the one that a proxy has named. It comes before the name of an API key;
	// where it is nil, or returns nothing, that counts. A name has at most 256 bytes of UTF-8 without
	// control characters; a request with another one is refused. It is trusted, so a header counts
	// only if a proxy sets it, and removes it where others have.
	Name func(*http.Request) string
}

// Errors of [Guard.Check].
var (
	// ErrNoAPIKey is the error of a request without an API key where one is needed.
	ErrNoAPIKey = errors.New("an API key is needed: send it as Authorization: Bearer KEY")
	// ErrWrongAPIKey is the error of a request whose key is not among those accepted.
	ErrWrongAPIKey = errors.New("the key is not one that is accepted here")
	// ErrRefused is the error of a request that Policy.Authorize allows nothing.
	ErrRefused = errors.New("not allowed")
)

// Guard enforces a policy.
type Guard struct {
	policy    Policy
	generated bool // its key
	sessions  sessions
}

// NewGuard makes a guard. It panics if a secret is shorter than 16 bytes or an API key has
// no scope: what comes from an environment variable that is not set must not open the
// door. It also panics if a name can't be one, or if Unauthenticated is set beside APIKeys or
// Authorize.
func NewGuard(p Policy) *Guard {
	if err := p.validate(); err != nil {
		panic("access: " + err.Error())
	}
	g := &Guard{policy: p}
	g.policy.APIKeys = slices.Clone(p.APIKeys)
	if len(p.APIKeys) == 0 && p.Authorize == nil && p.Unauthenticated == None {
		g.generated, g.policy.APIKeys = true, []APIKey{NewAPIKey(Write)}
	}
	return g
}

func (p *Policy) validate() error {
	for i, t := range p.APIKeys {
		if len(t.Secret) < minSecret {
			return fmt.Errorf("the secret of key %d has %d bytes, and needs %d", i+1, len(t.Secret), minSecret)
		}
		if t.Scope != Read && t.Scope != Write {
			return fmt.Errorf("key %d has no scope", i+1)
		}
		if err := checkName(t.Name); err != nil {
			return fmt.Errorf("the name of key %d: %w", i+1, err)
		}
	}
	switch {
	case p.Unauthenticated < None || p.Unauthenticated > Write:
		return fmt.Errorf("the scope of Policy.Unauthenticated is %d, and there is none such", p.Unauthenticated)
	case p.Unauthenticated != None && (len(p.APIKeys) > 0 || p.Authorize != nil):
		return errors.New("a policy with Unauthenticated lets everybody in, and APIKeys or Authorize let only some in: choose")
	}
	return nil
}

// Generated returns the key that the guard has made because the policy is the zero
// value. Whoever has the guard shows it to the people of this process, once.
func (g *Guard) Generated() (key APIKey, ok bool) {
	if !g.generated {
		return APIKey{}, false
	}
	return g.policy.APIKeys[0], true
}

// Check says who sends a request, and what that may do. With an error it is nothing.
func (g *Guard) Check(r *http.Request) (Caller, error) {
	switch {
	case g.policy.Authorize != nil:
		if s := g.policy.Authorize(r); s != None {
			return g.named(r, nil, s)
		}
		return Caller{}, ErrRefused
	case g.policy.Unauthenticated != None:
		return g.named(r, nil, g.policy.Unauthenticated)
	}
	secret, ok := bearer(r)
	switch {
	case !ok && g.generated:
		return Caller{}, fmt.Errorf("%w. None are configured, so the process has made one when it started, and its log has it", ErrNoAPIKey)
	case !ok:
		return Caller{}, ErrNoAPIKey
	}
	t := g.find(secret)
	if t == nil {
		return Caller{}, ErrWrongAPIKey
	}
	return g.named(r, t, t.Scope)
}

// NeedsAPIKey reports whether a request needs an API key.
func (g *Guard) NeedsAPIKey() bool { return len(g.policy.APIKeys) > 0 }
