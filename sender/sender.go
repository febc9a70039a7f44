package sender

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"time"
)

// DefaultTolerance is how far a signed time may be from now, unless the sender's
// documentation says something else.
const DefaultTolerance = 5 * time.Minute

// A Request is what a sender is asked about. Only [Sender.Sign] changes it.
type Request struct {
	Method string
	URL    *url.URL    // as the sender called it, with scheme and host; see [Twilio]
	Header http.Header // with canonical keys, as net/http makes them
	Body   []byte      // the exact bytes received
}

// A Response is what a sender wants to be answered.
type Response struct {
	Status int
	Header http.Header
	Body   []byte
}

// A Sender is a system that sends webhooks: how its requests are signed, how it checks that a URL
// is yours, what identifies a delivery, and how long it waits. The functions of this package make
// one; the zero value is of no use. A Sender does not change, and is safe for concurrent use.
type Sender struct {
	name          string
	sensitive     []string
	tolerance     time.Duration // 0: the sender signs no time
	verify        func(r *Request, now time.Time, tolerance time.Duration) error
	sign          func(r *Request, now time.Time) error // nil: it can't
	handshake     *handshake
	deliveryID    func(*Request) string
	idHeader      string // has the delivery ID; empty: no header has it
	respondWithin time.Duration
	accepted      *Response
}

// Name returns the name of the sender, as errors have it: "github", or what it was given.
func (s *Sender) Name() string { return s.name }

// Verify returns nil if the request comes from the sender: it was signed with one of the secrets
// or has one of them, and at a time within the tolerance of now if the sender signs a time.
// Otherwise it returns an [*Error], or what the function given to [New] returned.
func (s *Sender) Verify(r *Request, now time.Time) error {
	return s.verify(r, now, s.tolerance)
}

// Sign makes the request one that [Sender.Verify] lets through at the time now, for tests; for
// webhooks that a program sends to others, see [Sender.SignHTTP]. It sets
// the headers that the sender would set, with the first secret, and a delivery ID of its own if the
// request has none where the sender has one in a header. A sender that signs more than headers has
// more changed: Linear's time and Microsoft Graph's clientState in the body, and, where the body is not
// a form, its digest for Twilio in the query of the URL.
//
// It fails if only the sender itself can sign, as with Discord, whose public key is all there is here,
// and for senders that [New] has made.
func (s *Sender) Sign(r *Request, now time.Time) error {
	if s.sign == nil {
		return cantSign(s.name, "it is made of functions that only verify")
	}
	if r.Header == nil {
		r.Header = http.Header{}
	}
	return s.sign(r, now)
}

func cantSign(name, why string) error { return fmt.Errorf("sender: %s: can't sign: %s", name, why) }

// SensitiveHeaders returns the names of the headers that carry a signature or a secret and have
// no business in logs and listings, in canonical form.
func (s *Sender) SensitiveHeaders() []string { return slices.Clone(s.sensitive) }

// MayHandshake reports whether the request may be one for [Sender.Handshake]. It looks at
// method, URL and headers alone, so that the body need not be read.
func (s *Sender) MayHandshake(r *Request) bool {
	return s.handshake != nil && s.handshake.may(r)
}

// Handshake returns the answer to a request by which the sender checks that a URL is ready for
// it: when the URL is entered, and with some senders again and again. It returns nil and no error
// if the request is something else. It returns an error if the request claims to be one, and does
// not come from the sender: the answer is 401 then, which is what Discord wants to see when it
// sends a bad signature on purpose.
//
// A handshake belongs to no run, and can come before there is one and after it has ended: answer
// it before anything is looked up.
func (s *Sender) Handshake(r *Request, now time.Time) (*Response, error) {
	if !s.MayHandshake(r) {
		return nil, nil //nolint:nilnil // documented: it is not a handshake
	}
	return s.handshake.answer(s, r, now)
}

// DeliveryID returns what identifies a delivery, so that its repeats can be dropped; empty if
// nothing does. It is taken from what is signed, so that a recorded request can't be sent again
// as another one; believe it only of requests that [Sender.Verify] has let through. Each constructor
// says what it is.
func (s *Sender) DeliveryID(r *Request) string {
	if s.deliveryID == nil {
		return ""
	}
	return s.deliveryID(r)
}

