package sender

import (
	"crypto/sha256"
	"encoding/hex"
)

// BodyDigest identifies a delivery by the SHA-256 of its body, for [Sender.DedupeBy]. It is right
// for senders who sign the body, and never send the same one for two things that have happened:
// the second would be dropped.
func BodyDigest(r *Request) string {
	sum := sha256.Sum256(r.Body)
	return "sha256:" + hex.EncodeToString(sum[:])
}

// bodyID returns a function that reads the delivery ID out of a body that is JSON. The field is
// one of V.
func bodyID[V any](field func(*V) string) func(*Request) string {
	return func(r *Request) string {
		var v V
		if !decode(r.Body, &v) {
			return ""
		}
		return field(&v)
	}
}
