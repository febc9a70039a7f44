package engine

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/tenter-dev/tenter/engine/internal/execution"
	"github.com/tenter-dev/tenter/inspect"
	"github.com/tenter-dev/tenter/internal/journal"
	"github.com/tenter-dev/tenter/internal/run"
	"github.com/tenter-dev/tenter/internal/schema"
	"github.com/tenter-dev/tenter/store"
	"github.com/tenter-dev/tenter/workflow"
)

// AnswerPage is what a link to an answer page leads to, as its server sees it. Package server is built
// on it.
type AnswerPage struct {
	e        *Engine
	link     store.Link
	page     journal.Page
	hookType run.HookType
	schema   *schema.Node
	form     string // its version
}

// AnswerPage returns what a signed link leads to, which is the last part of its URL. The signature is
// checked before anything is looked up: it fails with [workflow.ErrLinkNotFound] without. An engine needs
// Options.AnswerKeys, and the hook types of the links in Options.Hooks.
func (e *Engine) AnswerPage(ctx context.Context, signed string) (*AnswerPage, error) {
	if err := e.usable(ctx); err != nil {
		return nil, fmt.Errorf("look up link: %w", err)
	}
	if len(e.signer.keys) == 0 {
		return nil, errors.New("look up link: the engine has no Options.AnswerKeys")
	}
	if err := e.signer.prepare(ctx, e.store); err != nil {
		return nil, fmt.Errorf("look up link: %w", err)
	}
	id, ok := e.signer.verify(signed)
	if !ok {
		return nil, fmt.Errorf("look up link: %w", workflow.ErrLinkNotFound)
	}
	p := &AnswerPage{e: e}
	if err := p.load(ctx, id); err != nil {
		return nil, fmt.Errorf("look up link: %w", err)
	}
	return p, nil
}

func (p *AnswerPage) load(ctx context.Context, id string) error {
	l, err := p.e.store.Link(ctx, id)
	if errors.Is(err, store.ErrNotFound) {
		return workflow.ErrLinkNotFound
	}
	if err != nil {
		return err
	}
	return p.set(l)
}

func (p *AnswerPage) set(l store.Link) error {
	p.link, p.page = l, journal.DecodePage(l.Page)
	t, known := p.e.hookTypes[l.Hook.Type]
	if !known || l.Hook.Type == "" {
		if l.State != store.LinkOpen {
			return nil // nothing is asked any more
		}
		return fmt.Errorf("hook %s is of type %q, which is not in Options.Hooks", l.HookID, l.Hook.Type)
	}
	s := schema.Of(t.Payload)
	p.hookType, p.schema, p.form = t, schema.Parse(s), formVersion(s)
	p.link.State = p.e.linkState(&l, &p.page)
	return nil
}

// linkState returns the state of a link: it is void if the hook of a later generation than the one that
// issued it asks for something else.
func (e *Engine) linkState(l *store.Link, page *journal.Page) store.LinkState {
	if l.State == store.LinkOpen && int(l.Generation) > page.Generation {
		if t, known := e.hookTypes[l.Hook.Type]; known && formVersion(schema.Of(t.Payload)) != l.Form {
			return store.LinkRevoked
		}
	}
	return l.State
}

// Link returns the link, with its state.
func (p *AnswerPage) Link() inspect.Link { return p.e.linkInfo(&p.link) }

// Title is that of the page, or the name of the hook's type.
func (p *AnswerPage) Title() string {
	switch {
	case p.page.Title != "":
		return p.page.Title
	case p.schema != nil && p.schema.Title != "":
		return p.schema.Title
	}
	return p.link.Hook.Type
}

// Text is what the page says. Paragraphs have an empty line between them.
func (p *AnswerPage) Text() string { return p.page.Text }

// Metadata is that of the hook, as JSON, or nil.
func (p *AnswerPage) Metadata() json.RawMessage { return p.link.Hook.Metadata }

// Schema is the JSON Schema of the answer, or nil of a link that can't be answered any more, if the
// engine does not have its hook type.
func (p *AnswerPage) Schema() json.RawMessage {
	if p.schema == nil {
		return nil
	}
	return schema.Of(p.hookType.Payload)
}

// Choice returns the member of the answer that the addressee chooses, the first boolean or
// enumeration, and the values that it may have, as JSON. The member is empty if the answer is nothing
// else. ok is false if there is nothing to be chosen.
func (p *AnswerPage) Choice() (member string, values []json.RawMessage, ok bool) {
	if p.schema == nil {
		return "", nil, false
	}
	member, node := choiceOf(p.schema)
	if node == nil {
		return "", nil, false
	}
	all := node.Enum
	if len(all) == 0 {
		all = []json.RawMessage{json.RawMessage("true"), json.RawMessage("false")}
	}
	for _, v := range all {
		if len(p.page.Choices) == 0 || has(p.page.Choices, v) {
			values = append(values, v)
		}
	}
	return member, values, true
}

