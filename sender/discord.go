package sender

import (
	"crypto/ed25519"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"
)

const (
	discordTimestamp = "X-Signature-Timestamp"
	discordSignature = "X-Signature-Ed25519"
)

// Discord is the sender of Discord's interactions: commands, components, modals.
// X-Signature-Ed25519 has, in hexadecimal digits, the Ed25519 signature of X-Signature-Timestamp
// followed by the body. A key is the app's public key, as its page General Information shows it; it
// is not a secret.
//
// Its handshake is PING, sent when the URL is entered and now and then, also with a signature that
// is bad on purpose: that has to get 401. A delivery is identified by the id of the interaction.
//
// Discord waits for 3 seconds. A deferred response says that an interaction was accepted: the user
// sees that the app is thinking, and the run answers within 15 minutes by editing that response. For
// autocompletion there is no such thing: answer it in time.
//
// https://discord.com/developers/docs/interactions/overview
func Discord(publicKeys ...string) (*Sender, error) {
	s, err := newDiscord("discord", publicKeys, 1, jsonResponse([]byte(`{"type":1}`)))
	if err != nil {
		return nil, err
	}
	s.deliveryID = bodyID(func(v *discordBody) string { return v.ID })
	s.accepted = jsonResponse([]byte(`{"type":5}`))
	return s, nil
}

// DiscordEvents is the sender of Discord's webhook events. They are signed as interactions are, see
// [Discord]. An event has its time in microseconds and no ID, so a delivery is identified by
// [BodyDigest]. Discord wants 204 within 3 seconds.
//
// https://discord.com/developers/docs/events/webhook-events
func DiscordEvents(publicKeys ...string) (*Sender, error) {
	accepted := &Response{Status: http.StatusNoContent, Header: http.Header{"Content-Type": {"application/json"}}}
	s, err := newDiscord("discord-events", publicKeys, 0, accepted)
	if err != nil {
		return nil, err
	}
	s.deliveryID = BodyDigest
	s.accepted = accepted
	return s, nil
}

// newDiscord makes a sender of requests whose type is ping if they are PING, which gets pong.
func newDiscord(name string, publicKeys []string, ping int, pong *Response) (*Sender, error) {
	keys, err := newKeys(name, publicKeys, discordKey)
	if err != nil {
		return nil, err
	}
	s := scheme{
		name:   name,
		header: discordSignature,
		parse: signedTimeAndBody(discordTimestamp, "", "", func(h http.Header) ([]byte, *Error) {
			return signature(h, discordSignature, "", ed25519.SignatureSize, decodeHex)
		}),
		keys:     keys, // public ones: nothing is stamped
		unsigned: "Discord sends it with every request",
		secret:   "the Public Key, on the app's page General Information, is another one, or Discord tests that bad signatures are refused",
	}.sender(DefaultTolerance)
	s.handshake = signedHandshake(discordSignature, `"type"`, func(body []byte) (*Response, *Error) {
		var v discordBody
		if !decode(body, &v) || v.Type == nil || *v.Type != ping || v.Event != nil { // an event has the type of the other's PING
			return nil, nil
		}
		return pong, nil
	})
	s.respondWithin = 2500 * time.Millisecond // of 3 s
	return s, nil
}

func discordKey(text string) (key, error) {
	data, err := hex.DecodeString(text)
	if err != nil { // not wrapped: what is in it is nobody's business
		return key{}, errors.New("is not hexadecimal digits: give the Public Key of the app, not its token or client secret")
	}
	if len(data) != ed25519.PublicKeySize {
		return key{}, fmt.Errorf("is not an Ed25519 public key: it has %d bytes, and such keys have %d", len(data), ed25519.PublicKeySize)
	}
	return ed25519Key(data), nil
}

type discordBody struct {
	ID    string          `json:"id"`
	Type  *int            `json:"type"`
	Event json.RawMessage `json:"event"`
}
