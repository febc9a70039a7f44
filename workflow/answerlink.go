package workflow

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"time"

	"github.com/tenter-dev/tenter/internal/run"
)

// Link leads one person to the answer page of a hook. Whoever opens its URL sees a page with what the
// hook has to decide, and a form made from its type; what is sent there is the payload of the hook.
// There is nothing else that a link gives access to.
type Link struct {
	open run.OpenLink
}

// LinkOption is an option of [AnswerLink].
type LinkOption interface {
	applyLink(*run.Link) error
}

type linkOption func(*run.Link) error

func (o linkOption) applyLink(l *run.Link) error { return o(l) }

const (
	// MaxLinkAge is how long a link can be good for: then its key can be taken out of service. For a
	// longer wait, make a new link from time to time.
	MaxLinkAge = 90 * 24 * time.Hour
	// DefaultLinkAge is how long a link is good for without [ExpiresIn].
	DefaultLinkAge = 7 * 24 * time.Hour
)

// Addressee says whom a link is for, such as an address, in at most 256 bytes; it is needed. It is
// not in the URL. An addressee has one answer to a hook in each generation of the run: all links of one
// to the same hook share it.
//
// The record of an answer says that it came by the link issued to the addressee. The person who has
// clicked is known only if the server asks, see server.AnswerOptions: without that, whoever has the
// URL, by a forwarded mail say, can answer.
func Addressee(who string) LinkOption {
	return linkOption(func(l *run.Link) error {
		l.Addressee = who
		if bad := run.BadName(who, run.MaxActorName); bad != "" {
			return fmt.Errorf("addressee %q: %w: %s", run.CutTo(who, run.MaxActorName), ErrInvalidName, bad)
		}
		return nil
	})
}

// ExpiresIn says how long a link is good for, from [Now] on: up to [MaxLinkAge]. The default is
// [DefaultLinkAge].
func ExpiresIn(d time.Duration) LinkOption {
	return linkOption(func(l *run.Link) error {
		if d <= 0 || d > MaxLinkAge {
			return fmt.Errorf("expires in %v: it has to be more than 0, and at most %v", d, MaxLinkAge)
		}
		l.ExpiresIn = d
		return nil
	})
}

// Once lets the hook take one answer by links: whoever comes first. Others see that it was decided.
// It says nothing of payloads that come in another way, such as by [Resume].
func Once() LinkOption {
	return linkOption(func(l *run.Link) error {
		l.Once = true
		return nil
	})
}

// Choices are the values that the addressee may choose, of the first boolean or enumeration of the
// payload; the default is all that it has. Two addressees may have different ones.
func Choices[T any](values ...T) LinkOption {
	return linkOption(func(l *run.Link) (err error) {
		l.Page.Choices, err = encodeAll(values)
		return err
	})
}

// CommentWith says that a member of the payload, which is a text, must not be empty if one of these
// values is chosen, such as false: a reason for a rejection.
func CommentWith[T any](member string, values ...T) LinkOption {
	return linkOption(func(l *run.Link) (err error) {
		l.Page.Comment = member
		l.Page.CommentWith, err = encodeAll(values)
		return err
	})
}

func encodeAll[T any](values []T) (all []json.RawMessage, err error) {
	for _, v := range values {
		data, err := encode(v)
		if err != nil {
			return nil, fmt.Errorf("encode choice: %w", err)
		}
		all = append(all, data)
	}
	return all, nil
}

// PageTitle is the title of the answer page, in plain text. The default is the title of the hook's
// type, or its name.
func PageTitle(title string) LinkOption {
	return linkOption(func(l *run.Link) error {
		l.Page.Title = title
		return nil
	})
}

// PageText is what the answer page says below its title, in plain text: an empty line begins a
// paragraph.
func PageText(text string) LinkOption {
	return linkOption(func(l *run.Link) error {
		l.Page.Text = text
		return nil
	})
}

// AnswerLink makes a link to the answer page of a hook. It is registered before the run waits or does
// anything visible outside, and costs nothing by itself.
//
//	hook, err := Approvals.New(ctx, workflow.Metadata(order))
//	...
//	link, err := workflow.AnswerLink(ctx, hook, workflow.Addressee("ada@example.com"), workflow.ExpiresIn(72*time.Hour))
//	...
//	err = workflow.Do(ctx, "mail", func(ctx context.Context) error {
//		return mail(ctx, "ada@example.com", link.URL())
//	})
//	...
//	decision, err := hook.Wait(ctx)
//
// The hook has to be one of a [HookType], which the engine has in Options.Hooks: the page is made from
// it. An engine without Options.AnswerKeys or PublicURL, or without the type, blocks the run until it
// gets them. package server serves the pages.
//
// A link goes with its hook: when that is closed nobody can answer any more, and when the run
// restarts, the link leads to the hook of the next generation that has the token, if its type has the
// same form. Errors: ctx.Err(), [ErrHookClosed], and those of options.
func AnswerLink[T any](ctx Context, hook *Hook[T], opts ...LinkOption) (*Link, error) {
	spec := run.Link{ExpiresIn: DefaultLinkAge}
	if hook == nil {
		return nil, misused(errNilHook)
	}
	for _, opt := range opts {
		if opt == nil {
			continue
		}
		if err := opt.applyLink(&spec); err != nil {
			return nil, fmt.Errorf("answer link: %w", err)
		}
	}
	if spec.Addressee == "" {
		return nil, errors.New("answer link: it has no Addressee")
	}
	open, err := scopeOf(ctx).AnswerLink(hook.open, spec)
	if err != nil {
		return nil, fmt.Errorf("answer link: %w", err)
	}
	return &Link{open}, nil
}

// URL returns the URL of the answer page: engine.Options.PublicURL, then
// /.well-known/workflow/v1/answer/ and a signature. It goes by the public URL and the key of the
// engine that executes the run now. It is a secret of the addressee's.
func (l *Link) URL() string { return l.must().URL() }

// ChoiceURL returns the URL of the answer page with one choice alone, for a button in a mail: there it
// has to be confirmed, since programs that look at mails follow all links.
func (l *Link) ChoiceURL(choice any) (string, error) {
	data, err := encode(choice)
	if err != nil {
		return "", fmt.Errorf("encode choice: %w", err)
	}
	return l.URL() + "?choice=" + url.QueryEscape(string(data)), nil
}

// ID returns the ID of the link, which is not a secret. It is the same after every replay.
func (l *Link) ID() string { return l.must().ID() }

// ExpiresAt returns when the link ceases to be good.
func (l *Link) ExpiresAt() time.Time { return l.must().ExpiresAt() }

// Revoke takes the link back: nobody can answer by it any more. It may be called more than once, and
// fits defer; on nil it does nothing. Outside the workflow's own code it panics with
// [ErrNotInWorkflow].
func (l *Link) Revoke() {
	if l != nil {
		l.open.Revoke()
	}
}

// must panics if there is no link.
func (l *Link) must() run.OpenLink {
	if l == nil {
		panic("workflow: the link is nil: AnswerLink has failed")
	}
	return l.open
}
