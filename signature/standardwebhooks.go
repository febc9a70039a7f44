package signature

import (
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"strings"
)

const (
	webhookID        = "Webhook-Id"
	webhookTimestamp = "Webhook-Timestamp"
	webhookSignature = "Webhook-Signature"
)

// StandardWebhooks verifies the scheme of the Standard Webhooks specification.
// Webhook-Signature is a list of signatures, separated by spaces, of the text
//
//	{Webhook-Id}.{Webhook-Timestamp}.{body}
//
// each with its version and in base64: v1,… is an HMAC-SHA256, v1a,… is Ed25519.
//
// A secret is what the sender shows: whsec_ and base64 for an HMAC key of 24 to 64
// bytes (the prefix may be left out), whpk_ and base64 for an Ed25519 public key. A key
// of one kind never verifies a signature of the other.
//
// Webhook-Id is signed and stays the same when a delivery is tried again, so it
// is the header to drop repeats by. The specification allows no dot in it.
func StandardWebhooks(secrets ...string) (*Timed, error) {
	const name = "standard-webhooks"
	keys, err := newKeys(name, secrets, standardKey)
	if err != nil {
		return nil, err
	}
	return newTimed(scheme{
		name:      name,
		header:    webhookSignature,
		sensitive: []string{webhookSignature},
		parse:     parseStandard,
		keys:      keys,
	}), nil
}

// The specification wants secrets of 24 to 64 bytes.
const minStandard, maxStandard = 24, 64

func standardKey(secret string) (key, error) {
	switch {
	case strings.HasPrefix(secret, "whsk_"):
		return nil, errors.New("is a private key, which only the sender should have: give the public one (whpk_)")
	case strings.HasPrefix(secret, "v1,"):
		return nil, errors.New(`begins with "v1,", which names the version of the scheme: give what follows, whsec_ and base64`)
	case strings.HasPrefix(secret, "v1a,"):
		return nil, errors.New(`begins with "v1a,", which names the version of the scheme: give what follows, whpk_ and base64`)
	}
	text, asymmetric := strings.CutPrefix(secret, "whpk_")
	if !asymmetric {
		text = strings.TrimPrefix(secret, "whsec_")
	}
	data, err := base64.StdEncoding.DecodeString(text)
	switch {
	case err != nil: // not wrapped: what is in it is nobody's business
		return nil, errors.New("is not base64, with its padding: give the whole text that the sender shows, " +
			"whsec_ and base64 for a secret, whpk_ and base64 for a public key")
	case asymmetric && len(data) != ed25519.PublicKeySize:
		return nil, fmt.Errorf("is not an Ed25519 public key: it has %d bytes, and such keys have %d", len(data), ed25519.PublicKeySize)
	case asymmetric:
		return ed25519Key(data), nil
	case len(data) == 0:
		return nil, errors.New("is empty")
	case len(data) < minStandard || len(data) > maxStandard:
		return nil, fmt.Errorf("has %d bytes when its base64 is decoded, and the specification wants %d to %d: have a new one made, as whsec_ and what openssl rand -base64 32 prints",
			len(data), minStandard, maxStandard)
	default:
		return hmacKey(data), nil
	}
}

func parseStandard(h http.Header) (claim, *Error) {
	id, err := single(h, webhookID)
	if err != nil {
		return claim{}, err
	}
	// With a dot in the ID, the same text could be cut at another place: an ID that
	// holds the time, and a time that the body begins with.
	if strings.Contains(id, ".") {
		return claim{}, malformed(webhookID)
	}
	timestamp, err := single(h, webhookTimestamp)
	if err != nil {
		return claim{}, err
	}
	at, ok := parseTime(timestamp)
	if !ok {
		return claim{}, malformed(webhookTimestamp)
	}
	list, err := single(h, webhookSignature)
	if err != nil {
		return claim{}, err
	}
	signatures := parseStandardList(list)
	if len(signatures) == 0 || len(signatures) > maxSignatures {
		return claim{}, malformed(webhookSignature)
	}
	return claim{
		time:       at,
		timeHeader: webhookTimestamp,
		prefix:     id + "." + timestamp + ".",
		signatures: signatures,
	}, nil
}

// parseStandardList returns the signatures of known versions. The versions need
// no mark from here on, because their lengths differ.
func parseStandardList(list string) [][]byte {
	encoding := base64.StdEncoding.Strict() // one spelling for each signature
	var signatures [][]byte
	for entry := range strings.SplitSeq(list, " ") {
		version, text, _ := strings.Cut(entry, ",")
		s, err := encoding.DecodeString(text)
		if err != nil {
			continue
		}
		if version == "v1" && len(s) == sha256.Size || version == "v1a" && len(s) == ed25519.SignatureSize {
			signatures = append(signatures, s)
		}
	}
	return signatures
}
