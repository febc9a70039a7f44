package engine

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/tenter-dev/tenter/internal/run"
	"github.com/tenter-dev/tenter/sender"
	"github.com/tenter-dev/tenter/workflow"
)

// verdict is what a sender says of a request.
type verdict struct {
	err       error // it refuses the request
	answer    *workflow.Response
	sensitive []string
	delivery  string
}

// arrival says how a request has come in.
type arrival struct {
	at         time.Time // when it was received: senders judge by this time
	unverified bool      // somebody has vouched for it: no sender is asked whether it is genuine
	sensitive  []string  // headers that are to be masked, whatever senders say
}

// examine asks a sender about a request; all says that more is wanted than to verify it. If the
// sender panics, it is unknown whether the request is genuine.
func examine(s *sender.Sender, r *sender.Request, a arrival, all bool) (said verdict, err error) {
	defer run.Recovered(&err)
	if all && !a.unverified {
		resp, refused := s.Handshake(r, a.at)
		if refused != nil {
			return verdict{err: notVerified(refused)}, nil
		}
		if resp != nil {
			return verdict{answer: senderResponse(resp)}, nil
		}
	}
	if !a.unverified {
		if refused := s.Verify(r, a.at); refused != nil {
			return verdict{err: notVerified(refused)}, nil
		}
	}
	said.sensitive = s.SensitiveHeaders()
	if all {
		said.delivery = s.DeliveryID(r)
	}
	return said, nil
}

// refusedRequest is ErrNotVerified, and why.
type refusedRequest struct{ err error }

func notVerified(err error) error { return &refusedRequest{run.Sound(err)} }

func (e *refusedRequest) Error() string   { return ErrNotVerified.Error() + ": " + e.err.Error() }
func (e *refusedRequest) Unwrap() []error { return []error{ErrNotVerified, e.err} }

// RefusalReason is the reason for the metrics, one of few.
func (e *refusedRequest) RefusalReason() string {
	known, ok := errors.AsType[*sender.Error](e.err)
	if !ok {
		return "other" // a function of the app's own says what it likes
	}
	switch known.Reason {
	case sender.Missing:
		return "missing"
	case sender.Repeated:
		return "repeated"
	case sender.Malformed:
		return "malformed"
	case sender.Stale:
		return "stale"
	case sender.Future:
		return "future"
	case sender.Mismatch:
		return "mismatch"
	case sender.Wrong:
		return "wrong"
	}
	return "other"
}

// senderRequest is a request as its sender sees it: the URL is Options.PublicURL, then path and
// query as they came. The host plays no part in it: callers can choose it.
func (e *Engine) senderRequest(r *workflow.Request) *sender.Request {
	return &sender.Request{Method: r.Method, URL: publicRequestURL(e.env.PublicURL, r.URL), Header: r.Header, Body: r.Body}
}

// publicRequestURL is where a request was sent to. A proxy may have cut off the path of the public
// URL.
func publicRequestURL(public string, u *url.URL) *url.URL {
	if u == nil {
		u = &url.URL{}
	}
	base, err := url.Parse(public)
	if err != nil || public == "" {
		return &url.URL{Path: u.Path, RawPath: u.RawPath, RawQuery: u.RawQuery, ForceQuery: u.ForceQuery}
	}
	full := &url.URL{
		Scheme: base.Scheme, User: base.User, Host: base.Host,
		Path: u.Path, RawPath: u.EscapedPath(), RawQuery: u.RawQuery, ForceQuery: u.ForceQuery,
	}
	if !strings.HasPrefix(u.EscapedPath()+"/", base.EscapedPath()+"/") {
		full.Path, full.RawPath = base.Path+full.Path, base.EscapedPath()+full.RawPath
	}
	return full
}

func senderResponse(r *sender.Response) *workflow.Response {
	return &workflow.Response{Status: r.Status, Header: r.Header, Body: r.Body}
}

// MayHandshake reports whether [Engine.Handshake] has to be asked about a request. It looks at
// method, URL and headers alone, so that the body need not be read.
func (e *Engine) MayHandshake(r *workflow.Request) bool {
	if len(e.opts.Senders) == 0 {
		return false
	}
	asked := e.senderRequest(r)
	for _, s := range e.opts.Senders {
		if s.MayHandshake(asked) {
			return true
		}
	}
	return false
}

// Handshake answers a request by which one of Options.Senders checks that a URL is ready for it;
// see [sender.Sender.Handshake]. It looks nothing up, so that the answer does not tell whether there
// is a webhook; servers ask it first. It returns nil and no error if the request is something
// else, and [ErrNotVerified] if it claims to be a handshake and is none.
func (e *Engine) Handshake(ctx context.Context, r *workflow.Request) (*workflow.Response, error) {
	if err := e.usable(ctx); err != nil {
		return nil, fmt.Errorf("handshake: %w", err)
	}
	asked, now := e.senderRequest(r), e.store.Now()
	var refused error
	for _, name := range slices.Sorted(maps.Keys(e.opts.Senders)) {
		resp, err := shake(e.opts.Senders[name], asked, now)
		switch {
		case resp != nil && err == nil:
			return senderResponse(resp), nil
		case errors.Is(err, ErrNotVerified):
			refused = err // by this one; another one may know it
		case err != nil:
			return nil, fmt.Errorf("sender %q: %w", name, err)
		}
	}
	if refused != nil {
		e.tel.Sent(ctx, "", false, refused)
	}
	return nil, refused
}

// shake asks one sender for the answer to a handshake.
func shake(s *sender.Sender, r *sender.Request, now time.Time) (resp *sender.Response, err error) {
	defer run.Recovered(&err)
	resp, refused := s.Handshake(r, now)
	if refused != nil {
		return nil, notVerified(refused)
	}
	return resp, nil
}
