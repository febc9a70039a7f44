package sender

import (
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// StandardWebhooks is the sender of webhooks that follow the Standard Webhooks specification.
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
// A delivery is identified by Webhook-Id, which is signed and stays the same when a delivery is
// tried again. The specification allows no dot in it.
//
// https://github.com/standard-webhooks/standard-webhooks
func StandardWebhooks(secrets ...string) (*Sender, error) {
	return newStandard("standard-webhooks", secrets, func(http.Header) string { return "Webhook-" }, "Webhook-Signature")
}

// Svix is the sender of webhooks that are sent with Svix, as those of Clerk and Resend are. It is
// [StandardWebhooks] under other names: Svix-Id, Svix-Timestamp and Svix-Signature. Requests
// that have no Svix-Signature are looked at as Standard Webhooks, the names that Svix uses for
// customers who don't want to show its own.
//
// https://docs.svix.com/receiving/verifying-payloads/how-manual
func Svix(secrets ...string) (*Sender, error) {
	return newStandard("svix", secrets, func(h http.Header) string {
		if len(h.Values("Svix-Signature")) == 0 && len(h.Values("Webhook-Signature")) > 0 {
			return "Webhook-"
		}
		return "Svix-"
	}, "Svix-Signature", "Webhook-Signature")
}

// newStandard makes a sender of the scheme. prefix is what the names of its headers begin with.
func newStandard(name string, secrets []string, prefix func(http.Header) string, signatures ...string) (*Sender, error) {
	keys, err := newKeys(name, secrets, standardKey)
	if err != nil {
		return nil, err
	}
	s := scheme{
		name:      name,
		header:    signatures[0],
		sensitive: signatures,
		parse:     func(r *Request) (claim, *Error) { return parseStandard(r, prefix(r.Header)) },
		stamp:     func(r *Request, at time.Time, sum []byte) *Error { return stampStandard(r, prefix(r.Header), at, sum) },
		keys:      keys,
		unsigned:  "is this a request of the sender?",
		secret:    "the signing secret of the endpoint is another one",
	}.sender(DefaultTolerance)
	s.deliveryID = func(r *Request) string { return r.Header.Get(prefix(r.Header) + "Id") }
	s.idHeader = prefix(nil) + "Id"
	return s, nil
}

// The specification wants secrets of 24 to 64 bytes.
const minStandard, maxStandard = 24, 64

func standardKey(secret string) (key, error) {
	switch {
	case strings.HasPrefix(secret, "whsk_"):
		return key{}, errors.New("is a private key, which only the sender should have: give the public one (whpk_)")
	case strings.HasPrefix(secret, "v1,"):
		return key{}, errors.New(`begins with "v1,", which names the version of the scheme: give what follows, whsec_ and base64`)
	case strings.HasPrefix(secret, "v1a,"):
		return key{}, errors.New(`begins with "v1a,", which names the version of the scheme: give what follows, whpk_ and base64`)
	}
	text, asymmetric := strings.CutPrefix(secret, "whpk_")
	if !asymmetric {
		text = strings.TrimPrefix(secret, "whsec_")
	}
	data, err := base64.StdEncoding.DecodeString(text)
	switch {
	case err != nil: // not wrapped: what is in it is nobody's business
		return key{}, errors.New("is not base64, with its padding: give the whole text that the sender shows, " +
			"whsec_ and base64 for a secret, whpk_ and base64 for a public key")
	case asymmetric && len(data) != ed25519.PublicKeySize:
		return key{}, fmt.Errorf("is not an Ed25519 public key: it has %d bytes, and such keys have %d", len(data), ed25519.PublicKeySize)
	case asymmetric:
		return ed25519Key(data), nil
	case len(data) == 0:
		return key{}, errors.New("is empty")
	case len(data) < minStandard || len(data) > maxStandard:
		return key{}, fmt.Errorf("has %d bytes when its base64 is decoded, and the specification wants %d to %d: have a new one made, as whsec_ and what openssl rand -base64 32 prints",
			len(data), minStandard, maxStandard)
	default:
		return hmacKey(sha256.New, data), nil
	}
}

func parseStandard(r *Request, prefix string) (claim, *Error) {
	id, err := single(r.Header, prefix+"Id")
	if err != nil {
		return claim{}, err
	}
	// With a dot in the ID, the same text could be cut at another place: an ID that
	// holds the time, and a time that the body begins with.
	if strings.Contains(id, ".") {
		return claim{}, malformed(prefix + "Id")
	}
	text, at, err := timestamp(r.Header, prefix+"Timestamp")
	if err != nil {
		return claim{}, err
	}
	list, err := single(r.Header, prefix+"Signature")
	if err != nil {
		return claim{}, err
	}
	signatures := parseStandardList(list)
	if len(signatures) == 0 || len(signatures) > maxSignatures {
		return claim{}, malformed(prefix + "Signature")
	}
	return claim{
		time:       at,
		timeField:  prefix + "Timestamp",
		prefix:     id + "." + text + ".",
		body:       r.Body,
		signatures: signatures,
	}, nil
}

func stampStandard(r *Request, prefix string, at time.Time, sum []byte) *Error {
	stampID(r, prefix+"Id")
	r.Header.Set(prefix+"Timestamp", strconv.FormatInt(at.Unix(), 10))
	r.Header.Set(prefix+"Signature", "v1,"+base64.StdEncoding.EncodeToString(sum))
	return nil
}

// parseStandardList returns the signatures of known versions. The versions need
// no mark from here on, because their lengths differ.
func parseStandardList(list string) [][]byte {
	var signatures [][]byte
	for entry := range strings.SplitSeq(list, " ") {
		version, text, _ := strings.Cut(entry, ",")
		s, err := decodeBase64(text)
		if err != nil {
			continue
		}
		if version == "v1" && len(s) == sha256.Size || version == "v1a" && len(s) == ed25519.SignatureSize {
			signatures = append(signatures, s)
		}
	}
	return signatures
}
