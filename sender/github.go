package sender

import (
	"encoding/hex"
	"time"
)

const hubSignature256 = "X-Hub-Signature-256"

// GitHub is the sender of GitHub's webhooks. X-Hub-Signature-256 has the HMAC-SHA256 of the body:
//
//	sha256={hexadecimal digits}
//
// A secret is the text that was entered for the webhook, of 14 bytes or more. The older
// header X-Hub-Signature, with SHA-1, is ignored.
//
// GitHub signs nothing but the body: no time, so that a recorded request verifies for as long as
// the secret is in use, and not X-GitHub-Delivery, which whoever has recorded a request can
// change. So a delivery is identified by [BodyDigest]: a delivery that somebody sends again from
// GitHub's page is a repeat, and dropped like one.
//
// https://docs.github.com/en/webhooks/using-webhooks/validating-webhook-deliveries
func GitHub(secrets ...string) (*Sender, error) {
	const name = "github"
	keys, err := newKeys(name, secrets, textKey(notGitHub))
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
		unsigned:  "GitHub sends it if the webhook has a Secret",
		secret:    "the Secret in the settings of the webhook is another one",
	}.sender(0)
	s.deliveryID = BodyDigest
	s.respondWithin = 9 * time.Second // of 10
	return s, nil
}

// notGitHub are what access tokens begin with.
var notGitHub = map[string]string{
	"ghp_": giveGitHub, "gho_": giveGitHub, "ghu_": giveGitHub, "ghs_": giveGitHub, "ghr_": giveGitHub, "github_pat_": giveGitHub,
}

const giveGitHub = "it is an access token; give the text that was entered as the secret of the webhook"
