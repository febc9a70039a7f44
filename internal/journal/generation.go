package journal

import (
	"encoding/json"
	"strconv"
	"strings"
	"time"
)

// DefaultRestartAfter is how many events a generation has when it is time for a restart, unless its
// Started event says otherwise. It stays: a replay has to come to the same.
const DefaultRestartAfter = 10_000

// RestartAfterBytes is how many bytes of data a generation has when it is time for a restart.
const RestartAfterBytes = 16 << 20

// Start is what the reference of a Started event says about the generation that begins with it.
type Start struct {
	Generation   int
	RestartAfter int  // in events
	Took         bool // an earlier generation has taken a payload
}

// String is empty for a run that begins with defaults.
func (s Start) String() string {
	var words []string
	if s.Generation > 0 {
		words = append(words, "generation "+strconv.Itoa(s.Generation))
	}
	if s.RestartAfter != DefaultRestartAfter && s.RestartAfter != 0 {
		words = append(words, "restart-after "+strconv.Itoa(s.RestartAfter))
	}
	if s.Took {
		words = append(words, "took payloads")
	}
	return strings.Join(words, ", ")
}

// ParseStart is the inverse of String. What it does not know it passes over.
func ParseStart(ref string) Start {
	s := Start{RestartAfter: DefaultRestartAfter}
	for part := range strings.SplitSeq(ref, ", ") {
		word, value, _ := strings.Cut(part, " ")
		n, err := strconv.Atoi(value)
		switch {
		case word == "generation" && err == nil:
			s.Generation = n
		case word == "restart-after" && err == nil:
			s.RestartAfter = n
		case word == "took":
			s.Took = true
		}
	}
	return s
}

// Restarted is the data of the event that ends a generation.
type Restarted struct {
	Version int `json:"version"` // of the workflow that executed the generation
}

// Encode is the form in the journal.
func (r Restarted) Encode() []byte {
	data, _ := json.Marshal(r) // a number never fails
	return data
}

// DecodeRestarted is the inverse of Encode.
func DecodeRestarted(data []byte) (r Restarted) {
	_ = json.Unmarshal(data, &r)
	return r
}

// HookForm is what a hook that a run carries from one generation to the next has in common with
// the one that takes it over.
type HookForm struct {
	Type    string `json:"type,omitempty"`
	Webhook bool   `json:"webhook,omitempty"`
	Call    bool   `json:"call,omitempty"`
	Verify  string `json:"verify,omitempty"`  // the sender of a webhook
	Subject string `json:"subject,omitempty"` // that it listens to, of the topic Type
}

func (f HookForm) String() string {
	what := "a hook"
	switch {
	case f.Call:
		return "a call " + strconv.Quote(f.Type)
	case f.Webhook:
		what = "a webhook"
	}
	if f.Type != "" {
		what += " of type " + strconv.Quote(f.Type)
	}
	if f.Verify != "" {
		what += " from sender " + strconv.Quote(f.Verify)
	}
	if f.Subject != "" {
		what += " that listens to " + strconv.Quote(f.Subject)
	}
	return what
}

// Encode makes the data of an event that says which form a carried hook has.
func (f HookForm) Encode() []byte {
	data, _ := json.Marshal(f) // strings never fail
	return data
}

// DecodeHookForm is the inverse of Encode.
func DecodeHookForm(data []byte) (f HookForm) {
	_ = json.Unmarshal(data, &f)
	return f
}

// Claimed is the data of an event that says which hook has got a token.
type Claimed struct {
	ID        string    `json:"id"`
	CreatedAt time.Time `json:"created_at"` // of a hook that was carried; zero: the hook is new
}

// Encode is the form in the journal: that of an ID, for a hook that was not carried.
func (c Claimed) Encode() []byte {
	if c.CreatedAt.IsZero() {
		return EncodeID(c.ID)
	}
	data, _ := json.Marshal(c) // strings and a time that stores keep never fail
	return data
}

// DecodeClaimed is the inverse of Encode.
func DecodeClaimed(data []byte) Claimed {
	var c Claimed
	if err := json.Unmarshal(data, &c); err != nil || c.ID == "" {
		return Claimed{ID: DecodeID(data)}
	}
	return c
}
