package sender

import "time"

const (
	gitLabToken    = "X-Gitlab-Token"
	idempotencyKey = "Idempotency-Key"
)

// GitLab is the sender of GitLab's webhooks that have a secret token. It is not a signature:
// X-Gitlab-Token has the token itself, so whoever can read a request can make others. A webhook
// with a signing token is signed as [StandardWebhooks] are: use that.
//
// A delivery is identified by Idempotency-Key, which stays the same when a delivery is tried
// again. It is as trustworthy as the rest of the request.
//
// https://docs.gitlab.com/user/project/integrations/webhooks/
func GitLab(tokens ...string) (*Sender, error) {
	s, err := newBearer("gitlab", gitLabToken, tokens, notGitLab)
	if err != nil {
		return nil, err
	}
	show := s.sign
	s.sign = func(r *Request, now time.Time) error {
		stampID(r, idempotencyKey)
		return show(r, now)
	}
	s.deliveryID = func(r *Request) string {
		id, _ := single(r.Header, idempotencyKey)
		return id
	}
	s.idHeader = idempotencyKey
	s.respondWithin = 9 * time.Second // of 10
	return s, nil
}

// notGitLab are what access tokens and signing tokens begin with.
var notGitLab = map[string]string{
	"glpat-": "it is an access token; give the secret token of the webhook",
	"whsec_": "it is a signing token: use StandardWebhooks",
}
