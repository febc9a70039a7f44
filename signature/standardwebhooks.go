package signature

import (
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"errors"
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
// A secret is what the sender shows: whsec_ and base64 for an HMAC key (the
// prefix may be left out), whpk_ and base64 for an Ed25519 public key. A key of one
// kind never verifies a signature of the other.
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

func standardKey(secret string) (key, error) {
	if strings.HasPrefix(secret, "whsk_") {
		return nil, errors.New("is a private key, which only the sender should have: give the public one (whpk_)")
	}
	text, asymmetric := strings.CutPrefix(secret, "whpk_")
	if !asymmetric {
		text = strings.TrimPrefix(secret, "whsec_")
	}
	data, err := base64.StdEncoding.DecodeString(text)
	switch {
	case err != nil:
		return nil, errors.New("is not base64") // not wrapped: what is in it is nobody's business
	case asymmetric && len(data) != ed25519.PublicKeySize:
		return nil, errors.New("is not an Ed25519 public key")
	case asymmetric:
		return ed25519Key(data), nil
	case len(data) == 0:
		return nil, errors.New("is empty")
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
