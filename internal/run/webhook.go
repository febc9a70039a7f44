package run

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"
)

// WebhookPath is where webhooks are served, below the public URL.
const WebhookPath = "/.well-known/workflow/v1/webhook/"

// RedactPath cuts a path off where a token begins: whoever reads a log could use it.
func RedactPath(path string) string {
	if before, _, ok := strings.Cut(path, WebhookPath); ok {
		return before + WebhookPath + "***"
	}
	return path
}

// Webhook says how a hook takes and answers HTTP requests. It is stored, as JSON,
// with the hook.
type Webhook struct {
	Methods []string `json:"methods,omitempty"` // none: the default ones
	Manual  bool     `json:"manual,omitempty"`  // the run answers each request
	Static  *Answer  `json:"static,omitempty"`  // the answer to all requests
	Verify  string   `json:"verify,omitempty"`  // name of the verifier
	Dedupe  string   `json:"dedupe,omitempty"`  // header whose value identifies a delivery
}

// Answer is an HTTP response.
type Answer struct {
	Status int                 `json:"status"`
	Header map[string][]string `json:"header,omitempty"`
	Body   []byte              `json:"body,omitempty"`
}

// Request is what is stored of an HTTP request besides its body.
type Request struct {
	ID         string              `json:"id"`
	RunID      string              `json:"run_id"`
	Method     string              `json:"method"`
	URL        string              `json:"url"`
	Host       string              `json:"host,omitempty"`
	Header     map[string][]string `json:"header,omitempty"`
	RemoteAddr string              `json:"remote_addr,omitempty"`
	ReceivedAt time.Time           `json:"received_at"`
}

// EncodeRequest makes the payload of a webhook: a line of JSON, then the body as it
// came. So that the body stays bytes, and a person can read it.
func EncodeRequest(r Request, body []byte) ([]byte, error) {
	head, err := json.Marshal(r)
	if err != nil {
		return nil, fmt.Errorf("encode request: %w", err)
	}
	return append(append(head, '\n'), body...), nil
}

// DecodeRequest is the inverse of EncodeRequest.
func DecodeRequest(data []byte) (r Request, body []byte, err error) {
	head, body, ok := bytes.Cut(data, []byte("\n"))
	if !ok {
		return r, nil, errors.New("decode request: it was not sent as an HTTP request")
	}
	if err := json.Unmarshal(head, &r); err != nil {
		return r, nil, fmt.Errorf("decode request: %w", err)
	}
	return r, body, nil
}

// RespondConflict is the error of an answer to a request that has one.
type RespondConflict struct{ Responder string }

func (e *RespondConflict) Error() string { return "answered already by " + e.Responder }
