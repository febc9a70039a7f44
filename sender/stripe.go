package sender

import (
	"crypto/sha256"
	"fmt"
	"strings"
	"time"
)

const stripeSignature = "Stripe-Signature"

// Stripe is the sender of Stripe's webhooks. Stripe-Signature is a list of
// a time and signatures, in seconds and hexadecimal digits:
//
//	t={time},v1={HMAC-SHA256 of {time}.{body}}
//
// There are several v1 while the secret is being rolled. Other versions are
// ignored: v0 is no more than a dummy that Stripe adds to test events.
//
// A secret is the endpoint's signing secret as Stripe shows it, whsec_ and all. A delivery is
// identified by the event's id in the body.
//
// https://docs.stripe.com/webhooks
func Stripe(secrets ...string) (*Sender, error) {
	const name = "stripe"
	keys, err := newKeys(name, secrets, textKey(notStripe))
	if err != nil {
		return nil, err
	}
	s := scheme{
		name:   name,
		header: stripeSignature,
		parse:  parseStripe,
		stamp: func(r *Request, at time.Time, sum []byte) *Error {
			r.Header.Set(stripeSignature, fmt.Sprintf("t=%d,v1=%x", at.Unix(), sum))
			return nil
		},
		keys:     keys,
		unsigned: "Stripe sends it with every event",
		secret:   "the secret is of another endpoint, of the other mode, or of the Stripe CLI, which shows its own",
	}.sender(DefaultTolerance)
	s.deliveryID = bodyID(func(v *struct {
		ID string `json:"id"`
	},
	) string {
		return v.ID
	})
	return s, nil
}

// notStripe are what keys of the API begin with.
var notStripe = map[string]string{"sk_": giveStripe, "rk_": giveStripe, "pk_": giveStripe, "we_": giveStripe}

const giveStripe = "it is a key of the API, or the ID of an endpoint; give the signing secret of the endpoint, whsec_ and all"

func parseStripe(r *Request) (claim, *Error) {
	value, err := single(r.Header, stripeSignature)
	if err != nil {
		return claim{}, err
	}
	c := claim{timeField: stripeSignature, body: r.Body}
	for pair := range strings.SplitSeq(value, ",") {
		name, text, ok := strings.Cut(pair, "=")
		switch {
		case !ok:
			return claim{}, malformed(stripeSignature)
		case name == "t":
			at, ok := parseTime(text)
			if !ok || c.prefix != "" { // a second time would leave it open which one is signed
				return claim{}, malformed(stripeSignature)
			}
			c.time, c.prefix = at, text+"."
		case name == "v1":
			if sum, bad := decodeHex(text); bad == nil && len(sum) == sha256.Size {
				c.signatures = append(c.signatures, sum)
			}
		}
	}
	if c.prefix == "" || len(c.signatures) == 0 || len(c.signatures) > maxSignatures {
		return claim{}, malformed(stripeSignature)
	}
	return c, nil
}
