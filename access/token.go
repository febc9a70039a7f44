package access

import (
	"crypto/sha256"
	"crypto/subtle"
	"net/http"
	"strings"
)

// bearer returns the token that a request has.
func bearer(r *http.Request) (string, bool) {
	scheme, secret, ok := strings.Cut(r.Header.Get("Authorization"), " ")
	return strings.TrimSpace(secret), ok && strings.EqualFold(scheme, "Bearer")
}

// find finds a token in a time that tells nothing of those that there are.
func (g *Guard) find(secret string) *Token {
	var found *Token
	sum := sha256.Sum256([]byte(secret))
	for i := range g.policy.Tokens {
		t := &g.policy.Tokens[i]
		want := sha256.Sum256([]byte(t.Secret))
		if subtle.ConstantTimeCompare(sum[:], want[:]) == 1 {
			found = t
		}
	}
	return found
}
