package sender_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tenter-dev/tenter/sender"
)

const shaken = "0123456789abcdef0123456789abcdef"

// text is what a handshake sends back as it came.
func text(s string) *sender.Response {
	return &sender.Response{
		Status: 200,
		Header: http.Header{"Content-Type": {"text/plain; charset=utf-8"}, "X-Content-Type-Options": {"nosniff"}},
		Body:   []byte(s),
	}
}

func jsonOf(s string) *sender.Response {
	return &sender.Response{Status: 200, Header: http.Header{"Content-Type": {"application/json"}}, Body: []byte(s)}
}

func slackRequest(body string) *sender.Request {
	return &sender.Request{
		Method: http.MethodPost,
		Header: header("X-Slack-Request-Timestamp", "1700000000", "X-Slack-Signature", "v0="+hexMAC(shaken, "v0:1700000000:"+body)),
		Body:   []byte(body),
	}
}

func zoomRequest(secret, body string) *sender.Request {
	return &sender.Request{
		Method: http.MethodPost,
		Header: header("X-Zm-Request-Timestamp", "1700000000", "X-Zm-Signature", "v0="+hexMAC(secret, "v0:1700000000:"+body)),
		Body:   []byte(body),
	}
}

func get(u string) *sender.Request {
	return &sender.Request{Method: http.MethodGet, URL: parseURL(u), Header: header()}
}

func post(u, body string) *sender.Request {
	return &sender.Request{Method: http.MethodPost, URL: parseURL(u), Header: header(), Body: []byte(body)}
}

const (
	discordSeed = "a seed of 32 bytes for the tests"

	// slackChallenge is the example of https://docs.slack.dev/reference/events/url_verification.
	slackChallenge = `{"token":"Jhj5dZrVaK7ZwHHjRyZWjbDl","challenge":"3eZbrw1aBm2rZgRNFdxV2595E9CY3gmdALWMmHkvFXO7tYXAYM8P","type":"url_verification"}`

	// zoomChallenge is the example of https://developers.zoom.us/docs/api/webhooks/. The answer is
	// that of a test of https://github.com/elastic/beats, with its secret.
	zoomChallenge = `{"payload":{"plainToken":"qgg8vlvZRS6UYooatFL8Aw"},"event_ts":1654503849680,"event":"endpoint.url_validation"}`
	zoomAnswer    = `{"plainToken":"qgg8vlvZRS6UYooatFL8Aw","encryptedToken":"70c1f2e2e6ca2d39297490d1f9142c7d701415ea8e6151f6562a08fa657a40ff"}`

	// ping is that of src/__tests__ of https://github.com/discord/discord-interactions-js.
	ping      = `{"id":"787053080478613555","token":"ThisIsATokenFromDiscordThatIsVeryLong","type":1,"version":1}`
	eventPing = `{"type":0}`
)

func TestHandshakes(t *testing.T) {
	t.Parallel()
	slack := sender.Must(sender.Slack(shaken))
	zoom := sender.Must(sender.Zoom("secretValueTest"))
	discords := sender.Must(sender.Discord(discordKey(discordSeed)))
	events := sender.Must(sender.DiscordEvents(discordKey(discordSeed)))
	meta := sender.Must(sender.Meta("the token of the app", shaken))
	graph := sender.Must(sender.MicrosoftGraph(shaken))
	now := time.Unix(1700000001, 0)
	const hub = "https://example.com/meta?hub.mode=subscribe&hub.challenge=1158201444&hub.verify_token="
	// The text is that of https://learn.microsoft.com/en-us/graph/change-notifications-delivery-webhooks.
	const graphText = "Validation: Testing client application reachability for subscription Request-Id: 522a8e7e"
	for name, c := range map[string]struct {
		s    *sender.Sender
		r    *sender.Request
		want *sender.Response // nil: it is none
	}{
		"slack":                 {slack, slackRequest(slackChallenge), text("3eZbrw1aBm2rZgRNFdxV2595E9CY3gmdALWMmHkvFXO7tYXAYM8P")},
		"slack, an event":       {slack, slackRequest(`{"type":"event_callback","event_id":"Ev1","text":"url_verification"}`), nil},
		"slack, no JSON":        {slack, slackRequest(`url_verification`), nil},
		"slack, by GET":         {slack, get("https://example.com/"), nil},
		"slack, not signed":     {slack, post("https://example.com/", slackChallenge), nil},
		"zoom":                  {zoom, zoomRequest("secretValueTest", zoomChallenge), jsonOf(zoomAnswer)},
		"zoom, an event":        {zoom, zoomRequest("secretValueTest", `{"event":"meeting.started"}`), nil},
		"discord":               {discords, discord(discordSeed, "1700000000", ping), jsonOf(`{"type":1}`)},
		"discord, events":       {events, discord(discordSeed, "1700000000", eventPing), &sender.Response{Status: 204, Header: header("Content-Type", "application/json")}},
		"discord, a command":    {discords, discord(discordSeed, "1700000000", applicationCommand), nil},
		"discord, an event":     {events, discord(discordSeed, "1700000000", discordEvent), nil},
		"discord, no PING":      {discords, discord(discordSeed, "1700000000", discordEvent), nil},
		"discord, no type":      {discords, discord(discordSeed, "1700000000", `{"types":"type"}`), nil},
		"meta":                  {meta, get(hub + "the+token+of+the+app"), text("1158201444")},
		"meta, a notification":  {meta, post("https://example.com/meta", "{}"), nil},
		"meta, by POST":         {meta, post(hub+"the+token+of+the+app", ""), nil},
		"meta, unsubscribe":     {meta, get(strings.Replace(hub, "subscribe", "unsubscribe", 1)), nil},
		"graph":                 {graph, post("https://example.com/graph?a=b&validationToken="+strings.ReplaceAll(graphText, " ", "+"), ""), text(graphText)},
		"graph, a notification": {graph, post("https://example.com/graph?a=b", `{"value":[]}`), nil},
		"graph, by GET":         {graph, get("https://example.com/graph?validationToken=a"), nil},
		"github has none":       {sender.Must(sender.GitHub(shaken)), post("https://example.com/", "{}"), nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := c.s.Handshake(c.r, now)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Error(diff)
			}
			if c.want != nil && !c.s.MayHandshake(&sender.Request{Method: c.r.Method, URL: c.r.URL, Header: c.r.Header}) {
				t.Error("without its body it is none")
			}
		})
	}
}

