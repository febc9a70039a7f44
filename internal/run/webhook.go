package run

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
)

// WebhookPath is where webhooks are served, below the public URL.
const WebhookPath = "/.well-known/workflow/v1/webhook/"

// AnswerPath is where answer pages are served, below the public URL.
const AnswerPath = "/.well-known/workflow/v1/answer/"

// RedactPath cuts a path off where a token or a link begins: whoever reads a log could use it.
func RedactPath(path string) string {
	for _, secret := range []string{WebhookPath, AnswerPath} {
		if before, _, ok := strings.Cut(path, secret); ok {
			return before + secret + "***"
		}
	}
	return path
}

// Webhook says how a hook takes and answers requests: over HTTP, or those of a call. It is stored, as
// JSON, with the hook.
type Webhook struct {
	Call    bool      `json:"call,omitempty"`    // it takes those of a call, and no HTTP requests
	Methods []string  `json:"methods,omitempty"` // none: the default ones
	Manual  bool      `json:"manual,omitempty"`  // the run answers each request
	Static  *Response `json:"static,omitempty"`  // the response to all requests
	Verify  string    `json:"verify,omitempty"`  // name of the sender, who is verified
	From    bool      `json:"from,omitempty"`    // all else that the sender knows applies too
	Dedupe  string    `json:"dedupe,omitempty"`  // header whose value identifies a delivery
}

// IsCall reports whether a hook, of which this is the stored Webhook or nil, takes the requests of a
// call.
func IsCall(webhook []byte) bool {
	if !bytes.Contains(webhook, []byte(`"call"`)) {
		return false
	}
	var w Webhook
	return json.Unmarshal(webhook, &w) == nil && w.Call
}

// Response is what a webhook answers, or the run a call.
type Response struct {
	Status int                 `json:"status"`
	Header map[string][]string `json:"header,omitempty"`
	Body   []byte              `json:"body,omitempty"`
}

// NotByPayload is why a payload does not start a workflow that is started by requests.
func NotByPayload(workflow string) error {
	return fmt.Errorf("workflow %q is started by requests to a webhook, not by payloads", workflow)
}

// RespondConflict is the error of a response to a request that has one.
type RespondConflict struct{ Responder string }

func (e *RespondConflict) Error() string { return "answered already by " + e.Responder }
