package run

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"
	"unicode/utf8"
)

// Request is what is stored of an HTTP request besides its body.
type Request struct {
	ID         string    `json:"id"`
	RunID      string    `json:"run_id"`
	Method     string    `json:"method"`
	URL        string    `json:"url,omitempty"`
	Host       string    `json:"host,omitempty"`
	Header     Header    `json:"header,omitempty"`
	RemoteAddr string    `json:"remote_addr,omitempty"`
	ReceivedAt time.Time `json:"received_at"`
	Sensitive  []string  `json:"sensitive,omitempty"` // headers that its sender wants masked
}

// EncodeRequest makes the payload of a webhook: a line of JSON, then the body as it
// came. So that the body stays bytes, and a person can read it.
func EncodeRequest(r Request, body []byte) ([]byte, error) {
	head, err := json.Marshal(r)
	if err != nil {
		return nil, fmt.Errorf("encode request: %w", err)
	}
	return append(append(head, '\n'), body...), nil
}

// DecodeRequest is the inverse of EncodeRequest.
func DecodeRequest(data []byte) (r Request, body []byte, err error) {
	head, body, ok := bytes.Cut(data, []byte("\n"))
	if !ok {
		return r, nil, errors.New("decode request: it was not sent as an HTTP request")
	}
	if err := json.Unmarshal(head, &r); err != nil {
		return r, nil, fmt.Errorf("decode request: %w", err)
	}
	return r, body, nil
}

// methodCall is the Method of a request of a call.
const methodCall = "CALL"

// EncodeCall makes the payload of a call, as that of a webhook.
func EncodeCall(id, runID string, at time.Time, input []byte) ([]byte, error) {
	return EncodeRequest(Request{ID: id, RunID: runID, Method: methodCall, ReceivedAt: at}, input)
}

// IsCall reports whether the request is one of a call.
func (r *Request) IsCall() bool { return r.Method == methodCall }

// DecodeCall is the inverse of EncodeCall.
func DecodeCall(data []byte) (r Request, input []byte, err error) {
	r, input, err = DecodeRequest(data)
	if err != nil || !r.IsCall() {
		return r, nil, errors.New("it was not sent as a request of a call")
	}
	return r, input, nil
}

// Header is an http.Header whose values survive JSON. Old clients send values that
// are not UTF-8, which JSON can't express: they stand there as {"base64": "…"}.
type Header map[string][]string

type rawValue struct {
	Base64 []byte `json:"base64"`
}

// MarshalJSON implements [json.Marshaler].
func (h Header) MarshalJSON() ([]byte, error) {
	if h.isText() {
		return json.Marshal(map[string][]string(h))
	}
	all := make(map[string][]any, len(h))
	for name, values := range h {
		all[name] = make([]any, len(values))
		for i, v := range values {
			if utf8.ValidString(v) {
				all[name][i] = v
			} else {
				all[name][i] = rawValue{[]byte(v)}
			}
		}
	}
	return json.Marshal(all)
}

// isText reports whether JSON can express all values, as it nearly always can.
func (h Header) isText() bool {
	for _, values := range h {
		if slices.ContainsFunc(values, func(v string) bool { return !utf8.ValidString(v) }) {
			return false
		}
	}
	return true
}

// UnmarshalJSON implements [json.Unmarshaler].
func (h *Header) UnmarshalJSON(data []byte) error {
	var text map[string][]string
	if json.Unmarshal(data, &text) == nil {
		*h = text
		return nil
	}
	var all map[string][]json.RawMessage
	if err := json.Unmarshal(data, &all); err != nil {
		return err
	}
	*h = make(Header, len(all))
	for name, values := range all {
		(*h)[name] = make([]string, len(values))
		for i, v := range values {
			var raw rawValue
			err := json.Unmarshal(v, &(*h)[name][i])
			if err != nil {
				err = json.Unmarshal(v, &raw)
				(*h)[name][i] = string(raw.Base64)
			}
			if err != nil {
				return fmt.Errorf("header %s: %w", name, err)
			}
		}
	}
	return nil
}

// EncodeURL returns the URL of a request as text, for ParseURL. Bytes of the query that are not
// ASCII are escaped, which makes no difference to readers of its fields.
func EncodeURL(u *url.URL) string {
	if u == nil {
		return ""
	}
	clean := *u
	clean.Fragment, clean.RawFragment = "", "" // requests have none
	clean.RawQuery = escapeBytes(u.RawQuery)
	return clean.String()
}

func escapeBytes(s string) string {
	var b strings.Builder
	for _, c := range []byte(s) {
		if c < utf8.RuneSelf {
			b.WriteByte(c)
		} else {
			fmt.Fprintf(&b, "%%%02X", c)
		}
	}
	return b.String()
}

// ParseURL is the inverse of EncodeURL. What begins with two slashes is a path, as in
// requests, and no host.
func ParseURL(s string) (*url.URL, error) {
	if strings.HasPrefix(s, "/") {
		return url.ParseRequestURI(s)
	}
	return url.Parse(s)
}
