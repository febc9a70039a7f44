package main

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tenter-dev/tenter/examples/internal/exampletest"
	"github.com/tenter-dev/tenter/sender"
)

func TestMain(m *testing.M) { exampletest.Main(m, main) }

func TestDeployGate(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	gh := newGitHub(t, filepath.Join(dir, "app.pem"))
	start := func() (p *exampletest.Process, url string) {
		p = exampletest.Start(t, dir, "-addr", "127.0.0.1:0", "-db", "gate.db", "-github", gh.URL, "-app", "12345", "-key", "app.pem")
		return p, p.WaitFor(`App is (\S+)\.\n`)[1]
	}
	p, url := start()
	link := func(p *exampletest.Process, repo string) string {
		return p.WaitFor(`May ` + regexp.QuoteMeta(repo) + ` be deployed to production\? (\S+)\n`)[1]
	}

	one := gh.event("acme/shop", 1)
	wantStatus(t, exampletest.Send(t, http.MethodPost, url, http.Header{"X-Github-Event": {"deployment_protection_rule"}}, one), http.StatusUnauthorized)
	wantStatus(t, deliver(t, url, "installation", `{"action":"created"}`), http.StatusNoContent)
	wantStatus(t, deliver(t, url, "deployment_protection_rule", `{"action":"other"}`), http.StatusNotFound)
	for range 3 {
		wantStatus(t, deliver(t, url, "deployment_protection_rule", one), http.StatusAccepted)
	}
	page := exampletest.Open(t, link(p, "acme/shop"))
	for _, want := range []string{"Deploy acme/shop to production?", "https://github.com/acme/shop/commit/ec26c3e", "octocat"} {
		if !strings.Contains(page.Body, want) {
			t.Errorf("%q is not in the page: %d %s", want, page.Status, page.Body)
		}
	}
	wantStatus(t, page.Press("Yes", "comment", "after the sale").Answer, http.StatusOK)
	got := <-gh.reviews
	want := reviewed{Path: "/repos/acme/shop/actions/runs/1/deployment_protection_rule", review: review{"production", "approved", "after the sale"}}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(reviewed{})); diff != "" {
		t.Errorf("review (-want +got):\n%s", diff)
	}
	if n := strings.Count(p.Output(), "acme/shop be deployed"); n != 1 {
		t.Errorf("it asks %d times:\n%s", n, p.Output())
	}

	// The next one is decided after a crash.
	wantStatus(t, deliver(t, url, "deployment_protection_rule", gh.event("acme/api", 2)), http.StatusAccepted)
	asked := link(p, "acme/api")
	p.Kill()
	_, url = start()
	_, path, _ := strings.Cut(asked, "/.well-known/")
	page = exampletest.Open(t, strings.TrimSuffix(url, "/github")+"/.well-known/"+path)
	wantStatus(t, page.Press("No").Answer, http.StatusOK)
	if got := <-gh.reviews; got.State != "rejected" || !strings.Contains(got.Path, "/acme/api/actions/runs/2/") {
		t.Errorf("the review is %+v", got)
	}
}

// deliver sends what GitHub would have signed.
func deliver(t *testing.T, url, event, body string) exampletest.Answer {
	t.Helper()
	r := &sender.Request{Method: http.MethodPost, Header: http.Header{"X-Github-Event": {event}}, Body: []byte(body)}
	if err := sender.Must(sender.GitHub("It's a Secret to Everybody")).Sign(r, time.Now()); err != nil {
		t.Fatal(err)
	}
	return exampletest.Send(t, http.MethodPost, url, r.Header, body)
}

func wantStatus(t *testing.T, a exampletest.Answer, want int) {
	t.Helper()
	if a.Status != want {
		t.Errorf("%d %s, want %d", a.Status, a.Body, want)
	}
}

// fakeGitHub is what the example knows of GitHub.
type fakeGitHub struct {
	*httptest.Server
	reviews chan reviewed
}

// reviewed is a review that has come.
type reviewed struct {
	Path string
	review
}

// newGitHub makes a GitHub that knows one App, and writes its private key to a file.
func newGitHub(t *testing.T, keyFile string) *fakeGitHub {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	block := &pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(key)}
	if err := os.WriteFile(keyFile, pem.EncodeToMemory(block), 0o600); err != nil {
		t.Fatal(err)
	}
	gh := &fakeGitHub{reviews: make(chan reviewed, 10)}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /app/installations/{id}/access_tokens", func(w http.ResponseWriter, r *http.Request) {
		if err := checkProof(r.Header.Get("Authorization"), &key.PublicKey, time.Now()); err != nil {
			http.Error(w, err.Error(), http.StatusUnauthorized)
			return
		}
		w.WriteHeader(http.StatusCreated)
		json.NewEncoder(w).Encode(map[string]string{"token": "ghs_of_" + r.PathValue("id")})
	})
	mux.HandleFunc("POST /repos/{owner}/{repo}/actions/runs/{run}/deployment_protection_rule", func(w http.ResponseWriter, r *http.Request) {
		got := reviewed{Path: r.URL.Path}
		switch err := json.NewDecoder(r.Body).Decode(&got.review); {
		case r.Header.Get("Authorization") != "Bearer ghs_of_77":
			w.WriteHeader(http.StatusUnauthorized)
		case err != nil || got.State != "approved" && got.State != "rejected":
			w.WriteHeader(http.StatusUnprocessableEntity)
		default:
			gh.reviews <- got
			w.WriteHeader(http.StatusNoContent)
		}
	})
	gh.Server = httptest.NewServer(mux)
	t.Cleanup(gh.Close)
	return gh
}

// checkProof checks a JSON Web Token as GitHub does.
func checkProof(authorization string, key *rsa.PublicKey, now time.Time) error {
	token, _ := strings.CutPrefix(authorization, "Bearer ")
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		return fmt.Errorf("%q is not a token", token)
	}
	sum := sha256.Sum256([]byte(parts[0] + "." + parts[1]))
	sig, err := base64.RawURLEncoding.DecodeString(parts[2])
	if err != nil {
		return err
	}
	if err := rsa.VerifyPKCS1v15(key, crypto.SHA256, sum[:], sig); err != nil {
		return err
	}
	data, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		return err
	}
	var claims struct {
		Issuer  string `json:"iss"`
		Issued  int64  `json:"iat"`
		Expires int64  `json:"exp"`
	}
	if err := json.Unmarshal(data, &claims); err != nil {
		return err
	}
	if claims.Issuer != "12345" || claims.Issued > now.Unix() || claims.Expires < now.Unix() || claims.Expires > now.Add(10*time.Minute).Unix() {
		return fmt.Errorf("the claims are %s", data)
	}
	return nil
}

// event is the body of deployment_protection_rule, cut down.
func (gh *fakeGitHub) event(repo string, run int) string {
	return fmt.Sprintf(`{"action":"requested","environment":"production","event":"push",
"deployment_callback_url":"%[1]s/repos/%[2]s/actions/runs/%[3]d/deployment_protection_rule",
"deployment":{"id":87972450%[3]d,"ref":"main","sha":"ec26c3e57ca3a959ca5aad62de7213c562f8c821","creator":{"login":"octocat"}},
"pull_requests":[],"repository":{"full_name":"%[2]s"},"installation":{"id":77},"sender":{"login":"octocat"}}`, gh.URL, repo, run)
}
