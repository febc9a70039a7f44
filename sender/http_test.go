package sender_test

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/tenter-dev/tenter/sender"
)

// What SignHTTP signs arrives as it was signed, and all requests with a key are one delivery.
func TestSignHTTP(t *testing.T) {
	t.Parallel()
	const secret, standard = "0123456789abcdef0123456789abcdef", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
	for name, c := range map[string]struct {
		s     *sender.Sender
		keyed bool // it has a header for the delivery ID
	}{
		"standard webhooks": {sender.Must(sender.StandardWebhooks(standard)), true},
		"svix":              {sender.Must(sender.Svix(standard)), true},
		"gitlab":            {sender.Must(sender.GitLab(secret)), true},
		"hmac": {sender.Must(sender.HMAC(sender.HMACOptions{
			Secrets: []string{secret}, Header: "X-Signature", IDHeader: "X-Id", TimestampHeader: "X-Time", Signed: "{timestamp}{id}.{body}",
		})), true},
		"github": {sender.Must(sender.GitHub(secret)), false},
		"linear": {sender.Must(sender.Linear(secret)), false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var deliveries []string
			var refused error
			receiver := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				body, err := io.ReadAll(r.Body)
				if err != nil {
					t.Error(err)
				}
				got := &sender.Request{Method: r.Method, URL: r.URL, Header: r.Header, Body: body}
				refused = c.s.Verify(got, time.Now())
				deliveries = append(deliveries, c.s.DeliveryID(got))
				if r.URL.Path == "/" {
					http.Redirect(w, r, "/there", http.StatusTemporaryRedirect) // the body is sent again
				}
			}))
			defer receiver.Close()
			send := func(key string) error {
				t.Helper()
				req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, receiver.URL, io.NopCloser(strings.NewReader(`{"a":1}`)))
				if err != nil {
					t.Fatal(err)
				}
				if err := c.s.SignHTTP(req, key, time.Now()); err != nil {
					return err
				}
				res, err := http.DefaultClient.Do(req)
				if err != nil {
					t.Fatal(err)
				}
				_ = res.Body.Close()
				if refused != nil {
					t.Errorf("refused: %v", refused)
				}
				return nil
			}
			if !c.keyed {
				if err := send("run.1/notify #1"); err == nil || !strings.Contains(err.Error(), "leave the key empty") {
					t.Errorf("with a key: %v", err)
				}
				if err := send(""); err != nil || len(deliveries) != 2 {
					t.Errorf("without a key: %v, %d requests", err, len(deliveries))
				}
				return
			}
			for _, key := range []string{"run.1/notify #1", "run.1/notify #1", "run.1/notify #2"} {
				if err := send(key); err != nil {
					t.Fatal(err)
				}
			}
			first, another := deliveries[0], deliveries[4]
			for i, id := range deliveries {
				if want := map[bool]string{true: first, false: another}[i < 4]; id != want || id == "" {
					t.Errorf("the deliveries are %q", deliveries)
				}
			}
			if first == another || strings.Contains(first, "notify") {
				t.Errorf("the deliveries are %q", deliveries)
			}
		})
	}
}

// A request that can't be signed is not sent as another one would be.
func TestSignHTTPFails(t *testing.T) {
	t.Parallel()
	req := httptest.NewRequest(http.MethodPost, "https://example.com/", io.NopCloser(io.MultiReader(strings.NewReader("a"), brokenReader{})))
	if err := sender.Must(sender.GitHub("0123456789abcdef")).SignHTTP(req, "", time.Now()); err == nil || !strings.Contains(err.Error(), "the disk is gone") {
		t.Errorf("a body that can't be read: %v", err)
	}
	public := sender.Must(sender.StandardWebhooks("whpk_11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo="))
	if err := public.SignHTTP(httptest.NewRequest(http.MethodPost, "https://example.com/", nil), "k", time.Now()); err == nil || !strings.Contains(err.Error(), "can't sign") {
		t.Errorf("with a public key: %v", err)
	}
}

var errDisk = errors.New("the disk is gone")

type brokenReader struct{}

func (brokenReader) Read([]byte) (int, error) { return 0, errDisk }
