package signature

import (
	"net/http"
	"strings"
)

const stripeSignature = "Stripe-Signature"

// Stripe verifies the scheme of Stripe's webhooks. Stripe-Signature is a list of
// a time and signatures, in seconds and hexadecimal digits:
//
//	t={time},v1={HMAC-SHA256 of {time}.{body}}
//
// There are several v1 while the secret is being rolled. Other versions are
// ignored: v0 is no more than a dummy that Stripe adds to test events.
//
// A secret is the endpoint's signing secret as Stripe shows it, whsec_ and all.
// No header identifies a delivery; drop repeats by the event's ID in the body.
func Stripe(secrets ...string) (*Timed, error) {
	const name = "stripe"
	keys, err := newKeys(name, secrets, textKey(notStripe))
	if err != nil {
		return nil, err
	}
	return newTimed(scheme{
		name:      name,
		header:    stripeSignature,
		sensitive: []string{stripeSignature},
		parse:     parseStripe,
		keys:      keys,
	}), nil
}

// notStripe are what keys of the API begin with.
var notStripe = map[string]string{"sk_": giveStripe, "rk_": giveStripe, "pk_": giveStripe, "we_": giveStripe}

const giveStripe = "it is a key of the API, or the ID of an endpoint; give the signing secret of the endpoint, whsec_ and all"

func parseStripe(h http.Header) (claim, *Error) {
	value, err := single(h, stripeSignature)
	if err != nil {
		return claim{}, err
	}
	c := claim{timeHeader: stripeSignature}
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
			if sum, ok := parseHex(text); ok {
				c.signatures = append(c.signatures, sum)
			}
		}
	}
	if c.prefix == "" || len(c.signatures) == 0 || len(c.signatures) > maxSignatures {
		return claim{}, malformed(stripeSignature)
	}
	return c, nil
}
