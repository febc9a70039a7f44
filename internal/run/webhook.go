package run

import "strings"

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
	Methods []string  `json:"methods,omitempty"` // none: the default ones
	Manual  bool      `json:"manual,omitempty"`  // the run answers each request
	Static  *Response `json:"static,omitempty"`  // the response to all requests
	Verify  string    `json:"verify,omitempty"`  // name of the verifier
	Dedupe  string    `json:"dedupe,omitempty"`  // header whose value identifies a delivery
}

// Response is what a webhook answers.
type Response struct {
	Status int                 `json:"status"`
	Header map[string][]string `json:"header,omitempty"`
	Body   []byte              `json:"body,omitempty"`
}

// RespondConflict is the error of a response to a request that has one.
type RespondConflict struct{ Responder string }

func (e *RespondConflict) Error() string { return "answered already by " + e.Responder }
