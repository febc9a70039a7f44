package sender

import (
	"encoding/hex"
	"time"
)

const hubSignature = "X-Hub-Signature"

// Bitbucket is the sender of the webhooks of Bitbucket Cloud and Bitbucket Data Center.
// X-Hub-Signature has the HMAC-SHA256 of the body:
//
//	sha256={hexadecimal digits}
//
// A secret is the one that the webhook was given. No time and no delivery ID is signed, and the
// body does not identify a delivery. X-Request-UUID (Cloud) and X-Request-Id (Data Center) do;
// name it with workflow.DedupeHeader. Whoever has recorded a request can change it.
//
// https://support.atlassian.com/bitbucket-cloud/docs/manage-webhooks/
func Bitbucket(secrets ...string) (*Sender, error) {
	const name = "bitbucket"
	keys, err := newKeys(name, secrets, textKey(nil))
	if err != nil {
		return nil, err
	}
	s := scheme{
		name:     name,
		header:   hubSignature,
		parse:    signedBody(hubSignature, "sha256=", decodeHex),
		stamp:    stampHeader(hubSignature, "sha256=", hex.EncodeToString),
		keys:     keys,
		unsigned: "Bitbucket sends it if the webhook has a Secret",
		secret:   "the Secret of the webhook is another one",
	}.sender(0)
	s.respondWithin = 9 * time.Second // of 10
	return s, nil
}
