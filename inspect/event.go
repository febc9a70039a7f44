package inspect

import (
	"encoding/json"
	"net/http"
	"time"

	"github.com/tenter-dev/tenter/workflow"
)

// Event is an entry of a journal: something that happened to the run, and what its
// code asked for in answer.
type Event struct {
	Position int64     `json:"position"` // from 1
	At       time.Time `json:"at"`
	Kind     EventKind `json:"kind"`
	Ref      string    `json:"ref,omitempty"` // what it is about: a step such as "charge#1", the ID of a hook, the number of a timer

	// Data is what it brought, as JSON: an input, a payload, a result, an error in
	// recorded form.
	Data json.RawMessage `json:"data,omitempty"`
	// Request is there instead of Data if it brought an HTTP request.
	Request *Request `json:"request,omitempty"`

	Asked []string `json:"asked,omitempty"` // such as "step charge#1", in order

	// By is who started the run, sent the payload, or gave the order; nobody if that is not known,
	// and for what the run did by itself.
	By workflow.Actor `json:"by,omitzero"`
}

// Request is a request that a webhook or a call has taken, as it may be shown: the values
// of sensitive headers are masked, and a long body is cut. That of a call has the method CALL, its
// input as the body, and no headers.
type Request struct {
	ID         string      `json:"id"`
	Method     string      `json:"method"`
	URL        string      `json:"url"`
	Host       string      `json:"host,omitempty"`
	Header     http.Header `json:"header,omitempty"`
	RemoteAddr string      `json:"remote_addr,omitempty"`
	ReceivedAt time.Time   `json:"received_at"`
	Body       []byte      `json:"body,omitempty"`     // base64 in JSON; at most [MaxBody] of it
	BodySize   int         `json:"body_size"`          // in bytes, of all of it
	Response   *Response   `json:"response,omitempty"` // what the run answered, if it has and the answer is still kept
}

// MaxMailbox is how many messages of a mailbox are shown.
const MaxMailbox = 1000

// MaxBody is how much of the body of a request is shown, in bytes.
const MaxBody = 64 << 10

// Response is how a run has answered a request: that of a call with the status 200 and what it returned,
// or with 422 and an error in recorded form.
type Response struct {
	Status   int         `json:"status"`
	Header   http.Header `json:"header,omitempty"`
	Body     []byte      `json:"body,omitempty"` // base64 in JSON; at most [MaxBody] of it
	BodySize int         `json:"body_size"`      // in bytes, of all of it
	At       time.Time   `json:"at"`
}

// Message is an entry of a mailbox.
type Message struct {
	At      time.Time       `json:"at"` // when it was accepted
	Kind    EventKind       `json:"kind"`
	Ref     string          `json:"ref,omitempty"` // of a payload: the ID of the hook
	Data    json.RawMessage `json:"data,omitempty"`
	Request *Request        `json:"request,omitempty"` // instead of Data, as in [Event]
	// Deferred: a payload that waits until the code of the run asks for it.
	Deferred bool           `json:"deferred,omitempty"`
	By       workflow.Actor `json:"by,omitzero"` // who sent it
}

// Attempt is one attempt of a step.
type Attempt struct {
	Step   string `json:"step,omitempty"` // such as "charge#1"; empty in an [Item], which has the name
	Number int    `json:"number"`         // from 1; a retry of the run starts over
	// Begin is when the attempt began if it executes or was in quarantine, else when it
	// was due, which is the same unless the workers were busy or down.
	Begin  time.Time `json:"begin"`
	End    time.Time `json:"end,omitzero"`     // zero while it executes
	Error  string    `json:"error,omitempty"`  // why it failed
	Worker string    `json:"worker,omitempty"` // while it executes
}
