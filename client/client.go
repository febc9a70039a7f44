package client

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/tenter-dev/tenter/inspect"
	"github.com/tenter-dev/tenter/internal/api"
	"github.com/tenter-dev/tenter/internal/run"
)

// Options configure a client. The zero value works.
type Options struct {
	// APIKey is the secret of the API key to send. Without one, a server refuses
	// everything unless its access.Policy lets requests through by other means.
	APIKey string

	// HTTPClient makes the requests. The default is http.DefaultClient. Its Timeout bounds
	// single requests: a caller that waits for a result makes as many as it takes.
	HTTPClient *http.Client
}

// Client is a client of the HTTP API. It is safe for concurrent use.
type Client struct {
	base string // ends with api.Path
	key  string
	http *http.Client
	wait time.Duration // of one request for a result
}

var _ inspect.Client = (*Client)(nil)

// longPoll is how long a request for a result waits. Proxies tend to end those that take
// a minute.
const longPoll = 25 * time.Second

// New returns a client of the API that is served at server.APIPath below a URL such as
// "https://example.com". It connects to nothing yet. It fails if baseURL is not
// like that.
func New(baseURL string, opts Options) (*Client, error) {
	u, err := url.Parse(baseURL)
	if err != nil || u.Host == "" || (u.Scheme != "http" && u.Scheme != "https") || u.RawQuery != "" || u.Fragment != "" {
		return nil, fmt.Errorf("new client: base URL %q: it has to be like https://example.com, with a path if need be", baseURL)
	}
	c := &Client{base: strings.TrimSuffix(u.String(), "/") + api.Path, key: opts.APIKey, http: opts.HTTPClient, wait: longPoll}
	if c.http == nil {
		c.http = http.DefaultClient
	}
	if c.http.Timeout > 0 {
		c.wait = min(c.wait, c.http.Timeout/2)
	}
	return c, nil
}

// usable says why a call can't be made.
func (c *Client) usable(ctx context.Context) error {
	if c == nil {
		return errors.New("the client is nil: make one with client.New")
	}
	return run.CheckOutside(ctx)
}
