package access

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strings"
)

const minSecret = 16

// Token is a bearer token.
type Token struct {
	// Secret is what the sender has to know. It has at least 16 bytes; NewToken makes
	// good ones.
	Secret string
	Scope  Scope
}

// NewToken makes a token that nobody can guess.
func NewToken(s Scope) Token { return Token{Secret: rand.Text(), Scope: s} }

// TokenFile returns the token whose secret is in a file. If there is no such file it
// makes one, which the user of the process alone can read: so a program that is started
// again has the same token, and so have its processes on one machine.
func TokenFile(name string, s Scope) (Token, error) {
	data, err := os.ReadFile(name)
	if errors.Is(err, fs.ErrNotExist) {
		if err := writeNew(name, NewToken(s).Secret+"\n"); err != nil {
			return Token{}, fmt.Errorf("make a token file: %w", err)
		}
		data, err = os.ReadFile(name) // another process may have been faster
	}
	if err != nil {
		return Token{}, fmt.Errorf("read a token: %w", err)
	}
	t := Token{Secret: strings.TrimSpace(string(data)), Scope: s}
	if len(t.Secret) < minSecret {
		return Token{}, fmt.Errorf("read a token: there are %d bytes in %s, and a token has at least %d: delete the file to have a new one made",
			len(t.Secret), name, minSecret)
	}
	return t, nil
}

// writeNew makes a file with all of its text at once, unless it is there.
func writeNew(name, text string) (err error) {
	f, err := os.CreateTemp(filepath.Dir(name), filepath.Base(name)+".*") // for its owner alone
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.Remove(f.Name())) }()
	_, err = f.WriteString(text)
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	if err := os.Link(f.Name(), name); !errors.Is(err, fs.ErrExist) {
		return err
	}
	return nil
}

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
