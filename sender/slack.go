package sender

import (
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"net/url"
	"time"
)

const (
	slackTimestamp = "X-Slack-Request-Timestamp"
	slackSignature = "X-Slack-Signature"
)

// Slack is the sender of Slack's requests: events, slash commands and
// interactions. X-Slack-Signature has, in hexadecimal digits, the HMAC-SHA256 of
// the text
//
//	v0:{X-Slack-Request-Timestamp}:{body}
//
// after v0=. A secret is the app's signing secret, not the older verification
// token.
//
// Its handshake is the event url_verification. A delivery is identified by what is in the body: an
// event by its event_id, a command and an interaction by its trigger_id. Slack waits for 3
// seconds; 200 without a body says that a request was accepted, and shows nothing.
//
// https://docs.slack.dev/authentication/verifying-requests-from-slack
func Slack(secrets ...string) (*Sender, error) {
	const name = "slack"
	keys, err := newKeys(name, secrets, textKey(notSlack))
	if err != nil {
		return nil, err
	}
	s := scheme{
		name:   name,
		header: slackSignature,
		parse: signedTimeAndBody(slackTimestamp, "v0:", ":", func(h http.Header) ([]byte, *Error) {
			return signature(h, slackSignature, "v0=", sha256.Size, decodeHex)
		}),
		stamp:    stampTime(slackTimestamp, stampHeader(slackSignature, "v0=", hex.EncodeToString)),
		keys:     keys,
		unsigned: "Slack sends it with every request",
		secret:   "the Signing Secret, on the app's page Basic Information, is another one",
	}.sender(DefaultTolerance)
	s.handshake = signedHandshake(slackSignature, "url_verification", shakeSlack)
	s.deliveryID = slackID
	s.respondWithin = 2500 * time.Millisecond // of 3 s
	s.accepted = &Response{Status: http.StatusOK}
	return s, nil
}

// notSlack are what the tokens of an app begin with.
var notSlack = map[string]string{"xoxb-": giveSlack, "xoxp-": giveSlack, "xoxe": giveSlack, "xapp-": giveSlack}

const giveSlack = "it is a token of the app; give its signing secret, from its page Basic Information"

func shakeSlack(body []byte) (*Response, *Error) {
	var v struct {
		Type      string `json:"type"`
		Challenge string `json:"challenge"`
	}
	if !decode(body, &v) || v.Type != "url_verification" {
		return nil, nil
	}
	return echo("challenge", v.Challenge)
}

func slackID(r *Request) string {
	var v struct {
		EventID   string `json:"event_id"`
		TriggerID string `json:"trigger_id"`
	}
	if isJSON(r.Body) { // Content-Type says it too, and is not signed
		decode(r.Body, &v)
		return v.EventID
	}
	form, err := url.ParseQuery(string(r.Body))
	if err != nil {
		return ""
	}
	if payload := form.Get("payload"); payload != "" {
		decode([]byte(payload), &v)
		return v.TriggerID
	}
	return form.Get("trigger_id")
}
