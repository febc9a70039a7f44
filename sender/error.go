package sender

// An Error says why a request was refused. Its text has nothing in it that the
// sender chose and nothing that is secret, so it is safe to log. What to tell
// the sender is that the signature is bad, and no more.
type Error struct {
	Sender string // its name, such as "github"
	Reason Reason
	Field  string // what is at fault: a header in canonical form, or a part of body or URL
	Advice string // where to look, in the words of the sender's documentation; may be empty
}

// Error returns sender, field, reason and advice as one line.
func (e *Error) Error() string {
	text := "sender: " + e.Sender + ": " + e.Field + ": " + string(e.Reason)
	if e.Advice != "" {
		text += ": " + e.Advice
	}
	return text
}

// A Reason is a kind of refusal, to tell apart in code or to count in metrics.
type Reason string

// The reasons for which the senders of this package refuse a request.
const (
	Missing   Reason = "missing or empty"
	Repeated  Reason = "there more than once"
	Malformed Reason = "malformed"
	Stale     Reason = "the signed time is too old"
	Future    Reason = "the signed time is in the future" // or a clock is wrong
	Mismatch  Reason = "no signature matches"             // altered on the way, or signed with another secret
	Wrong     Reason = "wrong secret"                     // of a sender that does not sign
)