// RespondWithin returns how long the sender may be kept waiting for a response, with some time
// left for the way; 0 if the sender sets no limit that we know.
func (s *Sender) RespondWithin() time.Duration { return s.respondWithin }

// Accepted returns the response that says to the sender that its request was accepted and that no
// answer is ready yet; nil if 202 without a body does.
func (s *Sender) Accepted() *Response {
	if s.accepted == nil {
		return nil
	}
	return &Response{Status: s.accepted.Status, Header: s.accepted.Header.Clone(), Body: slices.Clone(s.accepted.Body)}
}

// WithTolerance returns a copy of the sender that lets the signed time differ from now by d,
// before or after. There is no way to ignore the time; WithTolerance panics if d is not
// positive, or if the sender signs no time.
func (s *Sender) WithTolerance(d time.Duration) *Sender {
	if d <= 0 {
		panic("sender: tolerance is not positive")
	}
	if s.tolerance == 0 {
		panic("sender: " + s.name + " signs no time")
	}
	c := *s
	c.tolerance = d
	return &c
}

// DedupeBy returns a copy of the sender whose [Sender.DeliveryID] is id. It returns what is the
// same for all repeats of a delivery and for nothing else; empty means that the request repeats
// nothing. Take it from what is signed, as [BodyDigest] does: a header that is not can be changed by
// whoever has recorded a request. It is called for requests that were verified, and for refused ones
// that are kept (engine.Options.KeepRefused), in case somebody vouches for them later: so it takes
// whatever strangers send. DedupeBy panics if id is nil.
func (s *Sender) DedupeBy(id func(*Request) string) *Sender {
	if id == nil {
		panic("sender: DedupeBy of nil")
	}
	c := *s
	c.deliveryID = id
	return &c
}

// Options describe a sender that this package does not know, for [New].
type Options struct {
	// Name is the name of the sender. It is required.
	Name string

	// Verify returns nil if the request is genuine; any error refuses it, and its text should be
	// safe to log. It compares with [crypto/hmac.Equal] or the like, never with ==. It is
	// required.
	Verify func(r *Request, now time.Time) error

	// SensitiveHeaders are those that carry a signature, password or token. The default is none.
	SensitiveHeaders []string

	// Handshake answers the sender's check of the URL, as [Sender.Handshake] does. It is asked
	// about every request, and reads whole bodies to do so. The default is none.
	Handshake func(r *Request, now time.Time) (*Response, error)

	// DeliveryID identifies a delivery, see [Sender.DedupeBy]. The default is none.
	DeliveryID func(r *Request) string

	// RespondWithin is how long the sender may be kept waiting for a response. The default is to set
	// no limit.
	RespondWithin time.Duration

	// Accepted is what says that a request was accepted. The default is 202 without a body.
	Accepted *Response
}

// New makes a sender that this package does not know. If it signs with an HMAC, see [HMAC].
func New(o Options) (*Sender, error) {
	switch {
	case o.Name == "":
		return nil, fmt.Errorf("sender: Options.Name is empty")
	case o.Verify == nil:
		return nil, fmt.Errorf("sender: %s: Options.Verify is nil", o.Name)
	case o.RespondWithin < 0:
		return nil, fmt.Errorf("sender: %s: negative Options.RespondWithin: %v", o.Name, o.RespondWithin)
	}
	s := &Sender{
		name:          o.Name,
		verify:        func(r *Request, now time.Time, _ time.Duration) error { return o.Verify(r, now) },
		deliveryID:    o.DeliveryID,
		respondWithin: o.RespondWithin,
	}
	for _, name := range o.SensitiveHeaders {
		s.sensitive = append(s.sensitive, http.CanonicalHeaderKey(name))
	}
	if o.Handshake != nil {
		s.handshake = &handshake{
			may:    func(*Request) bool { return true },
			answer: func(_ *Sender, r *Request, now time.Time) (*Response, error) { return o.Handshake(r, now) },
		}
	}
	if a := o.Accepted; a != nil {
		s.accepted = &Response{Status: a.Status, Header: a.Header.Clone(), Body: slices.Clone(a.Body)}
	}
	return s, nil
}

// Must returns the sender, and panics if there is an error instead. It is for programs that
// can't start without their secrets:
//
//	sender.Must(sender.GitHub(os.Getenv("GITHUB_WEBHOOK_SECRET")))
func Must(s *Sender, err error) *Sender {
	if err != nil {
		panic(err)
	}
	return s
}
