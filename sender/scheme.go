package sender

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"net/http"
	"strconv"
	"time"
)

// maxSignatures is how many signatures of one request are looked at. Senders
// that rotate their key send two or three; more would be work for nothing, and
// anybody could order it.
const maxSignatures = 16

// A scheme is what the signing senders have in common: a request claims something,
// and a key proves it.
type scheme struct {
	name      string
	header    string                                                  // that has the signature
	sensitive []string                                                // with header; nil: header alone
	parse     func(*Request) (claim, *Error)                          // fills in Reason and Field of Error
	confirm   func(*Request) (claim, *Error)                          // the time, if it is in the body: asked once the signature is proved
	stamp     func(r *Request, at time.Time, signature []byte) *Error // writes what parse reads
	keys      []key
	unsigned  string // advice if the signature is missing
	secret    string // advice if none matches: where the secret is found
}

// A claim is what a request says of itself.
type claim struct {
	time       time.Time // when it was signed; zero if the sender signs no time
	timeField  string    // where that stands
	prefix     string    // what is signed before the body
	body       []byte    // what of the body is signed
	signatures [][]byte  // at least one
}

// sender makes a sender of the scheme; tolerance 0 means that it has no time.
func (s scheme) sender(tolerance time.Duration) *Sender {
	if s.sensitive == nil {
		s.sensitive = []string{s.header}
	}
	return &Sender{name: s.name, sensitive: s.sensitive, tolerance: tolerance, verify: s.verify, sign: s.sign}
}

func (s scheme) verify(r *Request, now time.Time, tolerance time.Duration) error {
	c, err := s.parse(r)
	if err != nil {
		return s.refuse(err)
	}
	// The time is believed only once the signature is proved, but a stale request
	// is not worth the hashing.
	if err := c.fresh(now, tolerance); err != nil {
		return s.refuse(err)
	}
	if !s.proves(&c) {
		return s.refuse(&Error{Field: s.header, Reason: Mismatch})
	}
	if s.confirm == nil {
		return nil
	}
	c, err = s.confirm(r)
	if err == nil {
		err = c.fresh(now, tolerance)
	}
	if err != nil {
		return s.refuse(err)
	}
	return nil
}

// sign signs a request with the first key. Parse says what of it is signed, once there is a signature of
// the right length.
func (s scheme) sign(r *Request, now time.Time) error {
	k := s.keys[0]
	if k.sign == nil {
		return cantSign(s.name, "the key is a public one")
	}
	if err := s.stamp(r, now, k.sign("", nil)); err != nil {
		return s.refuse(err)
	}
	c, err := s.parse(r)
	if err == nil {
		err = s.stamp(r, now, k.sign(c.prefix, c.body))
	}
	if err != nil {
		return s.refuse(err)
	}
	return nil
}

func (s scheme) proves(c *claim) bool {
	for _, k := range s.keys {
		if k.proves(c.prefix, c.body, c.signatures) {
			return true
		}
	}
	return false
}

// refuse completes an error.
func (s scheme) refuse(e *Error) error {
	e.Sender = s.name
	switch {
	case e.Advice != "":
	case e.Reason == Mismatch:
		e.Advice = "the body was changed on the way, or " + s.secret
	case e.Reason == Missing && e.Field == s.header:
		e.Advice = s.unsigned
	case e.Reason == Stale || e.Reason == Future:
		e.Advice = "a clock is wrong, or this is not the first time that it was sent"
	}
	return e
}

// fresh checks the time of a claim that has one.
func (c *claim) fresh(now time.Time, tolerance time.Duration) *Error {
	if c.timeField == "" {
		return nil
	}
	switch age := now.Sub(c.time); {
	case age > tolerance:
		return &Error{Field: c.timeField, Reason: Stale}
	case age < -tolerance:
		return &Error{Field: c.timeField, Reason: Future}
	}
	return nil
}

func malformed(field string) *Error { return &Error{Field: field, Reason: Malformed} }

