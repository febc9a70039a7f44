package journal

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
)

// Label says what bytes are derived for.
type Label string

// What is derived from the secret of a run. Nobody else can know it, and each replay
// comes to the same.
const (
	LabelToken Label = "token" // of a hook
	LabelID    Label = "id"
	LabelRand  Label = "rand"
)

// LabelNamed is the label of the token of a hook that has a name.
func LabelNamed(name string) Label { return LabelToken + " " + Label(name) }

// GenerationSecret is what the bytes of one generation of a run derive from, so that no two
// generations draw the same. That of the first is the run's own.
func GenerationSecret(secret []byte, generation int) []byte {
	if generation == 0 {
		return secret
	}
	sum := Derive(secret, "generation", uint64(generation)) //nolint:gosec // it counts from 0
	return sum[:]
}

// Derive returns the n-th bytes for a label, counted from 1, of the run with a secret.
func Derive(secret []byte, label Label, n uint64) (sum [32]byte) {
	mac := hmac.New(sha256.New, secret)
	mac.Write([]byte(label))
	mac.Write([]byte{0})
	mac.Write(binary.BigEndian.AppendUint64(nil, n))
	mac.Sum(sum[:0])
	return sum
}

// Token makes the token of a hook of what is derived for it.
func Token(sum [32]byte) string { return base64.RawURLEncoding.EncodeToString(sum[:24]) }

// ID makes an ID in the form of a UUID.
func ID(sum [32]byte) string {
	sum[6] = sum[6]&0x0f | 0x80 // version 8: vendor specific
	sum[8] = sum[8]&0x3f | 0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", sum[0:4], sum[4:6], sum[6:8], sum[8:10], sum[10:16])
}

// Rand makes a source of random numbers.
func Rand(sum [32]byte) *rand.Rand { return rand.New(rand.NewChaCha8(sum)) }
