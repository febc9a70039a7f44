package sender

import (
	"encoding/hex"
	"net/http"
	"time"
)

const (
	hubMode      = "hub.mode"
	hubToken     = "hub.verify_token"
	hubChallenge = "hub.challenge"
)

// Meta is the sender of the webhooks of Meta's platform: Facebook, Instagram, Messenger, WhatsApp.
// X-Hub-Signature-256 has the HMAC-SHA256 of the body:
//
//	sha256={hexadecimal digits}
//
// A secret is the app secret. The older header X-Hub-Signature, with SHA-1, is ignored.
//
// Its handshake is a GET that has the verify token, the text that was entered along with the URL,
// in hub.verify_token, and gets back hub.challenge.
//
// A request may have many events in it, and there is no delivery ID and no time: give each event's
// effect an ID from the event. Meta wants 200 and nothing else.
//
// https://developers.facebook.com/docs/graph-api/webhooks/getting-started
func Meta(verifyToken string, secrets ...string) (*Sender, error) {
	const name = "meta"
	keys, err := newKeys(name, secrets, textKey(notMeta))
	if err != nil {
		return nil, err
	}
	token, err := newKeys(name+": verify token", []string{verifyToken}, checkedKey(nil, equalKey))
	if err != nil {
		return nil, err
	}
	s := scheme{
		name:      name,
		header:    hubSignature256,
		sensitive: []string{hubSignature256, "X-Hub-Signature"},
		parse:     signedBody(hubSignature256, "sha256=", decodeHex),
		stamp:     stampHeader(hubSignature256, "sha256=", hex.EncodeToString),
		keys:      keys,
		unsigned:  "Meta sends it with every notification",
		secret:    "the App Secret, on the app's page Settings > Basic, is another one",
	}.sender(0)
	s.handshake = shakeMeta(token[0])
	s.accepted = &Response{Status: http.StatusOK}
	return s, nil
}

// notMeta are what access tokens begin with.
var notMeta = map[string]string{"EAA": "it is an access token; give the app secret"}

func shakeMeta(token key) *handshake {
	return &handshake{
		may: func(r *Request) bool {
			return r.Method == http.MethodGet && r.URL != nil && r.URL.Query().Get(hubMode) == "subscribe"
		},
		answer: func(s *Sender, r *Request, _ time.Time) (*Response, error) {
			query := r.URL.Query()
			refuse := func(e *Error) (*Response, error) {
				e.Sender = s.name
				return nil, e
			}
			for _, field := range []string{hubMode, hubToken, hubChallenge} {
				if len(query[field]) > 1 {
					return refuse(&Error{Field: field, Reason: Repeated})
				}
			}
			if !token.proves("", nil, [][]byte{[]byte(query.Get(hubToken))}) {
				return refuse(&Error{Field: hubToken, Reason: Wrong, Advice: "the Verify Token that was entered along with the URL is another one"})
			}
			resp, err := echo(hubChallenge, query.Get(hubChallenge))
			if err != nil {
				return refuse(err)
			}
			return resp, nil
		},
	}
}
