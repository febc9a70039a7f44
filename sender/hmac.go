package sender

import (
	"crypto"
	_ "crypto/sha256" // SHA-256
	_ "crypto/sha512" // SHA-384 and SHA-512
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// Encoding is how a signature is written.
type Encoding int

// The encodings of signatures.
const (
	Hex       Encoding = iota // hexadecimal digits of either case
	Base64                    // standard base64, with its padding
	Base64URL                 // base64 for URLs, without padding
)

// HMACOptions describe a sender that signs with an HMAC, for [HMAC].
type HMACOptions struct {
	// Name is the name of the sender. The default is "hmac".
	Name string

	// Secrets are the secrets that are good, each of 14 bytes or more. The text of a secret is
	// the key. At least one is required.
	Secrets []string

	// Header has the signature. It is required.
	Header string

	// Prefix is what stands before the signature, such as "sha256=". The default is nothing.
	Prefix string

	// Encoding is how the signature is written. The default is Hex.
	Encoding Encoding

	// Hash is SHA-256, SHA-384 or SHA-512. The default is SHA-256.
	Hash crypto.Hash

	// Signed is the text that is signed. In it, {body} stands for the body, {timestamp} for the
	// value of TimestampHeader, {id} for that of IDHeader, {method} for the method, and {url}
	// for the URL, which is engine.Options.PublicURL, then path and query as they came. Anything
	// else stands for itself. The body comes last, and once. The default is "{body}".
	//
	// Two of them need a text between them: otherwise the text of one request could be that of
	// another one. For the same reason a request is refused whose value has that text in it, or ends
	// in a way that the text seems to begin earlier, as a- before --. Only the time, which has digits
	// alone, needs no text after it.
	Signed string

	// TimestampHeader has the time of sending, in seconds since 1970. The default is none: then a
	// recorded request verifies for as long as the secret is in use.
	TimestampHeader string

	// IDHeader has what identifies a delivery. It has to be part of what is signed. The default is
	// none, see [Sender.DedupeBy].
	IDHeader string
}

// HMAC makes a sender that signs with an HMAC, in a way that this package has no name for.
func HMAC(o HMACOptions) (*Sender, error) {
	if o.Name == "" {
		o.Name = "hmac"
	}
	h, err := o.check()
	if err != nil {
		return nil, fmt.Errorf("sender: %s: %w", o.Name, err)
	}
	keys, err := newKeys(o.Name, o.Secrets, checkedKey(nil, func(secret []byte) key { return hmacKey(o.Hash.New, secret) }))
	if err != nil {
		return nil, err
	}
	tolerance := time.Duration(0)
	if o.TimestampHeader != "" {
		tolerance = DefaultTolerance
	}
	s := scheme{
		name:     o.Name,
		header:   o.Header,
		parse:    h.parse,
		stamp:    h.stamp,
		keys:     keys,
		unsigned: "is this a request of the sender?",
		secret:   "the sender has another secret, or signs another text",
	}.sender(tolerance)
	if o.IDHeader != "" {
		s.deliveryID = func(r *Request) string { return r.Header.Get(o.IDHeader) }
		s.idHeader = o.IDHeader
	}
	return s, nil
}

// hmacScheme is what HMACOptions say, in the form that is needed.
type hmacScheme struct {
	HMACOptions
	decode func(string) ([]byte, error)
	encode func([]byte) string
	parts  []hmacPart
}

// hmacPart is a part of what is signed: a text, and then the value with a name.
type hmacPart struct{ text, name string }

func (o *HMACOptions) check() (*hmacScheme, error) {
	o.Header = http.CanonicalHeaderKey(o.Header)
	o.TimestampHeader = http.CanonicalHeaderKey(o.TimestampHeader)
	o.IDHeader = http.CanonicalHeaderKey(o.IDHeader)
	if o.Hash == 0 {
		o.Hash = crypto.SHA256
	}
	if o.Signed == "" {
		o.Signed = "{body}"
	}
	h := &hmacScheme{HMACOptions: *o}
	switch {
	case o.Header == "":
		return nil, errors.New("HMACOptions.Header is empty")
	case o.Hash != crypto.SHA256 && o.Hash != crypto.SHA384 && o.Hash != crypto.SHA512:
		return nil, fmt.Errorf("HMACOptions.Hash is %v: it has to be SHA-256, SHA-384 or SHA-512", o.Hash)
	}
	switch o.Encoding {
	case Hex:
		h.decode, h.encode = decodeHex, hex.EncodeToString
	case Base64:
		h.decode, h.encode = decodeBase64, base64.StdEncoding.EncodeToString
	case Base64URL:
		h.decode, h.encode = decodeBase64URL, base64.RawURLEncoding.EncodeToString
	default:
		return nil, fmt.Errorf("HMACOptions.Encoding %d is unknown", o.Encoding)
	}
	return h, h.checkSigned()
}

// checkSigned cuts Signed into its parts.
func (h *hmacScheme) checkSigned() error {
	seen := map[string]bool{}
	rest := h.Signed
	for {
		text, after, found := strings.Cut(rest, "{")
		name, next, closed := strings.Cut(after, "}")
		if !found {
			if text != "" {
				return fmt.Errorf("HMACOptions.Signed %q: the body comes last", h.Signed)
			}
			break
		}
		switch name {
		case "body", "timestamp", "id", "method", "url":
		default:
			return fmt.Errorf("HMACOptions.Signed %q: %q is not one of {body}, {timestamp}, {id}, {method}, {url}", h.Signed, "{"+name)
		}
		if n := len(h.parts); n > 0 && text == "" && h.parts[n-1].name != "timestamp" {
			return fmt.Errorf("HMACOptions.Signed %q: there has to be a text between {%s} and {%s}", h.Signed, h.parts[n-1].name, name)
		}
		if !closed || seen[name] || seen["body"] {
			return fmt.Errorf("HMACOptions.Signed %q: each part stands there once, and the body comes last", h.Signed)
		}
		seen[name] = true
		h.parts = append(h.parts, hmacPart{text, name})
		rest = next
	}
	switch {
	case !seen["body"]:
		return fmt.Errorf("HMACOptions.Signed %q: the body has to be signed", h.Signed)
	case seen["timestamp"] != (h.TimestampHeader != ""):
		return fmt.Errorf("HMACOptions.Signed %q: {timestamp} and TimestampHeader go together", h.Signed)
	case seen["id"] != (h.IDHeader != ""):
		return fmt.Errorf("HMACOptions.Signed %q: {id} and IDHeader go together", h.Signed)
	}
	return nil
}

func (h *hmacScheme) stamp(r *Request, at time.Time, sum []byte) *Error {
	if h.TimestampHeader != "" {
		r.Header.Set(h.TimestampHeader, strconv.FormatInt(at.Unix(), 10))
	}
	if h.IDHeader != "" {
		stampID(r, h.IDHeader)
	}
	r.Header.Set(h.Header, h.Prefix+h.encode(sum))
	return nil
}

func (h *hmacScheme) parse(r *Request) (claim, *Error) {
	sum, err := signature(r.Header, h.Header, h.Prefix, h.Hash.Size(), h.decode)
	if err != nil {
		return claim{}, err
	}
	c := claim{body: r.Body, signatures: [][]byte{sum}}
	var b strings.Builder
	for i, p := range h.parts {
		b.WriteString(p.text)
		if p.name == "body" {
			break
		}
		value, field, err := h.value(r, &c, p.name)
		if err != nil {
			return claim{}, err
		}
		// The value ends where the text after it begins for the first time. So it has none of it, and
		// no end that would be the beginning of it.
		if next := h.parts[i+1].text; strings.Index(value+next, next) < len(value) && next != "" {
			return claim{}, malformed(field)
		}
		b.WriteString(value)
	}
	c.prefix = b.String()
	return c, nil
}

// value returns what stands for a name in what is signed, and where it was found.
func (h *hmacScheme) value(r *Request, c *claim, name string) (value, field string, err *Error) {
	switch name {
	case "timestamp":
		c.timeField = h.TimestampHeader
		value, c.time, err = timestamp(r.Header, h.TimestampHeader)
		return value, h.TimestampHeader, err
	case "id":
		value, err = single(r.Header, h.IDHeader)
		return value, h.IDHeader, err
	case "method":
		return r.Method, "method", nil
	default:
		if r.URL == nil || r.URL.Host == "" {
			return "", "URL", &Error{Field: "URL", Reason: Missing, Advice: "the process that takes requests needs PublicURL"}
		}
		return r.URL.String(), "URL", nil
	}
}
