package engine

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/tenter-dev/tenter/internal/journal"
	"github.com/tenter-dev/tenter/store"
)

// AnswerKey signs links to answer pages. It is never in the database, so a copy of that
// makes no link.
type AnswerKey struct {
	// ID names the key in URLs, so that keys can be rotated: 1 to 32 letters, digits, - and _.
	ID string
	// Key is random: at least 32 bytes.
	Key []byte
}

// minAnswerKey is the least length of a key, in bytes.
const minAnswerKey = 32

// linkVersion is the version of what is signed, with which a signed link begins.
const linkVersion = "1"

// What is signed begins with what it is for, so that no signature fits anything else.
const (
	signsLink = "tenter answer link 1"
	signsForm = "tenter answer form 1"
)

// formLasts is how long the form of an answer page can be sent after it was shown.
const formLasts = time.Hour

// signer signs links for one installation.
type signer struct {
	keys         []AnswerKey // the first signs
	installation atomic.Pointer[string]
}

// newSigner checks keys.
func newSigner(keys []AnswerKey) (*signer, error) {
	known := map[string]bool{}
	for _, k := range keys {
		switch {
		case k.ID == "" || len(k.ID) > 32 || strings.ContainsFunc(k.ID, func(c rune) bool { return c > 127 || !journal.InToken(byte(c)) }):
			return nil, fmt.Errorf("Options.AnswerKeys: ID %q: it has to be 1 to 32 letters, digits, - and _", k.ID)
		case len(k.Key) < minAnswerKey:
			return nil, fmt.Errorf("Options.AnswerKeys: key %q has %d bytes; it needs at least %d, from crypto/rand", k.ID, len(k.Key), minAnswerKey)
		case known[k.ID]:
			return nil, fmt.Errorf("Options.AnswerKeys: ID %q is there twice", k.ID)
		}
		known[k.ID] = true
	}
	return &signer{keys: keys}, nil
}

// ids are the IDs of the keys.
func (s *signer) ids() []string {
	var ids []string
	for _, k := range s.keys {
		ids = append(ids, k.ID)
	}
	return ids
}

// prepare reads for which installation is signed.
func (s *signer) prepare(ctx context.Context, from store.Linker) error {
	if len(s.keys) == 0 || s.installation.Load() != nil {
		return nil
	}
	id, err := from.Installation(ctx)
	if err == nil && id == "" {
		err = errors.New("it has none yet: its schema is the one before this")
	}
	if err != nil {
		return fmt.Errorf("read the ID of the installation: %w", err)
	}
	s.installation.Store(&id)
	return nil
}

// mac signs parts for a purpose.
func (s *signer) mac(k *AnswerKey, purpose string, parts ...string) []byte {
	m := hmac.New(sha256.New, k.Key)
	installation := ""
	if id := s.installation.Load(); id != nil {
		installation = *id
	}
	for _, part := range append([]string{purpose, installation}, parts...) {
		_, _ = fmt.Fprintf(m, "%d:%s", len(part), part) // no two lists are written alike
	}
	return m.Sum(nil)
}

var base64url = base64.RawURLEncoding

// sign returns the signed form of a link, which its URL ends with, by the key that the link was made
// with. A key that is removed should have no links that can be answered, so any other one does for those.
func (s *signer) sign(linkID, keyID string) string {
	k := s.key(keyID)
	if k == nil {
		k = &s.keys[0]
	}
	return strings.Join([]string{linkVersion, k.ID, linkID, base64url.EncodeToString(s.mac(k, signsLink, linkID))}, ".")
}

// verify returns the ID of a signed link, and false for one that is forged, or signed for another
// installation.
func (s *signer) verify(signed string) (linkID string, ok bool) {
	if len(signed) > 256 {
		return "", false
	}
	parts := strings.Split(signed, ".")
	if len(parts) != 4 || parts[0] != linkVersion {
		return "", false
	}
	k := s.key(parts[1])
	if k == nil {
		return "", false
	}
	return parts[2], sameMAC(parts[3], s.mac(k, signsLink, parts[2]))
}

// sameMAC compares what was sent as it is written: decoded, several texts would be the same.
func sameMAC(sent string, mac []byte) bool {
	return hmac.Equal([]byte(sent), []byte(base64url.EncodeToString(mac)))
}

func (s *signer) key(id string) *AnswerKey {
	for i := range s.keys {
		if s.keys[i].ID == id {
			return &s.keys[i]
		}
	}
	return nil
}

// signForm returns what a form needs to be sent: it says which form was shown when.
func (s *signer) signForm(linkID, form string, now time.Time) string {
	k := &s.keys[0]
	at := strconv.FormatInt(now.Unix(), 10)
	return strings.Join([]string{k.ID, form, at, base64url.EncodeToString(s.mac(k, signsForm, linkID, form, at))}, ".")
}

// verifyForm reports whether a form of a link was shown, and whether it was shown as it is, within the
// last hour.
func (s *signer) verifyForm(token, linkID, form string, now time.Time) (genuine, current bool) {
	if len(token) > 256 {
		return false, false
	}
	parts := strings.Split(token, ".")
	if len(parts) != 4 {
		return false, false
	}
	k := s.key(parts[0])
	at, err := strconv.ParseInt(parts[2], 10, 64)
	if k == nil || err != nil || !sameMAC(parts[3], s.mac(k, signsForm, linkID, parts[1], parts[2])) {
		return false, false
	}
	age := now.Sub(time.Unix(at, 0))
	return true, parts[1] == form && age < formLasts && age > -time.Minute
}

// formVersion is a digest of the schema that a form is made from.
func formVersion(schema []byte) string {
	sum := sha256.Sum256(schema)
	return base64url.EncodeToString(sum[:12])
}