// Comment returns the member of the answer that must not be empty with some choices, and these
// choices. The member is empty if there is none.
func (p *AnswerPage) Comment() (member string, with []json.RawMessage) {
	return p.page.Comment, p.page.CommentWith
}

// choiceOf returns what is to be chosen: the first that has to be set or, if there is none, the first.
func choiceOf(n *schema.Node) (member string, node *schema.Node) {
	chosen := func(n *schema.Node) bool { return n.Kind() == "boolean" || len(n.Enum) > 0 }
	if chosen(n) {
		return "", n
	}
	for _, p := range n.Properties {
		if !chosen(p.Schema) {
			continue
		}
		if n.Requires(p.Name) {
			return p.Name, p.Schema
		}
		if node == nil {
			member, node = p.Name, p.Schema
		}
	}
	return member, node
}

func has(values []json.RawMessage, v json.RawMessage) bool {
	return slices.ContainsFunc(values, func(of json.RawMessage) bool { return schema.Equal(of, v) })
}

// FormToken returns what a form that is shown now has to be sent with.
func (p *AnswerPage) FormToken() string {
	return p.e.signer.signForm(p.link.ID, p.form, p.e.store.Now())
}

// CheckForm reports whether a token is that of a form of this link, whenever it was shown; and whether it
// is current: that of the form as it is, shown within the last hour.
func (p *AnswerPage) CheckForm(token string) (genuine, current bool) {
	return p.e.signer.verifyForm(token, p.link.ID, p.form, p.e.store.Now())
}

// MemberError is what is wrong with a member of an answer.
type MemberError struct {
	Member string
	Err    error
}

func (e *MemberError) Error() string {
	if e.Member == "" {
		return e.Err.Error()
	}
	return e.Member + ": " + e.Err.Error()
}

// Field is the member.
func (e *MemberError) Field() string { return e.Member }

func (e *MemberError) Unwrap() error { return e.Err }

var (
	errNotOffered = errors.New("this choice is not offered")
	errNoComment  = errors.New("say why")
)

// Answer records the answer of the addressee, unless the link can't be answered any more: Link has the
// state in which it was, and with it the answer that counts. recorded says that this one does. It fails
// with a *[workflow.PayloadError] for an answer that does not fit, in which there may be a
// *[MemberError]; then nothing was written. The answer is recorded as that of the actor of ctx, see
// [workflow.WithActor], or as one by the link that was issued to the addressee.
func (p *AnswerPage) Answer(ctx context.Context, answer json.RawMessage) (recorded bool, err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("answer hook %s: %w", p.link.HookID, err)
		}
	}()
	actor, err := p.actor(ctx)
	if err != nil {
		return false, err
	}
	for {
		if p.link.State != store.LinkOpen {
			return false, nil
		}
		if err := p.check(answer); err != nil {
			return false, &workflow.PayloadError{Token: p.link.ID, Err: err}
		}
		sending := store.Payload{Token: p.link.Hook.Token, Type: &p.link.Hook.Type, Actor: actor}
		sent := p.e.tel.Sending(ctx, "resume", &sending)
		l, err := p.e.store.Answer(ctx, store.Answer{
			Link: p.link.ID, Data: answer, Generation: p.link.Generation, Trace: sending.Trace, Actor: actor,
		})
		info := hookInfo(p.link.Hook)
		info.Duplicate = err == nil && l.State != store.LinkOpen
		sent(info, err)
		switch {
		case errors.Is(err, store.ErrConflict):
			if err := p.load(ctx, p.link.ID); err != nil {
				return false, err
			}
		case errors.Is(err, store.ErrNotFound):
			return false, workflow.ErrLinkNotFound
		case err != nil:
			return false, err
		default:
			recorded = l.State == store.LinkOpen
			if recorded {
				l.State = store.LinkAnswered
			}
			return recorded, p.set(l)
		}
	}
}

// actor returns who answers, as it is stored: the actor of ctx or, if nobody has said who that is, the
// addressee, who may have passed the link on.
func (p *AnswerPage) actor(ctx context.Context) (string, error) {
	a := workflow.ActorOf(ctx)
	if a.Name == "" {
		a.Name, a.Via = p.link.Addressee, "link"
	}
	a.Link = p.link.ID
	return actorOf(workflow.WithActor(ctx, a))
}

// check returns what is wrong with an answer.
func (p *AnswerPage) check(answer json.RawMessage) error {
	if err := execution.CheckSize("the answer", answer, p.e.opts.MaxPayload); err != nil {
		return err
	}
	if err := p.hookType.Check(answer); err != nil {
		return err
	}
	member, values, ok := p.Choice()
	if !ok {
		return nil
	}
	_, node := choiceOf(p.schema)
	chosen := node.Decoded(memberOf(answer, member))
	if len(p.page.Choices) > 0 && !has(values, chosen) {
		return &MemberError{member, errNotOffered}
	}
	if comment := p.page.Comment; comment != "" && has(p.page.CommentWith, chosen) {
		var text string
		if err := json.Unmarshal(memberOf(answer, comment), &text); err != nil || strings.TrimSpace(text) == "" {
			return &MemberError{comment, errNoComment}
		}
	}
	return nil
}

