package access

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"strconv"
	"strings"
	"time"
)

// SessionFor is how long a session lasts.
const SessionFor = 12 * time.Hour

// SignIn makes a session of a token, for the cookie of a browser: it does not tell the
// token, ends by itself, and ends with the token when that is taken off the policy. It
// needs no memory, so all processes with the same tokens know it. It fails with
// [ErrWrongToken].
func (g *Guard) SignIn(secret string, now time.Time) (string, error) {
	t := g.find(secret)
	if t == nil {
		return "", ErrWrongToken
	}
	until := strconv.FormatInt(now.Add(SessionFor).Unix(), 10)
	return until + "." + seal(t, until), nil
}

// Session says what the owner of a session may do: [None] if it is over or was never
// made here.
func (g *Guard) Session(session string, now time.Time) Scope {
	until, mac, _ := strings.Cut(session, ".")
	scope := None
	for i := range g.policy.Tokens {
		t := &g.policy.Tokens[i]
		if subtle.ConstantTimeCompare([]byte(mac), []byte(seal(t, until))) == 1 {
			scope = t.Scope
		}
	}
	end, err := strconv.ParseInt(until, 10, 64)
	if err != nil || !now.Before(time.Unix(end, 0)) {
		return None
	}
	return scope
}

// seal binds a time to a token. The key is derived, so that nothing else that is made of
// the token can be taken for a session.
func seal(t *Token, until string) string {
	h := hmac.New(sha256.New, []byte(t.Secret))
	h.Write([]byte("tenter session until " + until))
	return base64.RawURLEncoding.EncodeToString(h.Sum(nil))
}
