package signature

import "time"

// DefaultTolerance is how far a signed time may be from now.
const DefaultTolerance = 5 * time.Minute

// Timed is a verifier whose scheme signs the time of sending, so that a
// recorded request is soon worth nothing. [StandardWebhooks], [Stripe] and
// [Slack] make one; the zero value is of no use.
type Timed struct {
	scheme
	tolerance time.Duration
}

func newTimed(s scheme) *Timed { return &Timed{scheme: s, tolerance: DefaultTolerance} }

// WithTolerance returns a copy of the verifier that lets the signed time differ
// from now by d, before or after. There is no way to ignore the time; WithTolerance
// panics if d is not positive.
func (v *Timed) WithTolerance(d time.Duration) *Timed {
	if d <= 0 {
		panic("signature: tolerance is not positive")
	}
	c := *v
	c.tolerance = d
	return &c
}

// Verify returns nil if the request was signed with one of the secrets, at a
// time within the tolerance of now. Otherwise it returns an [*Error].
func (v *Timed) Verify(r Request, now time.Time) error {
	c, err := v.claim(r.Header)
	if err != nil {
		return err
	}
	// The time is believed only once the signature is proved, but a stale request
	// is not worth the hashing.
	switch age := now.Sub(c.time); {
	case age > v.tolerance:
		return v.refuse(c.timeHeader, Stale)
	case age < -v.tolerance:
		return v.refuse(c.timeHeader, Future)
	}
	return v.prove(c, r.Body)
}
