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

// APIKey is what a program, or a person who signs in, shows to be let in.
type APIKey struct {
	// Secret is what the sender has to know. It has at least 16 bytes; NewAPIKey makes
	// good ones.
	Secret string
	Scope  Scope

	// Name is what whoever has the key is called in journals, such as "billing" or
	// "ada@example.com": what a run, a payload or an order came from. It has at most 256 bytes. Empty:
	// they do not say.
	Name string

	// NamesOthers lets requests with the key say themselves who sends them, as workflow.WithActor
	// has it with package client: for a program that has authenticated its users. Requests
	// with other keys that do so are refused.
	NamesOthers bool
}

// NewAPIKey makes an API key that nobody can guess.
func NewAPIKey(s Scope) APIKey { return APIKey{Secret: rand.Text(), Scope: s} }

// APIKeyFile returns the key whose secret is in a file. If there is no such file it
// makes one, which only the user of the process can read: so a program that is started
// again has the same key, and so have its processes on one machine.
func APIKeyFile(name string, s Scope) (APIKey, error) {
	data, err := os.ReadFile(name)
	if errors.Is(err, fs.ErrNotExist) {
		if err := writeNew(name, NewAPIKey(s).Secret+"\n"); err != nil {
			return APIKey{}, fmt.Errorf("make an API key file: %w", err)
		}
		data, err = os.ReadFile(name) // another process may have been faster
	}
	if err != nil {
		return APIKey{}, fmt.Errorf("read an API key: %w", err)
	}
	t := APIKey{Secret: strings.TrimSpace(string(data)), Scope: s}
	if len(t.Secret) < minSecret {
		return APIKey{}, fmt.Errorf("read an API key: there are %d bytes in %s, and an API key has at least %d: delete the file to have a new one made",
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

// bearer returns the key that a request has.
func bearer(r *http.Request) (string, bool) {
	scheme, secret, ok := strings.Cut(r.Header.Get("Authorization"), " ")
	return strings.TrimSpace(secret), ok && strings.EqualFold(scheme, "Bearer")
}

// find finds an API key in a time that tells nothing of those that there are.
func (g *Guard) find(secret string) *APIKey {
	var found *APIKey
	sum := sha256.Sum256([]byte(secret))
	for i := range g.policy.APIKeys {
		t := &g.policy.APIKeys[i]
		want := sha256.Sum256([]byte(t.Secret))
		if subtle.ConstantTimeCompare(sum[:], want[:]) == 1 {
			found = t
		}
	}
	return found
}
