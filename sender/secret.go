package sender

import (
	"crypto/ed25519"
	"crypto/hmac"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"slices"
	"strings"
)

// A key proves signatures, and makes them if it can. It consists of closures because fmt
// prints the unexported fields of a struct, but nothing of what a function holds.
type key struct {
	proves func(prefix string, body []byte, signatures [][]byte) bool // one of them is its own for prefix and body
	sign   func(prefix string, body []byte) []byte                    // nil: it is a public key
}

func hmacKey(newHash func() hash.Hash, secret []byte) key {
	sign := func(prefix string, body []byte) []byte {
		mac := hmac.New(newHash, secret)
		mac.Write([]byte(prefix))
		mac.Write(body)
		return mac.Sum(nil)
	}
	return key{
		proves: func(prefix string, body []byte, signatures [][]byte) bool {
			sum := sign(prefix, body)
			return slices.ContainsFunc(signatures, func(s []byte) bool { return hmac.Equal(s, sum) })
		},
		sign: sign,
	}
}

func ed25519Key(public ed25519.PublicKey) key {
	return key{proves: func(prefix string, body []byte, signatures [][]byte) bool {
		message := slices.Concat([]byte(prefix), body)
		return slices.ContainsFunc(signatures, func(s []byte) bool { return ed25519.Verify(public, message, s) })
	}}
}

// equalKey tells whether the secret itself is among the signatures, of senders who show it. It
// compares digests, so that not even the length of the secret makes a difference in time.
func equalKey(secret []byte) key {
	sum := sha256.Sum256(secret)
	return key{
		proves: func(_ string, _ []byte, shown [][]byte) bool {
			equal := false
			for _, s := range shown {
				other := sha256.Sum256(s)
				equal = hmac.Equal(other[:], sum[:]) || equal
			}
			return equal
		},
		sign: func(string, []byte) []byte { return secret },
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
	return checkedKey(mistaken, func(secret []byte) key { return hmacKey(sha256.New, secret) })
}

func checkedKey(mistaken map[string]string, newKey func(secret []byte) key) func(secret string) (key, error) {
	return func(secret string) (key, error) {
		for prefix, advice := range mistaken {
			if strings.HasPrefix(secret, prefix) {
				return key{}, fmt.Errorf("begins with %q: %s", prefix, advice)
			}
		}
		if err := longEnough(secret); err != nil {
			return key{}, err
		}
		return newKey([]byte(secret)), nil
	}
}

func longEnough(secret string) error {
	if len(secret) < minText {
		return fmt.Errorf("has %d bytes, and needs %d: have a random one made, as by openssl rand -hex 20, and set it at the sender too", len(secret), minText)
	}
	return nil
}

// newKeys makes a key of each secret. Its errors name a secret by its position
// alone.
func newKeys(sender string, secrets []string, newKey func(string) (key, error)) ([]key, error) {
	if len(secrets) == 0 {
		return nil, fmt.Errorf("sender: %s: no secret", sender)
	}
	keys := make([]key, len(secrets))
	for i, secret := range secrets {
		k, err := newKey(secret)
		if bad := checkText(secret); bad != nil {
			err = bad
		}
		if err != nil {
			return nil, fmt.Errorf("sender: %s: secret %d of %d %w", sender, i+1, len(secrets), err)
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
