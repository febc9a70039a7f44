package sender

import (
	"crypto/sha1" //nolint:gosec // it is what Twilio signs with, and HMAC-SHA1 is not broken
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

const (
	twilioSignature = "X-Twilio-Signature"
	bodySHA256      = "bodySHA256"
)

// Twilio is the sender of Twilio's webhooks. X-Twilio-Signature has, in base64, the HMAC-SHA1 of
// the URL and, if the body is a form, its fields, sorted by name, each name followed by its value.
// For any other body the query of the URL ends with its SHA-256, as bodySHA256.
//
// It is the one sender here with a hash that is weaker than SHA-256: Twilio uses it unless a
// Webhooks Rule asks for HMAC_SHA256, which is accepted too. A secret is the account's auth token,
// or the shared key of the rule.
//
// The URL is the one that Twilio was given, to the letter: engine.Options.PublicURL, then path and
// query as they came. The Host header plays no part, because anybody can choose it. Twilio signs
// some URLs with their port and some without; both are accepted.
//
// There is no time in it, and no ID of a delivery: a recorded request verifies for as long as the
// secret is in use. Nothing separates the fields either, nor the URL from them: a recorded request
// can be cut at other places, so that its text, read in one go, stays the same.
// I-Twilio-Idempotency-Token, which is not signed, identifies a delivery; name it with
// workflow.DedupeHeader.
//
// An empty TwiML response says that a request was accepted, and does nothing.
//
// https://www.twilio.com/docs/usage/security
func Twilio(secrets ...string) (*Sender, error) {
	return newTwilio(secrets, checkedKey(notTwilio, twilioKey))
}

func newTwilio(secrets []string, newKey func(string) (key, error)) (*Sender, error) {
	const name = "twilio"
	keys, err := newKeys(name, secrets, newKey)
	if err != nil {
		return nil, err
	}
	s := scheme{
		name:     name,
		header:   twilioSignature,
		keys:     keys,
		unsigned: "Twilio sends it with every request",
		secret:   "PublicURL, path or query is not what Twilio was given, or the auth token is of another account",
	}
	s.parse, s.stamp = s.parseTwilio, stampTwilio
	sender := s.sender(0)
	sender.respondWithin = 14 * time.Second // of 15
	sender.accepted = &Response{
		Status: http.StatusOK,
		Header: http.Header{"Content-Type": {"text/xml"}},
		Body:   []byte(`<?xml version="1.0" encoding="UTF-8"?><Response></Response>`),
	}
	return sender, nil
}

// notTwilio are what the IDs of accounts and keys begin with.
var notTwilio = map[string]string{"AC": giveTwilio, "SK": giveTwilio}

const giveTwilio = "it is the SID of an account or a key; give the auth token of the account"

// twilioKey makes a key for both hashes. The length of a signature says which one it is.
func twilioKey(secret []byte) key {
	weak, strong := hmacKey(sha1.New, secret), hmacKey(sha256.New, secret)
	return key{
		proves: func(prefix string, body []byte, signatures [][]byte) bool {
			return weak.proves(prefix, body, signatures) || strong.proves(prefix, body, signatures)
		},
		sign: weak.sign,
	}
}

func (s scheme) parseTwilio(r *Request) (claim, *Error) {
	value, err := single(r.Header, twilioSignature)
	if err != nil {
		return claim{}, err
	}
	sum, bad := decodeBase64(value)
	if bad != nil || len(sum) != sha1.Size && len(sum) != sha256.Size {
		return claim{}, malformed(twilioSignature)
	}
	if r.URL == nil || r.URL.Host == "" {
		return claim{}, &Error{Field: "URL", Reason: Missing, Advice: "the process that takes requests needs PublicURL"}
	}
	fields, err := twilioBody(r)
	if err != nil {
		return claim{}, err
	}
	// One of the spellings of the URL is signed. The keys look at one prefix, so try which it is.
	c := claim{signatures: [][]byte{sum}}
	for _, u := range twilioURLs(r.URL) {
		c.prefix = u + fields
		if s.proves(&c) {
			break
		}
	}
	return c, nil
}

func stampTwilio(r *Request, _ time.Time, sum []byte) *Error {
	r.Header.Set(twilioSignature, base64.StdEncoding.EncodeToString(sum))
	if r.URL == nil || len(r.Body) == 0 || isForm(r) || r.URL.Query().Has(bodySHA256) {
		return nil
	}
	u, digest := *r.URL, sha256.Sum256(r.Body)
	if u.RawQuery != "" {
		u.RawQuery += "&"
	}
	u.RawQuery += bodySHA256 + "=" + hex.EncodeToString(digest[:])
	r.URL = &u
	return nil
}

func isForm(r *Request) bool {
	kind, _, _ := strings.Cut(r.Header.Get("Content-Type"), ";")
	return strings.EqualFold(kind, "application/x-www-form-urlencoded") && !isJSON(r.Body)
}

// twilioBody returns the fields of the body as they are signed.
func twilioBody(r *Request) (string, *Error) {
	if sums, ok := r.URL.Query()[bodySHA256]; ok {
		// Twilio adds it at the end. Anywhere else it may be the text of a field, signed as a form.
		last := r.URL.RawQuery[strings.LastIndexByte(r.URL.RawQuery, '&')+1:]
		text, atEnd := strings.CutPrefix(last, bodySHA256+"=")
		want, err := decodeHex(text)
		got := sha256.Sum256(r.Body)
		switch {
		case len(sums) != 1:
			return "", &Error{Field: bodySHA256, Reason: Repeated}
		case !atEnd || err != nil || len(want) != sha256.Size:
			return "", malformed(bodySHA256)
		case subtle.ConstantTimeCompare(got[:], want) != 1:
			return "", &Error{Field: bodySHA256, Reason: Mismatch}
		}
		return "", nil
	}
	if len(r.Body) == 0 {
		return "", nil
	}
	if !isForm(r) {
		return "", &Error{Field: bodySHA256, Reason: Missing, Advice: "the body is not a form, and nothing signs it"}
	}
	form, err := url.ParseQuery(string(r.Body))
	if err != nil {
		return "", malformed("body")
	}
	var b strings.Builder
	names := make([]string, 0, len(form))
	for name := range form {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		slices.Sort(form[name])
		for _, value := range slices.Compact(form[name]) {
			b.WriteString(name)
			b.WriteString(value)
		}
	}
	return b.String(), nil
}

// twilioURLs returns the spellings of a URL that Twilio may have signed.
func twilioURLs(u *url.URL) []string {
	without, with := *u, *u
	without.Host = u.Hostname()
	if strings.Contains(without.Host, ":") {
		without.Host = "[" + without.Host + "]"
	}
	if u.Port() == "" {
		port := ":443"
		if u.Scheme == "http" {
			port = ":80"
		}
		with.Host = u.Host + port
	}
	return []string{without.String(), with.String()}
}
