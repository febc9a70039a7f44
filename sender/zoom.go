package sender

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"net/http"
	"strings"
	"time"
)

const (
	zoomTimestamp = "X-Zm-Request-Timestamp"
	zoomSignature = "X-Zm-Signature"
)

// Zoom is the sender of Zoom's webhooks. X-Zm-Signature has, in hexadecimal digits, the
// HMAC-SHA256 of the text
//
//	v0:{X-Zm-Request-Timestamp}:{body}
//
// after v0=. A secret is the app's secret token, not the older verification token.
//
// Its handshake is the event endpoint.url_validation, which Zoom repeats every 72 hours: it has a
// token, and gets back the token and its HMAC-SHA256. It is answered with the first secret, so
// give the one that Zoom uses now first; and only if it is signed, because the answer is a signature
// itself.
//
// An event has its time in milliseconds and no ID, so a delivery is identified by [BodyDigest].
// Zoom wants 200 or 204 within 3 seconds.
//
// https://developers.zoom.us/docs/api/webhooks/
func Zoom(secrets ...string) (*Sender, error) {
	const name = "zoom"
	keys, err := newKeys(name, secrets, textKey(nil))
	if err != nil {
		return nil, err
	}
	s := scheme{
		name:   name,
		header: zoomSignature,
		parse: signedTimeAndBody(zoomTimestamp, "v0:", ":", func(h http.Header) ([]byte, *Error) {
			return signature(h, zoomSignature, "v0=", sha256.Size, decodeHex)
		}),
		stamp:    stampTime(zoomTimestamp, stampHeader(zoomSignature, "v0=", hex.EncodeToString)),
		keys:     keys,
		unsigned: "Zoom sends it with every event",
		secret:   "the Secret Token, on the app's page Feature, is another one",
	}.sender(DefaultTolerance)
	secret := []byte(secrets[0])
	s.handshake = signedHandshake(zoomSignature, "endpoint.url_validation", func(body []byte) (*Response, *Error) {
		return shakeZoom(secret, body)
	})
	s.deliveryID = BodyDigest
	s.respondWithin = 2500 * time.Millisecond // of 3 s
	s.accepted = &Response{Status: http.StatusOK}
	return s, nil
}

func shakeZoom(secret, body []byte) (*Response, *Error) {
	var v struct {
		Event   string `json:"event"`
		Payload struct {
			PlainToken string `json:"plainToken"`
		} `json:"payload"`
	}
	if !decode(body, &v) || v.Event != "endpoint.url_validation" {
		return nil, nil
	}
	token := v.Payload.PlainToken
	// The same key signs requests. A token that reads like one would get a signature for it.
	if token == "" || len(token) > maxEcho || strings.HasPrefix(token, "v0:") {
		return nil, malformed("plainToken")
	}
	mac := hmac.New(sha256.New, secret)
	mac.Write([]byte(token))
	answer, err := json.Marshal(struct {
		PlainToken     string `json:"plainToken"`
		EncryptedToken string `json:"encryptedToken"`
	}{token, hex.EncodeToString(mac.Sum(nil))})
	if err != nil {
		return nil, malformed("plainToken")
	}
	return jsonResponse(answer), nil
}
