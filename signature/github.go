package signature

import (
	"net/http"
	"strings"
	"time"
)

const hubSignature = "X-Hub-Signature-256"

// GitHub verifies the scheme of GitHub's webhooks. X-Hub-Signature-256 has the
// HMAC-SHA256 of the body:
//
//	sha256={hexadecimal digits}
//
// A secret is the text that was entered for the webhook, of 14 bytes or more. The older
// header X-Hub-Signature, with SHA-1, is ignored.
//
// GitHub signs nothing but the body. There is no time in it, so a recorded
// request verifies for as long as the secret is in use; and X-GitHub-Delivery,
// good to drop GitHub's own repeats by, can be changed by whoever recorded one.
// Where a replay would do harm, look for an ID in the body.
func GitHub(secrets ...string) (Verifier, error) {
	const name = "github"
	keys, err := newKeys(name, secrets, textKey(notGitHub))
	if err != nil {
		return nil, err
	}
	return &gitHub{scheme{
		name:      name,
		header:    hubSignature,
		sensitive: []string{hubSignature, "X-Hub-Signature"},
		parse:     parseGitHub,
		keys:      keys,
	}}, nil
}

// notGitHub are what access tokens begin with.
var notGitHub = map[string]string{
	"ghp_": giveGitHub, "gho_": giveGitHub, "ghu_": giveGitHub, "ghs_": giveGitHub, "ghr_": giveGitHub, "github_pat_": giveGitHub,
}

const giveGitHub = "it is an access token; give the text that was entered as the secret of the webhook"

type gitHub struct{ scheme }

func (v *gitHub) Verify(r Request, _ time.Time) error {
	c, err := v.claim(r.Header)
	if err != nil {
		return err
	}
	return v.prove(c, r.Body)
}

func parseGitHub(h http.Header) (claim, *Error) {
	value, err := single(h, hubSignature)
	if err != nil {
		return claim{}, err
	}
	digits, ok := strings.CutPrefix(value, "sha256=")
	if !ok {
		return claim{}, malformed(hubSignature)
	}
	sum, ok := parseHex(digits)
	if !ok {
		return claim{}, malformed(hubSignature)
	}
	return claim{signatures: [][]byte{sum}}, nil
}