// single returns the one value of a header. Whoever reads it next, to drop repeated
// deliveries for one, might read the other value.
func single(h http.Header, name string) (string, *Error) {
	values := h.Values(name)
	switch {
	case len(values) > 1:
		return "", &Error{Field: name, Reason: Repeated}
	case len(values) == 0 || values[0] == "":
		return "", &Error{Field: name, Reason: Missing}
	default:
		return values[0], nil
	}
}

// timestamp returns the one value of a header, and the time that it is.
func timestamp(h http.Header, name string) (text string, at time.Time, err *Error) {
	text, err = single(h, name)
	if err != nil {
		return "", time.Time{}, err
	}
	at, ok := parseTime(text)
	if !ok {
		return "", time.Time{}, malformed(name)
	}
	return text, at, nil
}

// parseTime reads seconds since 1970. Signed is the text and not the number, so
// it must be digits alone: no sign, no space, no dot, and few enough to be a time.
func parseTime(text string) (time.Time, bool) {
	if text == "" || len(text) > 11 {
		return time.Time{}, false
	}
	for _, c := range []byte(text) {
		if c < '0' || c > '9' {
			return time.Time{}, false
		}
	}
	seconds, err := strconv.ParseInt(text, 10, 64)
	return time.Unix(seconds, 0), err == nil
}

// signature reads the one value of a header: a prefix, then a signature of size bytes.
func signature(h http.Header, name, prefix string, size int, decode func(string) ([]byte, error)) ([]byte, *Error) {
	value, err := single(h, name)
	if err != nil {
		return nil, err
	}
	if len(value) < len(prefix) || value[:len(prefix)] != prefix {
		return nil, malformed(name)
	}
	sum, bad := decode(value[len(prefix):])
	if bad != nil || len(sum) != size {
		return nil, malformed(name)
	}
	return sum, nil
}

// decodeHex reads digits of either case.
var decodeHex = hex.DecodeString

// decodeBase64 knows one spelling for each signature.
var decodeBase64 = base64.StdEncoding.Strict().DecodeString

// decodeBase64URL is the same for the alphabet of URLs.
var decodeBase64URL = base64.RawURLEncoding.Strict().DecodeString

// signedBody is parse of senders who sign the body with SHA-256, and nothing else.
func signedBody(header, prefix string, decode func(string) ([]byte, error)) func(*Request) (claim, *Error) {
	return func(r *Request) (claim, *Error) {
		sum, err := signature(r.Header, header, prefix, sha256.Size, decode)
		if err != nil {
			return claim{}, err
		}
		return claim{body: r.Body, signatures: [][]byte{sum}}, nil
	}
}

// stampHeader is stamp of senders who write the signature into a header, after a prefix.
func stampHeader(header, prefix string, encode func([]byte) string) func(*Request, time.Time, []byte) *Error {
	return func(r *Request, _ time.Time, sum []byte) *Error {
		r.Header.Set(header, prefix+encode(sum))
		return nil
	}
}

// stampTime adds the time to stamp, in a header.
func stampTime(header string, stamp func(*Request, time.Time, []byte) *Error) func(*Request, time.Time, []byte) *Error {
	return func(r *Request, at time.Time, sum []byte) *Error {
		r.Header.Set(header, strconv.FormatInt(at.Unix(), 10))
		return stamp(r, at, sum)
	}
}

// stampID gives a request an ID in a header, if it has none.
func stampID(r *Request, header string) {
	if r.Header.Get(header) == "" {
		r.Header.Set(header, "test_"+rand.Text())
	}
}

// signedTimeAndBody is parse of senders who sign the text before, the value of the header that
// has the time, the text between, and the body.
func signedTimeAndBody(timeHeader, before, between string, sign func(http.Header) ([]byte, *Error)) func(*Request) (claim, *Error) {
	return func(r *Request) (claim, *Error) {
		text, at, err := timestamp(r.Header, timeHeader)
		if err != nil {
			return claim{}, err
		}
		sum, err := sign(r.Header)
		if err != nil {
			return claim{}, err
		}
		return claim{
			time: at, timeField: timeHeader, prefix: before + text + between, body: r.Body, signatures: [][]byte{sum},
		}, nil
	}
}