// memberOf is a member of a JSON object, or for no name the value itself.
func memberOf(answer json.RawMessage, name string) json.RawMessage {
	if name == "" {
		return answer
	}
	var members map[string]json.RawMessage
	_ = json.Unmarshal(answer, &members) // it has been checked
	return members[name]
}

// defaultLinks is how many links a list has at most.
const defaultLinks = 100

// Links lists links to answer pages, see [inspect.Client].
func (e *Engine) Links(ctx context.Context, f inspect.LinkFilter) ([]inspect.Link, error) {
	if err := e.usable(ctx); err != nil {
		return nil, fmt.Errorf("list links: %w", err)
	}
	if err := f.Validate(); err != nil {
		return nil, fmt.Errorf("list links: %w", err)
	}
	limit := cmp.Or(f.Limit, defaultLinks)
	links := []inspect.Link{}
	for {
		f.Limit = limit - len(links)
		all, err := e.store.Links(ctx, store.LinkFilter(f))
		if err != nil {
			return nil, fmt.Errorf("list links: %w", err)
		}
		for i := range all {
			if l := e.linkInfo(&all[i]); f.Addressee == "" || l.State == inspect.LinkOpen {
				links = append(links, l)
			}
		}
		if len(all) < f.Limit || len(links) == limit {
			return links, nil
		}
		f.After = all[len(all)-1].Number // some of them are void
	}
}

// Link returns a link by its ID, see [inspect.Client].
func (e *Engine) Link(ctx context.Context, id string) (inspect.Link, error) {
	err := e.usable(ctx)
	var l store.Link
	switch {
	case err != nil:
	case run.BadName(id, run.MaxName) != "":
		err = workflow.ErrLinkNotFound // no link can have it
	default:
		l, err = e.store.Link(ctx, id)
	}
	if errors.Is(err, store.ErrNotFound) {
		err = workflow.ErrLinkNotFound
	}
	if err != nil {
		return inspect.Link{}, fmt.Errorf("look up link: %w", err)
	}
	return e.linkInfo(&l), nil
}

// RevokeLink takes a link back, see [inspect.Client].
func (e *Engine) RevokeLink(ctx context.Context, id string) error {
	actor, err := actorOf(ctx)
	if err == nil {
		err = e.usable(ctx)
	}
	if err == nil {
		err = e.store.RevokeLink(ctx, id, actor)
	}
	if errors.Is(err, store.ErrNotFound) {
		err = workflow.ErrLinkNotFound
	}
	if err != nil {
		return fmt.Errorf("revoke link: %w", err)
	}
	return nil
}

func (e *Engine) linkInfo(l *store.Link) inspect.Link {
	page := journal.DecodePage(l.Page)
	return inspect.Link{
		ID: l.ID, RunID: l.RunID, HookID: l.HookID, HookType: l.Hook.Type, Addressee: l.Addressee, State: inspect.LinkState(e.linkState(l, &page)), Once: l.Once,
		Title: page.Title, CreatedAt: l.CreatedAt, ExpiresAt: l.ExpiresAt, RevokedAt: l.RevokedAt, RevokedBy: workflow.Actor(journal.DecodeActor(l.RevokedBy)),
		AnsweredAt: l.AnsweredAt, AnsweredBy: l.AnsweredBy, Answer: l.Answer, Number: l.Number,
	}
}

// LinkKeys counts, by the keys that sign them, the links that may still be answered: a key that none
// names can be removed from Options.AnswerKeys.
func (e *Engine) LinkKeys(ctx context.Context) (map[string]int, error) {
	if err := e.usable(ctx); err != nil {
		return nil, fmt.Errorf("count links: %w", err)
	}
	keys, err := e.store.LinkKeys(ctx)
	if err != nil {
		return nil, fmt.Errorf("count links: %w", err)
	}
	return keys, nil
}

// MissingAnswerKeys returns the IDs of keys that Options.AnswerKeys lack and that are in use: live
// workers have them, or open links name them. To this engine such a link is unknown. It is for the
// health check of a program that serves answer pages.
func (e *Engine) MissingAnswerKeys(ctx context.Context) ([]string, error) {
	used, err := e.LinkKeys(ctx)
	if err != nil {
		return nil, err
	}
	workers, err := e.store.Workers(ctx)
	if err != nil {
		return nil, fmt.Errorf("list workers: %w", err)
	}
	for _, w := range workers {
		for _, key := range w.LinkKeys {
			if w.Live {
				used[key]++
			}
		}
	}
	for _, key := range e.signer.ids() {
		delete(used, key)
	}
	return slices.Sorted(maps.Keys(used)), nil
}

// PublicURL is that of Options, without a slash at its end.
func (e *Engine) PublicURL() string { return e.env.PublicURL }
