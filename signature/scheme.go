package signature

import (
	"encoding/hex"
	"net/http"
	"slices"
	"strconv"
	"time"
)

// maxSignatures is how many signatures of one request are looked at. Senders
// that rotate their key send two or three; more would be work for nothing, and
// anybody could order it.
const maxSignatures = 16

// A scheme is what the verifiers have in common: some headers claim something,
// and a key proves it.
type scheme struct {
	name      string
	header    string                            // that has the signature
	sensitive []string                          // with header
	parse     func(http.Header) (claim, *Error) // fills in all of Error but the scheme
	keys      []key
}

// A claim is what the headers of a request say.
type claim struct {
	time       time.Time // when it was signed; zero if the scheme has no time
	timeHeader string    // where that stands
	prefix     string    // what is signed before the body
	signatures [][]byte  // at least one
}

// SensitiveHeaders names the headers that carry a signature.
func (s *scheme) SensitiveHeaders() []string { return slices.Clone(s.sensitive) }

func (s *scheme) refuse(header string, reason Reason) error {
	return &Error{Scheme: s.name, Header: header, Reason: reason}
}

func (s *scheme) claim(h http.Header) (claim, error) {
	c, err := s.parse(h)
	if err != nil {
		return claim{}, s.refuse(err.Header, err.Reason)
	}
	return c, nil
}

func (s *scheme) prove(c claim, body []byte) error {
	for _, k := range s.keys {
		if k(c.prefix, body, c.signatures) {
			return nil
		}
	}
	return s.refuse(s.header, Mismatch)
}

func malformed(header string) *Error { return &Error{Header: header, Reason: Malformed} }

// single returns the one value of a header.
func single(h http.Header, name string) (string, *Error) {
	values := h.Values(name)
	switch {
	case len(values) > 1:
		return "", &Error{Header: name, Reason: Repeated}
	case len(values) == 0 || values[0] == "":
		return "", &Error{Header: name, Reason: Missing}
	default:
		return values[0], nil
	}
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

// parseHex reads an HMAC-SHA256 in hexadecimal digits of either case.
func parseHex(text string) ([]byte, bool) {
	if len(text) != 64 {
		return nil, false
	}
	sum, err := hex.DecodeString(text)
	return sum, err == nil
}
