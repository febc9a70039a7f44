package signature

// An Error says why a request was refused. Its text has nothing in it that the
// sender chose and nothing that is secret, so it is safe to log. What to tell
// the sender is that the signature is bad, and no more.
type Error struct {
	Scheme string // "standard-webhooks", "github", "stripe" or "slack"
	Reason Reason
	Header string // the header at fault, in canonical form
}

// Error returns the scheme, the header and the reason as one line.
func (e *Error) Error() string {
	return "signature: " + e.Scheme + ": " + e.Header + ": " + string(e.Reason)
}

// A Reason is a kind of refusal, to tell apart in code or to count in metrics.
type Reason string

// The reasons for which the verifiers of this package refuse a request.
const (
	Missing   Reason = "header is missing or empty"
	Repeated  Reason = "header appears more than once"
	Malformed Reason = "header is malformed"
	Stale     Reason = "timestamp is too old"
	Future    Reason = "timestamp is in the future" // or a clock is wrong
	Mismatch  Reason = "no signature matches"       // altered on the way, or signed with another secret
)