// What claims to be a handshake and is not from the sender is refused. Discord sends such requests
// to see that they are.
func TestForgedHandshakes(t *testing.T) {
	t.Parallel()
	slack := sender.Must(sender.Slack(shaken))
	zoom := sender.Must(sender.Zoom(shaken))
	discords := sender.Must(sender.Discord(discordKey(discordSeed)))
	meta := sender.Must(sender.Meta("the token of the app", shaken))
	graph := sender.Must(sender.MicrosoftGraph(shaken))
	now := time.Unix(1700000001, 0)
	challenge := func(text string) string { return `{"type":"url_verification","challenge":"` + text + `"}` }
	hub := func(query string) *sender.Request {
		return get("https://example.com/meta?hub.mode=subscribe&hub.verify_token=the+token+of+the+app" + query)
	}
	validate := func(query string) *sender.Request { return post("https://example.com/graph?"+query, "") }
	for name, c := range map[string]struct {
		s    *sender.Sender
		r    *sender.Request
		want sender.Reason
	}{
		"slack, altered":          {slack, withBody(slackRequest(slackChallenge), []byte(challenge("forged"))), sender.Mismatch},
		"slack, repeated header":  {slack, with(slackRequest(slackChallenge), "X-Slack-Signature", "a", "b"), sender.Repeated},
		"slack, empty":            {slack, slackRequest(challenge("")), sender.Missing},
		"slack, large":            {slack, slackRequest(challenge(strings.Repeat("x", 2049))), sender.Malformed},
		"slack, a line break":     {slack, slackRequest(challenge(`a\r\nb`)), sender.Malformed},
		"zoom, altered":           {zoom, zoomRequest("another secret of Zoom", zoomChallenge), sender.Mismatch},
		"zoom, no token":          {zoom, zoomRequest(shaken, `{"event":"endpoint.url_validation"}`), sender.Malformed},
		"zoom, a text to sign":    {zoom, zoomRequest(shaken, `{"event":"endpoint.url_validation","payload":{"plainToken":"v0:1700000000:{}"}}`), sender.Malformed},
		"discord, another key":    {discords, discord("another seed for these tests ...", "1700000000", ping), sender.Mismatch},
		"discord, altered":        {discords, withBody(discord(discordSeed, "1700000000", ping), []byte(`{"type":1}`)), sender.Mismatch},
		"discord, another time":   {discords, with(discord(discordSeed, "1700000000", ping), "X-Signature-Timestamp", "1700000001"), sender.Mismatch},
		"discord, stale":          {discords, discord(discordSeed, "1600000000", ping), sender.Stale},
		"discord, no signature":   {discords, with(discord(discordSeed, "1700000000", ping), "X-Signature-Ed25519", ""), sender.Missing},
		"discord, half signature": {discords, with(discord(discordSeed, "1700000000", ping), "X-Signature-Ed25519", "00"), sender.Malformed},
		"meta, another token":     {meta, get("https://example.com/?hub.mode=subscribe&hub.challenge=1&hub.verify_token=guessed"), sender.Wrong},
		"meta, no token":          {meta, get("https://example.com/?hub.mode=subscribe&hub.challenge=1"), sender.Wrong},
		"meta, two tokens":        {meta, hub("&hub.challenge=1&hub.verify_token=guessed"), sender.Repeated},
		"meta, two challenges":    {meta, hub("&hub.challenge=1&hub.challenge=2"), sender.Repeated},
		"meta, no challenge":      {meta, hub(""), sender.Missing},
		"meta, a large challenge": {meta, hub("&hub.challenge=" + strings.Repeat("1", 2049)), sender.Malformed},
		"graph, two tokens":       {graph, validate("validationToken=a&validationToken=b"), sender.Repeated},
		"graph, empty":            {graph, validate("validationToken="), sender.Missing},
		"graph, large":            {graph, validate("validationToken=" + strings.Repeat("x", 2049)), sender.Malformed},
		"graph, no text":          {graph, validate("validationToken=%ff"), sender.Malformed},
		"graph, control":          {graph, validate("validationToken=a%00"), sender.Malformed},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			resp, err := c.s.Handshake(c.r, now)
			refused(t, err, c.want)
			if resp != nil {
				t.Errorf("it is answered with %+v", resp)
			}
		})
	}
}
