package sender

import (
	"encoding/hex"
	"encoding/json"
	"strconv"
	"time"
)

const linearSignature = "Linear-Signature"

// Linear is the sender of Linear's webhooks. Linear-Signature has, in hexadecimal digits, the
// HMAC-SHA256 of the body, which has the time of sending in webhookTimestamp; it may be a minute
// from now, as Linear's documentation has it. A secret is the signing secret that the page of the
// webhook shows.
//
// No delivery ID is signed. Linear-Delivery identifies a delivery; name it with
// workflow.DedupeHeader. Within the minute, whoever has recorded a request can change it.
//
// https://linear.app/developers/webhooks
func Linear(secrets ...string) (*Sender, error) {
	const name = "linear"
	keys, err := newKeys(name, secrets, textKey(notLinear))
	if err != nil {
		return nil, err
	}
	s := scheme{
		name:     name,
		header:   linearSignature,
		parse:    signedBody(linearSignature, "", decodeHex),
		stamp:    stampLinear,
		confirm:  linearTime,
		keys:     keys,
		unsigned: "Linear sends it with every request",
		secret:   "the signing secret on the page of the webhook is another one",
	}.sender(time.Minute)
	s.respondWithin = 4500 * time.Millisecond // of 5 s
	s.accepted = &Response{Status: 200}
	return s, nil
}

// notLinear are what keys of the API begin with.
var notLinear = map[string]string{
	"lin_api_":   "it is a key of the API; give the signing secret of the webhook",
	"lin_oauth_": "it is an access token; give the signing secret of the webhook",
}

func stampLinear(r *Request, at time.Time, sum []byte) *Error {
	var members map[string]json.RawMessage
	if !decode(r.Body, &members) || members == nil {
		return malformed("body")
	}
	members["webhookTimestamp"] = json.RawMessage(strconv.FormatInt(at.UnixMilli(), 10))
	body, err := json.Marshal(members)
	if err != nil {
		return malformed("body")
	}
	r.Body = body
	r.Header.Set(linearSignature, hex.EncodeToString(sum))
	return nil
}

// linearTime reads the time of sending, in milliseconds.
func linearTime(r *Request) (claim, *Error) {
	const field = "webhookTimestamp"
	var v struct {
		At *int64 `json:"webhookTimestamp"`
	}
	switch {
	case !decode(r.Body, &v):
		return claim{}, malformed(field)
	case v.At == nil:
		return claim{}, &Error{Field: field, Reason: Missing}
	}
	return claim{time: time.UnixMilli(*v.At), timeField: field}, nil
}
