package execution

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/tenter-dev/tenter/internal/journal"
	"github.com/tenter-dev/tenter/internal/run"
	"github.com/tenter-dev/tenter/store"
	"github.com/tenter-dev/tenter/workflow"
)

func (s *scope) AnswerLink(open run.OpenHook, l run.Link) (run.OpenLink, error) {
	x := s.x
	b, err := x.enter()
	if err != nil {
		return nil, err
	}
	if err := s.err(); err != nil {
		return nil, err
	}
	h, ok := open.(*hook)
	switch {
	case !ok || h.x != x:
		return nil, run.Stray()
	case h.closed:
		return nil, workflow.ErrHookClosed
	case h.spec.Type == "":
		return nil, errNoType(h.spec.ID)
	}
	l.Page.Generation = x.info.Generation
	page := l.Page.Encode()
	if err := CheckSize("the page of the link", page, x.env.Limit); err != nil {
		return nil, err
	}
	form, unable := x.env.checkLink(h.spec.Type)
	if unable != "" {
		x.diverged = &Divergence{Unable: unable, Caller: callerLine()}
		b.parkForever()
	}
	if x.links == nil {
		x.links = &links{made: map[string]*link{}}
	}
	x.links.count++
	k := &link{x: x, ref: journal.Number(x.info.Generation, x.links.count), hook: h, spec: store.Link{
		RunID: x.info.RunID, HookID: h.spec.ID, Addressee: l.Addressee, Form: form, Page: page, Once: l.Once,
		CreatedAt: x.now, ExpiresAt: x.now.Add(l.ExpiresIn), OpenedPos: x.position,
	}}
	k.spec.ID = journal.Token(journal.Derive(x.secret, journal.LabelLink(k.ref, h.spec.ID, l.Addressee), 1))
	ask := journal.Ask{Op: journal.Link, Ref: k.ref, Hook: h.ref, Key: x.env.Links.Key}
	x.ask(b, &ask)
	k.spec.Key = ask.Key
	x.links.made[k.ref] = k
	k.issue()
	return k, nil
}

// issue needs no outcome: no other link has the ID.
func (k *link) issue() {
	spec := k.spec
	k.x.emit(&store.Effect{Kind: store.IssueLink, Link: &spec}, nil)
}

func (k *link) ID() string           { return k.spec.ID }
func (k *link) URL() string          { return k.x.env.Links.URL(k.spec.ID, k.spec.Key) }
func (k *link) ExpiresAt() time.Time { return k.spec.ExpiresAt }

// Revoke does nothing while its branch unwinds: the link outlives an eviction.
func (k *link) Revoke() {
	b := k.x.current.Load()
	if b != nil && b.unwind || k.revoked || k.x.restart != nil {
		return
	}
	b, err := k.x.enter()
	if err != nil {
		panic(err)
	}
	k.x.ask(b, &journal.Ask{Op: journal.Revoke, Ref: k.ref})
	k.revoked = true
	k.x.emit(&store.Effect{Kind: store.RevokeLink, Link: &store.Link{ID: k.spec.ID, RevokedPos: k.x.position}}, nil)
}

// linkAgain makes links of the fork's own for those that the origin's code has made: these lead to
// the origin.
func (x *Execution) linkAgain() {
	if x.links == nil {
		return
	}
	for _, ref := range slices.Sorted(maps.Keys(x.links.made)) {
		if k := x.links.made[ref]; !k.revoked && !k.hook.closed {
			k.issue()
		}
	}
}

// checkLink returns the version of the form of a type of hooks, or why this engine can't make a link
// to such a hook.
func (env *Environment) checkLink(hookType string) (form, unable string) {
	switch {
	case env.PublicURL == "":
		return "", journal.ReasonNoPublicURL()
	case env.Links.Key == "":
		return "", journal.ReasonNoAnswerKeys()
	}
	form, ok := env.Links.Form(hookType)
	if !ok {
		return "", journal.ReasonNoHookType(hookType)
	}
	return form, ""
}

// errNoType is the error of a link to a hook that has no page.
func errNoType(hookID string) error {
	return fmt.Errorf("hook %s has no type from which a page could be made: open it with a workflow.HookType", hookID)
}
