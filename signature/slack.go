package signature

import (
	"net/http"
	"strings"
)

const (
	slackTimestamp = "X-Slack-Request-Timestamp"
	slackSignature = "X-Slack-Signature"
)

// Slack verifies the scheme of Slack's requests: events, slash commands and
// interactions. X-Slack-Signature has, in hexadecimal digits, the HMAC-SHA256 of
// the text
//
//	v0:{X-Slack-Request-Timestamp}:{body}
//
// after v0=. A secret is the app's signing secret, not the older verification
// token.
//
// No header identifies a request. Drop repeated events by the event's ID in the
// body; a slash command has none but its trigger ID.
func Slack(secrets ...string) (*Timed, error) {
	const name = "slack"
	keys, err := newKeys(name, secrets, textKey(notSlack))
	if err != nil {
		return nil, err
	}
	return newTimed(scheme{
		name:      name,
		header:    slackSignature,
		sensitive: []string{slackSignature},
		parse:     parseSlack,
		keys:      keys,
	}), nil
}

// notSlack are what the tokens of an app begin with.
var notSlack = map[string]string{"xoxb-": giveSlack, "xoxp-": giveSlack, "xoxe": giveSlack, "xapp-": giveSlack}

const giveSlack = "it is a token of the app; give its signing secret, from its page Basic Information"

func parseSlack(h http.Header) (claim, *Error) {
	timestamp, err := single(h, slackTimestamp)
	if err != nil {
		return claim{}, err
	}
	at, ok := parseTime(timestamp)
	if !ok {
		return claim{}, malformed(slackTimestamp)
	}
	value, err := single(h, slackSignature)
	if err != nil {
		return claim{}, err
	}
	digits, ok := strings.CutPrefix(value, "v0=")
	if !ok {
		return claim{}, malformed(slackSignature)
	}
	sum, ok := parseHex(digits)
	if !ok {
		return claim{}, malformed(slackSignature)
	}
	return claim{
		time:       at,
		timeHeader: slackTimestamp,
		prefix:     "v0:" + timestamp + ":",
		signatures: [][]byte{sum},
	}, nil
}
