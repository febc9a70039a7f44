package sender

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"time"
)

// SignHTTP signs a request that is about to be sent, at the time now, as [Sender.Sign] does: for
// webhooks that a program sends to others, who verify them with the same secret. It reads the body of
// the request, and sets it again. Sign last, and again for each attempt, since the time is signed.
//
// Requests with the same key are one delivery to the receiver, who drops the repeats. In a step the key
// is workflow.InfoOf(ctx).StepID, which all attempts of the step have in common. The delivery ID is
// derived from it, and shows nothing of it. It goes into the header where the sender has one:
// [StandardWebhooks], [Svix], [GitLab], and [HMAC] with an IDHeader. For other senders SignHTTP fails if
// there is a key: with an empty one it signs, and what identifies the delivery is in the body, if
// anything does. With an empty key, a header that is already there stays.
//
// It fails where Sign does. Then the request is of no more use.
func (s *Sender) SignHTTP(r *http.Request, key string, now time.Time) error {
	if key != "" && s.idHeader == "" {
		return fmt.Errorf("sender: %s: can't sign with a key: it has no header for a delivery ID: put one into the body, and leave the key empty", s.name)
	}
	signed := &Request{Method: r.Method, URL: r.URL, Header: r.Header}
	if signed.Method == "" {
		signed.Method = http.MethodGet // as net/http has it
	}
	if r.Body != nil {
		body, err := io.ReadAll(r.Body)
		_ = r.Body.Close() // it has been read
		if err != nil {
			return fmt.Errorf("sender: %s: can't sign: read the body: %w", s.name, err)
		}
		signed.Body = body
	}
	if signed.Header == nil {
		signed.Header = http.Header{}
	}
	if key != "" {
		signed.Header.Set(s.idHeader, deliveryOf(key))
	}
	if err := s.Sign(signed, now); err != nil {
		return err
	}
	r.URL, r.Header = signed.URL, signed.Header
	body := signed.Body
	r.ContentLength = int64(len(body))
	r.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(body)), nil }
	r.Body = http.NoBody
	if len(body) > 0 {
		r.Body, _ = r.GetBody()
	}
	return nil
}

// deliveryOf derives a delivery ID from a key, in characters that every receiver takes: Standard
// Webhooks allows no dot.
func deliveryOf(key string) string {
	sum := sha256.Sum256([]byte(key))
	return "msg_" + base64.RawURLEncoding.EncodeToString(sum[:20])
}
