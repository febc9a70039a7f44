package signature

import (
	"crypto/ed25519"
	"crypto/hmac"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// A key tells whether one of the signatures is its own for prefix and body. It
// is a closure because fmt prints the unexported fields of a struct, but nothing
// of what a function holds.
type key func(prefix string, body []byte, signatures [][]byte) bool

func hmacKey(secret []byte) key {
	return func(prefix string, body []byte, signatures [][]byte) bool {
		mac := hmac.New(sha256.New, secret)
		mac.Write([]byte(prefix))
		mac.Write(body)
		sum := mac.Sum(nil)
		return slices.ContainsFunc(signatures, func(s []byte) bool { return hmac.Equal(s, sum) })
	}
}

func ed25519Key(public ed25519.PublicKey) key {
	return func(prefix string, body []byte, signatures [][]byte) bool {
		message := slices.Concat([]byte(prefix), body)
		return slices.ContainsFunc(signatures, func(s []byte) bool { return ed25519.Verify(public, message, s) })
	}
}

// minText is how many bytes a secret has to have whose text is the key. No sender names a
// minimum; NIST SP 800-131A wants 112 bits for HMAC. Whoever has seen one signed request
// can try shorter ones until one fits.
const minText = 14

// textKey makes keys for senders who use the text of the secret as it is. Mistaken are
// what secrets of another kind begin with, which people paste in its place, and what
// to do instead.
func textKey(mistaken map[string]string) func(secret string) (key, error) {
	return func(secret string) (key, error) {
		for prefix, advice := range mistaken {
			if strings.HasPrefix(secret, prefix) {
				return nil, fmt.Errorf("begins with %q: %s", prefix, advice)
			}
		}
		if len(secret) < minText {
			return nil, fmt.Errorf("has %d bytes, and needs %d: have a random one made, as by openssl rand -hex 20, and set it at the sender too", len(secret), minText)
		}
		return hmacKey([]byte(secret)), nil
	}
}

// newKeys makes a key of each secret. Its errors name a secret by its position
// alone.
func newKeys(scheme string, secrets []string, newKey func(string) (key, error)) ([]key, error) {
	if len(secrets) == 0 {
		return nil, fmt.Errorf("signature: %s: no secret", scheme)
	}
	keys := make([]key, len(secrets))
	for i, secret := range secrets {
		if err := checkText(secret); err != nil {
			return nil, fmt.Errorf("signature: %s: secret %d of %d %w", scheme, i+1, len(secrets), err)
		}
		k, err := newKey(secret)
		if err != nil {
			return nil, fmt.Errorf("signature: %s: secret %d of %d %w", scheme, i+1, len(secrets), err)
		}
		keys[i] = k
	}
	return keys, nil
}

// checkText finds what goes wrong with secrets on their way into a program: a
// variable that is not set, and a file that ends in a newline.
func checkText(secret string) error {
	if secret == "" {
		return errors.New("is empty")
	}
	if strings.TrimSpace(secret) != secret {
		return errors.New("begins or ends with white space")
	}
	return nil
}
