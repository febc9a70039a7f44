package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/tenter-dev/tenter/sender"
)

type webhooksSendCmd struct {
	URL        string   `arg:"" name:"url" help:"Where to send it: the URL of a webhook, or of a route of the application's own."`
	Body       string   `arg:"" help:"Body as it is to be sent, @FILE, or - for standard input."`
	As         string   `placeholder:"SENDER" enum:",${senders}" default:"" help:"Sign as this sender does: ${sender_list}. Default: nothing is signed."`
	SecretFile string   `placeholder:"FILE" help:"File with the secret. Default: the secret in $$TENTER_WEBHOOK_SECRET."`
	Method     string   `default:"POST" placeholder:"METHOD" help:"Method of the request (${default})."`
	Header     []string `short:"H" sep:"none" placeholder:"'NAME: VALUE'" help:"Header of the request; may be given more than once."`
}

func (c *webhooksSendCmd) Help() string {
	return `Sends a request as a sender of webhooks would, for tests: with its signature, the current time, and a delivery ID if the sender puts one in a header. It needs neither a database nor a server of Tenter's.

  export TENTER_WEBHOOK_SECRET=whsec_…
  tenter webhooks send --as stripe http://localhost:8080/stripe '{"id": "evt_1"}'
  tenter webhooks send --as shopify URL @order.json -H 'X-Shopify-Webhook-Id: w1'

The Content-Type is application/json if the body is JSON, else that of a form; -H changes it. The answer is printed; the exit code is 1 unless it is a 2xx. Discord is missing: only Discord has the key that signs its requests.

With --json it is one object: status, header, body.`
}

// impersonated are the senders that "webhooks send" can be.
var impersonated = map[string]func(secrets ...string) (*sender.Sender, error){
	"bitbucket": sender.Bitbucket,
	"github":    sender.GitHub,
	"gitlab":    sender.GitLab,
	"linear":    sender.Linear,
	"meta": func(secrets ...string) (*sender.Sender, error) {
		return sender.Meta("no handshake is made", secrets...)
	},
	"microsoft-graph":   sender.MicrosoftGraph,
	"shopify":           sender.Shopify,
	"slack":             sender.Slack,
	"standard-webhooks": sender.StandardWebhooks,
	"stripe":            sender.Stripe,
	"svix":              sender.Svix,
	"twilio":            sender.Twilio,
	"zoom":              sender.Zoom,
}

// senderNames are the names of impersonated, for a tag.
func senderNames(between string) string {
	return strings.Join(slices.Sorted(maps.Keys(impersonated)), between)
}

func (c *webhooksSendCmd) Run(a *app) error {
	r, err := c.request(a)
	if err != nil {
		return err
	}
	if c.As != "" {
		secret, err := c.secret(a)
		if err != nil {
			return err
		}
		s, err := impersonated[c.As](secret)
		if err == nil {
			err = s.Sign(r, time.Now())
		}
		if err != nil {
			return usage("%w", err)
		}
	}
	req, err := http.NewRequestWithContext(a.ctx, r.Method, r.URL.String(), bytes.NewReader(r.Body))
	if err != nil {
		return usage("%w", err)
	}
	req.Header = r.Header
	client := http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	res, err := client.Do(req)
	if err != nil {
		return err
	}
	defer func() { _ = res.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(res.Body, 1<<20))
	if err != nil {
		return err
	}
	if a.cli.JSON {
		err = a.out.json(struct {
			Status int         `json:"status"`
			Header http.Header `json:"header"`
			Body   string      `json:"body"`
		}{res.StatusCode, res.Header, string(body)})
	} else {
		a.out.printf("%s\n", line(res.Status))
		if text := strings.TrimSpace(string(body)); text != "" {
			a.out.printf("%s\n", clean(text))
		}
	}
	if err == nil && res.StatusCode/100 != 2 {
		err = fmt.Errorf("the request was answered with %s", res.Status)
	}
	return err
}

// request is what to send, before it is signed.
func (c *webhooksSendCmd) request(a *app) (*sender.Request, error) {
	u, err := url.Parse(c.URL)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return nil, usage("URL %s: it has to be like http://localhost:8080/github", quote(c.URL))
	}
	r := &sender.Request{Method: strings.ToUpper(c.Method), URL: u, Header: http.Header{}}
	name, isFile := strings.CutPrefix(c.Body, "@")
	switch {
	case c.Body == "-":
		r.Body, err = io.ReadAll(a.stdin)
	case isFile:
		r.Body, err = os.ReadFile(name)
	default:
		r.Body = []byte(c.Body)
	}
	if err != nil {
		return nil, fmt.Errorf("read body: %w", err)
	}
	kind := "application/x-www-form-urlencoded"
	if json.Valid(r.Body) {
		kind = "application/json"
	}
	r.Header.Set("Content-Type", kind)
	given := http.Header{}
	for _, h := range c.Header {
		name, value, ok := strings.Cut(h, ":")
		if !ok || strings.TrimSpace(name) == "" {
			return nil, usage("-H %s: it has to be like 'X-GitHub-Event: push'", quote(h))
		}
		given.Add(strings.TrimSpace(name), strings.TrimSpace(value))
	}
	maps.Copy(r.Header, given)
	return r, nil
}

func (c *webhooksSendCmd) secret(a *app) (string, error) {
	if c.SecretFile != "" {
		data, err := os.ReadFile(c.SecretFile)
		if err != nil {
			return "", fmt.Errorf("read the secret: %w", err)
		}
		return strings.TrimSpace(string(data)), nil
	}
	secret, _ := a.env("TENTER_WEBHOOK_SECRET")
	if secret == "" {
		return "", usage("--as %s: the secret is missing: set TENTER_WEBHOOK_SECRET, or name a file with --secret-file", c.As)
	}
	return secret, nil
}
