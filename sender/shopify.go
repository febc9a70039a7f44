package sender

import (
	"encoding/base64"
	"time"
)

const shopifyHmac = "X-Shopify-Hmac-Sha256"

// Shopify is the sender of Shopify's webhooks. X-Shopify-Hmac-Sha256 has, in base64, the
// HMAC-SHA256 of the body. A secret is the app's client secret, or, for webhooks that were made on
// the shop's admin page, the one that the page shows.
//
// No delivery ID is signed, and the body does not identify a delivery: two topics may have the
// same. X-Shopify-Webhook-Id does, and stays the same when a delivery is tried again; name it with
// workflow.DedupeHeader. Whoever has recorded a request can change it.
//
// https://shopify.dev/docs/apps/build/webhooks/verify-deliveries
func Shopify(secrets ...string) (*Sender, error) {
	const name = "shopify"
	keys, err := newKeys(name, secrets, textKey(notShopify))
	if err != nil {
		return nil, err
	}
	s := scheme{
		name:     name,
		header:   shopifyHmac,
		parse:    signedBody(shopifyHmac, "", decodeBase64),
		stamp:    stampHeader(shopifyHmac, "", base64.StdEncoding.EncodeToString),
		keys:     keys,
		unsigned: "Shopify sends it with every HTTPS delivery",
		secret:   "the client secret of the app is another one (after a rotation Shopify may sign with the old one for an hour)",
	}.sender(0)
	s.respondWithin = 4500 * time.Millisecond // of 5 s
	return s, nil
}

// notShopify are what access tokens begin with.
var notShopify = map[string]string{"shpat_": giveShopify, "shpca_": giveShopify, "shppa_": giveShopify}

const giveShopify = "it is an access token; give the client secret of the app"
