package main

import (
	"bytes"
	"context"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/tenter-dev/tenter/workflow"
)

// review is the answer to a deployment protection rule.
type review struct {
	Environment string `json:"environment_name"`
	State       string `json:"state"` // approved or rejected
	Comment     string `json:"comment"`
}

// github is a client of GitHub's API, for a GitHub App.
type github struct {
	api     string // URL
	app     string // ID of the App
	keyFile string // its private key, as GitHub makes it
}

// review answers the rule. The token of an installation lasts an hour, and a run waits for weeks:
// so it is fetched here.
func (g *github) review(ctx context.Context, e Event, r review) error {
	if !strings.HasPrefix(e.CallbackURL, g.api+"/") {
		return workflow.Fatal(fmt.Errorf("the callback URL %q is not of %s", e.CallbackURL, g.api))
	}
	proof, err := g.proof(time.Now())
	if err != nil {
		return err
	}
	var installation struct {
		Token string `json:"token"`
	}
	tokens := fmt.Sprintf("%s/app/installations/%d/access_tokens", g.api, e.Installation.ID)
	if err := g.post(ctx, tokens, proof, nil, http.StatusCreated, &installation); err != nil {
		return err
	}
	return g.post(ctx, e.CallbackURL, installation.Token, r, http.StatusNoContent, nil)
}

func (g *github) post(ctx context.Context, url, token string, in any, want int, out any) error {
	body, err := json.Marshal(in)
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Authorization", "Bearer "+token)
	req.Header.Set("Accept", "application/vnd.github+json")
	req.Header.Set("X-GitHub-Api-Version", "2022-11-28")
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if res.StatusCode != want {
		return fmt.Errorf("%s: %s", url, res.Status)
	}
	if out == nil {
		return nil
	}
	return json.NewDecoder(res.Body).Decode(out)
}

// proof is the JSON Web Token by which the App says who it is.
func (g *github) proof(now time.Time) (string, error) {
	key, err := g.key()
	if err != nil {
		return "", err
	}
	claims, err := json.Marshal(map[string]any{
		"iss": g.app, "iat": now.Add(-time.Minute).Unix(), "exp": now.Add(9 * time.Minute).Unix(),
	})
	if err != nil {
		return "", err
	}
	signed := base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"RS256","typ":"JWT"}`)) + "." + base64.RawURLEncoding.EncodeToString(claims)
	sum := sha256.Sum256([]byte(signed))
	sig, err := rsa.SignPKCS1v15(rand.Reader, key, crypto.SHA256, sum[:])
	return signed + "." + base64.RawURLEncoding.EncodeToString(sig), err
}

func (g *github) key() (*rsa.PrivateKey, error) {
	data, err := os.ReadFile(g.keyFile)
	if err != nil {
		return nil, err
	}
	block, _ := pem.Decode(data)
	if block == nil {
		return nil, errors.New(g.keyFile + " is not a PEM file")
	}
	return x509.ParsePKCS1PrivateKey(block.Bytes)
}
