package sender

import (
	"bytes"
	"encoding/json"
	"net/http"
	"time"
	"unicode"
	"unicode/utf8"
)

// A handshake is how a sender checks that a URL is ready for it.
type handshake struct {
	may    func(*Request) bool // by method, URL and headers
	answer func(s *Sender, r *Request, now time.Time) (*Response, error)
}

// signedHandshake is a handshake by a POST that is signed as all others are, and whose body has
// the text mark. shake reads the body, and returns nil if it is something else after all.
func signedHandshake(header, mark string, shake func(body []byte) (*Response, *Error)) *handshake {
	return &handshake{
		may: func(r *Request) bool { return r.Method == http.MethodPost && len(r.Header.Values(header)) > 0 },
		answer: func(s *Sender, r *Request, now time.Time) (*Response, error) {
			if !bytes.Contains(r.Body, []byte(mark)) {
				return nil, nil //nolint:nilnil // documented: it is not a handshake
			}
			resp, err := shake(r.Body)
			if resp == nil && err == nil {
				return nil, nil //nolint:nilnil // the same
			}
			if refused := s.Verify(r, now); refused != nil {
				return nil, refused
			}
			if err != nil {
				err.Sender = s.name
				return nil, err
			}
			return resp, nil
		},
	}
}

// maxEcho bounds what a handshake sends back to its caller, in bytes.
const maxEcho = 2048

// echo sends a text back as such: nothing that a browser would show as a page.
func echo(field, text string) (*Response, *Error) {
	if text == "" {
		return nil, &Error{Field: field, Reason: Missing}
	}
	if len(text) > maxEcho || !utf8.ValidString(text) {
		return nil, malformed(field)
	}
	for _, c := range text {
		if unicode.IsControl(c) {
			return nil, malformed(field)
		}
	}
	return &Response{
		Status: http.StatusOK,
		Header: http.Header{"Content-Type": {"text/plain; charset=utf-8"}, "X-Content-Type-Options": {"nosniff"}},
		Body:   []byte(text),
	}, nil
}

func jsonResponse(body []byte) *Response {
	return &Response{Status: http.StatusOK, Header: http.Header{"Content-Type": {"application/json"}}, Body: body}
}

// isJSON tells whether a body is a JSON object or array, if it is JSON or a form.
func isJSON(body []byte) bool {
	body = bytes.TrimLeft(body, " \t\r\n")
	return len(body) > 0 && (body[0] == '{' || body[0] == '[')
}

// decode reads a body that is JSON into v.
func decode(body []byte, v any) bool { return json.Unmarshal(body, v) == nil }
