package engine_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tenter-dev/tenter/engine"
	"github.com/tenter-dev/tenter/inspect"
	"github.com/tenter-dev/tenter/workflow"
)

type decision struct {
	Approved bool   `json:"approved"`
	Reason   string `json:"reason,omitempty"`
}

var (
	decisions = workflow.DefineHook[decision]("decision")
	keyOne    = engine.AnswerKey{ID: "one", Key: bytes.Repeat([]byte("1"), 32)}
	keyTwo    = engine.AnswerKey{ID: "two", Key: bytes.Repeat([]byte("2"), 32)}
)

func answering(keys ...engine.AnswerKey) engine.Options {
	return engine.Options{PublicURL: "https://example.com/app", AnswerKeys: keys, Hooks: []workflow.HookDefinition{decisions}}
}

// asker makes links to a hook and waits for as many answers. What it was asked for it puts into links.
func asker(links *[]string, to []string, opts ...workflow.LinkOption) *workflow.Workflow[int, []decision] {
	return workflow.Define("asker", func(ctx workflow.Context, n int) (all []decision, err error) {
		hook, err := decisions.New(ctx, workflow.Token("t"))
		if err != nil {
			return nil, err
		}
		*links = nil
		for _, who := range to {
			l, err := workflow.AnswerLink(ctx, hook, slices.Concat([]workflow.LinkOption{workflow.Addressee(who)}, opts)...)
			if err != nil {
				return nil, err
			}
			*links = append(*links, l.URL())
		}
		for range n {
			d, err := hook.Wait(ctx)
			if err != nil {
				return nil, err
			}
			all = append(all, d)
		}
		return all, nil
	})
}

// page opens a link.
func (l *lab) page(url string) *engine.AnswerPage {
	l.Helper()
	p, err := l.eng.AnswerPage(l.Context(), signedPart(url))
	if err != nil {
		l.Fatal(err)
	}
	return p
}

func signedPart(url string) string { return url[strings.LastIndexByte(url, '/')+1:] }

// answer answers by a link, and returns what has become of that.
func (l *lab) answer(url string, d decision) string {
	l.Helper()
	data, err := json.Marshal(d)
	if err != nil {
		l.Fatal(err)
	}
	p := l.page(url)
	recorded, err := p.Answer(l.Context(), data)
	synctest.Wait()
	if err != nil {
		return err.Error()
	}
	if recorded {
		return "recorded"
	}
	return string(p.Link().State)
}

func TestAnswer(t *testing.T) {
	t.Parallel()
	eachCache(t, func(t *testing.T, l *lab, opts engine.Options) {
		var links []string
		wf := asker(&links, []string{"ada", "bob", "ada"})
		with := answering(keyOne)
		with.CacheSize = opts.CacheSize
		l.run(with, wf)
		r := mustStart(l, wf, 2)
		p := l.page(links[0])
		if got := p.Link(); got.Addressee != "ada" || got.State != inspect.LinkOpen || got.RunID != r.ID() || got.ExpiresAt.Sub(got.CreatedAt) != workflow.DefaultLinkAge {
			t.Errorf("link is %+v", got)
		}
		if !strings.HasPrefix(links[0], "https://example.com/app/.well-known/workflow/v1/answer/1.one.") || strings.Contains(links[0], r.ID()) || strings.Contains(links[0], "ada") {
			t.Errorf("URL is %s", links[0])
		}
		got := []string{
			l.answer(links[0], decision{Approved: true}), l.answer(links[0], decision{}), l.answer(links[2], decision{}),
			l.answer(links[1], decision{Reason: "no"}),
		}
		if diff := cmp.Diff([]string{"recorded", "answered", "answered", "recorded"}, got); diff != "" {
			t.Errorf("answers (-want +got):\n%s", diff)
		}
		if diff := cmp.Diff([]decision{{Approved: true}, {Reason: "no"}}, mustResult(l, r)); diff != "" {
			t.Errorf("result (-want +got):\n%s", diff)
		}
		if l := l.page(links[2]).Link(); string(l.Answer) != `{"approved":true}` || l.AnsweredBy == l.ID {
			t.Errorf("the recorded answer is %+v", l)
		}
	})
}

// What is forged, and what is signed with another key, for another database or for another purpose, is
// not told from what is unknown.
func TestForgedLinks(t *testing.T) {
	t.Parallel()
	inLab(t, func(t *testing.T, l *lab) {
		var links []string
		wf := asker(&links, []string{"ada"})
		l.run(answering(keyOne), wf)
		mustStart(l, wf, 1)
		good := signedPart(links[0])
		parts := strings.Split(good, ".")
		p := l.page(links[0])
		other := engine.AnswerKey{ID: keyOne.ID, Key: keyTwo.Key}
		forged := []string{"", "1", parts[2], good + "x", good + "\n", good[:len(good)-1], "2" + good[1:], strings.Join([]string{"1", "two", parts[2], parts[3]}, "."), p.FormToken()}
		for i := range good { // any character
			c := byte('A')
			if good[i] == c {
				c = 'B'
			}
			if i < len(good)-1 { // the last has bits that mean nothing
				forged = append(forged, good[:i]+string(c)+good[i+1:])
			}
		}
		for _, signed := range forged {
			if _, err := l.eng.AnswerPage(t.Context(), signed); !errors.Is(err, workflow.ErrLinkNotFound) || err.Error() != "look up link: link not found" {
				t.Errorf("%q: %v", signed, err)
			}
		}
		l.run(answering(other), wf)
		if _, err := l.eng.AnswerPage(t.Context(), good); !errors.Is(err, workflow.ErrLinkNotFound) {
			t.Errorf("with another key: %v", err)
		}
	})
	// The same key on another database.
	var moved string
	inLab(t, func(_ *testing.T, l *lab) {
		var links []string
		wf := asker(&links, []string{"ada"})
		l.run(answering(keyOne), wf)
		mustStart(l, wf, 1)
		moved = signedPart(links[0])
	})
	inLab(t, func(t *testing.T, l *lab) {
		l.run(answering(keyOne), workflow.Define("w", func(workflow.Context, int) (int, error) { return 0, nil }))
		if _, err := l.eng.AnswerPage(t.Context(), moved); !errors.Is(err, workflow.ErrLinkNotFound) {
			t.Errorf("a link of another installation: %v", err)
		}
	})
}

func TestAnswerKeysRotate(t *testing.T) {
	t.Parallel()
	inLab(t, func(t *testing.T, l *lab) {
		var links []string
		wf := asker(&links, []string{"ada"})
		l.run(answering(keyOne), wf)
		r := mustStart(l, wf, 1)
		old := links[0]
		l.run(answering(keyTwo, keyOne), wf)
		l.page(old)
		keys, err := l.eng.LinkKeys(t.Context())
		if diff := cmp.Diff(map[string]int{"one": 1}, keys); diff != "" || err != nil {
			t.Errorf("keys of open links: %v (-want +got):\n%s", err, diff)
		}
		for _, tt := range []struct {
			keys []engine.AnswerKey
			want []string
		}{{[]engine.AnswerKey{keyOne, keyTwo}, nil}, {[]engine.AnswerKey{keyTwo}, []string{"one"}}, {nil, []string{"one", "two"}}} {
			pages, err := engine.New(l.store, answering(tt.keys...))
			if err != nil {
				t.Fatal(err)
			}
			missing, err := pages.MissingAnswerKeys(t.Context())
			if diff := cmp.Diff(tt.want, missing); diff != "" || err != nil {
				t.Errorf("keys that an engine lacks: %v (-want +got):\n%s", err, diff)
			}
			if err := pages.Close(); err != nil {
				t.Error(err)
			}
		}
		if got := l.answer(old, decision{Approved: true}); got != "recorded" {
			t.Errorf("by a link of the old key: %s", got)
		}
		mustResult(l, wf.Get(l.eng, r.ID()))
		if links[0] != old {
			t.Errorf("the URL of the link is %s on an engine that signs with another key, and was %s", links[0], old)
		}
		if keys, _ = l.eng.LinkKeys(t.Context()); len(keys) != 0 {
			t.Errorf("keys of open links: %v", keys)
		}
	})
	for _, tt := range []struct {
		keys []engine.AnswerKey
		want string
	}{
		{[]engine.AnswerKey{{ID: "k", Key: make([]byte, 31)}}, `key "k" has 31 bytes; it needs at least 32`},
		{[]engine.AnswerKey{{Key: make([]byte, 32)}}, `ID "": it has to be 1 to 32 letters`},
		{[]engine.AnswerKey{{ID: "a.b", Key: make([]byte, 32)}}, `ID "a.b": it has to be 1 to 32 letters`},
		{[]engine.AnswerKey{keyOne, keyOne}, `ID "one" is there twice`},
	} {
		inLab(t, func(t *testing.T, l *lab) {
			if _, err := engine.New(l.store, engine.Options{AnswerKeys: tt.keys}); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error is %v, want %s", err, tt.want)
			}
		})
	}
}

// An engine that can't make the link leaves the run as it is, until one can.
func TestLinksWithoutWhatTheyNeed(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		lacks engine.Options
		want  workflow.ReasonCode
	}{
		{engine.Options{PublicURL: "https://example.com", Hooks: []workflow.HookDefinition{decisions}}, workflow.ReasonNoAnswerKeys},
		{engine.Options{AnswerKeys: []engine.AnswerKey{keyOne}, Hooks: []workflow.HookDefinition{decisions}}, workflow.ReasonNoPublicURL},
		{engine.Options{AnswerKeys: []engine.AnswerKey{keyOne}, PublicURL: "https://example.com"}, workflow.ReasonNoHookType},
	} {
		inLab(t, func(t *testing.T, l *lab) {
			var links []string
			wf := asker(&links, []string{"ada"})
			l.run(tt.lacks, wf)
			r := mustStart(l, wf, 1)
			if info := wantStatus(l, r, workflow.StatusBlocked); info.ReasonCode != tt.want {
				t.Errorf("the run is blocked by %s (%s), want %s", info.ReasonCode, info.Reason, tt.want)
			}
			l.run(answering(keyOne), wf)
			l.advance(time.Minute)
			if got := l.answer(links[0], decision{Approved: true}); got != "recorded" {
				t.Errorf("answer was %s", got)
			}
			mustResult(l, wf.Get(l.eng, r.ID()))
		})
	}
}

func TestLinkOptions(t *testing.T) {
	t.Parallel()
	inLab(t, func(t *testing.T, l *lab) {
		wf := workflow.Define("w", func(ctx workflow.Context, _ int) (wrong []string, _ error) {
			hook, err := decisions.New(ctx)
			if err != nil {
				return nil, err
			}
			plain, err := workflow.NewHook[decision](ctx)
			if err != nil {
				return nil, err
			}
			closed, err := decisions.New(ctx)
			if err != nil {
				return nil, err
			}
			closed.Close()
			try := func(h *workflow.Hook[decision], opts ...workflow.LinkOption) {
				_, err := workflow.AnswerLink(ctx, h, opts...)
				wrong = append(wrong, fmt.Sprint(err))
			}
			try(hook)
			try(hook, workflow.Addressee(""))
			try(hook, workflow.Addressee("ada"), workflow.ExpiresIn(0))
			try(hook, workflow.Addressee("ada"), workflow.ExpiresIn(workflow.MaxLinkAge+1))
			try(plain, workflow.Addressee("ada"))
			try(closed, workflow.Addressee("ada"))
			return wrong, nil
		})
		l.run(answering(keyOne), wf)
		got := mustResult(l, mustStart(l, wf, 0))
		for i, want := range []string{
			"it has no Addressee", "it is empty", "expires in 0s", "expires in 2160h0m0.000000001s", "has no type from which a page could be made", "hook is closed",
		} {
			if !strings.Contains(got[i], want) {
				t.Errorf("%d: %s, want %s", i, got[i], want)
			}
		}
	})
}

func TestLinksDie(t *testing.T) {
	t.Parallel()
	eachCache(t, func(t *testing.T, l *lab, opts engine.Options) {
		urls := map[string]string{}
		wf := workflow.Define("w", func(ctx workflow.Context, _ int) (int, error) {
			hook, err := decisions.New(ctx)
			if err != nil {
				return 0, err
			}
			made := func(name string, opts ...workflow.LinkOption) *workflow.Link {
				link, e := workflow.AnswerLink(ctx, hook, append(opts, workflow.Addressee(name))...)
				if e != nil {
					err = e
					return nil
				}
				urls[name] = link.URL()
				return link
			}
			made("short", workflow.ExpiresIn(time.Minute))
			revoked := made("revoked")
			made("long")
			if err != nil {
				return 0, err
			}
			revoked.Revoke()
			revoked.Revoke()
			if _, err := hook.Wait(ctx); err != nil {
				return 0, err
			}
			return 1, nil
		})
		with := answering(keyOne)
		with.CacheSize = opts.CacheSize
		l.run(with, wf)
		r := mustStart(l, wf, 0)
		if got := l.answer(urls["revoked"], decision{}); got != "revoked" {
			t.Errorf("a revoked link was %s", got)
		}
		l.advance(time.Minute)
		if got := l.answer(urls["short"], decision{}); got != "expired" {
			t.Errorf("a link was %s after its time", got)
		}
		links, err := l.eng.Links(t.Context(), inspect.LinkFilter{RunID: r.ID()})
		if err != nil || len(links) != 3 {
			t.Fatalf("links: %v, %v", links, err)
		}
		for _, want := range links {
			if got, err := l.eng.Link(t.Context(), want.ID); err != nil || got.Addressee != want.Addressee || got.State != want.State {
				t.Errorf("link %s is %+v, %v", want.ID, got, err)
			}
		}
		if waiting, err := l.eng.Links(t.Context(), inspect.LinkFilter{Addressee: "long"}); err != nil || len(waiting) != 1 {
			t.Errorf("what waits for long: %v, %v", waiting, err)
		}
		if err := l.eng.RevokeLink(workflow.WithActor(t.Context(), workflow.Actor{Name: "eve"}), links[2].ID); err != nil {
			t.Error(err)
		}
		if revoked, err := l.eng.Link(t.Context(), links[2].ID); err != nil || revoked.RevokedBy.Name != "eve" {
			t.Errorf("revoked by %+v, %v", revoked.RevokedBy, err)
		}
		if got := l.answer(urls["long"], decision{}); got != "revoked" {
			t.Errorf("a link that was revoked from outside was %s", got)
		}
		wantIs(l, l.eng.RevokeLink(t.Context(), "none"), workflow.ErrLinkNotFound)
		if err := r.Cancel(t.Context()); err != nil {
			t.Fatal(err)
		}
		_ = mustFail(l, r)
		if got := l.answer(urls["short"], decision{}); got != "closed" {
			t.Errorf("a link of a run that has ended was %s", got)
		}
	})
}

func TestAnswersAreChecked(t *testing.T) {
	t.Parallel()
	inLab(t, func(t *testing.T, l *lab) {
		var links []string
		wf := asker(&links, []string{"ada"}, workflow.CommentWith("reason", false))
		l.run(answering(keyOne), wf)
		r := mustStart(l, wf, 1)
		for _, tt := range []struct{ answer, want string }{
			{`{"approved": 1}`, "number"}, {`{"approved": true, "x": 1}`, "x"}, {`{"approved": false}`, "say why"}, {`{"approved": false, "reason": " "}`, "say why"},
		} {
			_, err := l.page(links[0]).Answer(t.Context(), json.RawMessage(tt.answer))
			if _, bad := errors.AsType[*workflow.PayloadError](err); !bad || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("%s: %v, want a PayloadError with %q", tt.answer, err, tt.want)
			}
		}
		if got := l.answer(links[0], decision{Reason: "because"}); got != "recorded" {
			t.Errorf("answer was %s", got)
		}
		mustResult(l, r)
		wf = asker(&links, []string{"bob"}, workflow.Choices(false))
		l.run(answering(keyOne), wf)
		mustStart(l, wf, 1)
		p := l.page(links[0])
		if member, values, ok := p.Choice(); member != "approved" || !ok || len(values) != 1 || string(values[0]) != "false" {
			t.Errorf("choice is %s, %s, %t", member, values, ok)
		}
		if got := l.answer(links[0], decision{Approved: true}); !strings.Contains(got, "not offered") {
			t.Errorf("a choice that is not offered: %s", got)
		}
	})
}

// To leave a choice out, to write null, or to write it in another way chooses what the run reads.
func TestChoicesLeftOut(t *testing.T) {
	t.Parallel()
	type optional struct {
		Approved bool   `json:"approved,omitempty"`
		Reason   string `json:"reason,omitempty"`
	}
	type verdict struct {
		Verdict string `json:"verdict,omitempty" enum:"yes,no"`
		Reason  string `json:"reason,omitempty"`
	}
	type open struct {
		Approved *bool  `json:"approved"`
		Reason   string `json:"reason,omitempty"`
	}
	const needed, recorded = "reason: say why", "recorded"
	no := workflow.CommentWith("reason", false)
	answersBy[optional](t, no, recorded, `{"approved":true}`)
	answersBy[optional](t, no, recorded, `{"reason":"because"}`)
	answersBy[optional](t, no, needed, `{}`, `{"approved":null}`, `{"approved":false}`, `{"reason":" "}`, `{"reason":null}`)
	answersBy[optional](t, workflow.Choices(true), "not offered", `{}`, `{"approved":null}`)
	answersBy[optional](t, workflow.Choices(false), recorded, `{}`)
	answersBy[verdict](t, workflow.CommentWith("reason", "no", ""), needed, `{}`, `{"verdict":"no"}`, `{"verdict":"\u006e\u006f"}`)
	answersBy[verdict](t, workflow.CommentWith("reason", "no"), recorded, `{"verdict":"\u0079es"}`)
	answersBy[verdict](t, workflow.Choices("no"), recorded, `{"verdict":"\u006e\u006f"}`)
	answersBy[open](t, no, needed, `{"approved":false}`)
	answersBy[open](t, no, recorded, `{}`)
	answersBy[open](t, workflow.CommentWith[*bool]("reason", nil), needed, `{}`, `{"approved":null}`)
}

// answersBy answers by a link to a hook of type T, which has an option, and wants what becomes of each
// answer.
func answersBy[T any](t *testing.T, opt workflow.LinkOption, want string, answers ...string) {
	t.Helper()
	inLab(t, func(t *testing.T, l *lab) {
		t.Helper()
		hooks := workflow.DefineHook[T]("hook")
		var url string
		wf := workflow.Define("w", func(ctx workflow.Context, _ int) (got T, err error) {
			hook, err := hooks.New(ctx)
			if err != nil {
				return got, err
			}
			link, err := workflow.AnswerLink(ctx, hook, workflow.Addressee("ada"), opt)
			if err != nil {
				return got, err
			}
			url = link.URL()
			return hook.Wait(ctx)
		})
		with := answering(keyOne)
		with.Hooks = []workflow.HookDefinition{hooks}
		l.run(with, wf)
		mustStart(l, wf, 0)
		for _, answer := range answers {
			got := "recorded"
			ok, err := l.page(url).Answer(t.Context(), json.RawMessage(answer))
			if err != nil || !ok {
				got = fmt.Sprint(ok, err)
			}
			if !strings.Contains(got, want) {
				t.Errorf("%T %s: %s, want %s", *new(T), answer, got, want)
			}
		}
	})
}

// A form is good for an hour, for its link, as it was.
func TestFormTokens(t *testing.T) {
	t.Parallel()
	inLab(t, func(t *testing.T, l *lab) {
		var links []string
		wf := asker(&links, []string{"ada", "bob"})
		l.run(answering(keyOne), wf)
		mustStart(l, wf, 1)
		ada, bob := l.page(links[0]), l.page(links[1])
		token := ada.FormToken()
		wants := func(p *engine.AnswerPage, token string, genuine, current bool) {
			t.Helper()
			if g, c := p.CheckForm(token); g != genuine || c != current {
				t.Errorf("token %q: genuine %t, current %t; want %t, %t", token, g, c, genuine, current)
			}
		}
		wants(ada, token, true, true)
		wants(bob, token, false, false)
		parts := strings.Split(token, ".")
		for i := range parts {
			forged := slices.Clone(parts)
			forged[i] += "1"
			wants(ada, strings.Join(forged, "."), false, false)
		}
		for _, forged := range []string{"", token + "x", signedPart(links[0]), strings.Repeat(".", 1<<20)} {
			wants(ada, forged, false, false)
		}
		l.advance(59 * time.Minute)
		wants(ada, token, true, true)
		l.advance(time.Minute)
		wants(ada, token, true, false)
	})
}

// A link goes with its hook into the next generation; one whose hook asks for something else there is
// as good as revoked.
func TestLinksGoWithTheirHook(t *testing.T) {
	t.Parallel()
	type other struct {
		Approved bool `json:"approved"`
		Amount   int  `json:"amount"`
	}
	for _, changes := range []bool{false, true} {
		inLab(t, func(t *testing.T, l *lab) {
			var url string
			declared := workflow.Declare[int, decision]("w")
			body := func(ctx workflow.Context, n int) (decision, error) {
				hook, err := decisions.New(ctx, workflow.Token("t"))
				if err != nil {
					return decision{}, err
				}
				if n == 0 {
					link, err := workflow.AnswerLink(ctx, hook, workflow.Addressee("ada"))
					if err != nil {
						return decision{}, err
					}
					url = link.URL()
					gate, err := workflow.NewHook[int](ctx, workflow.Token("gate"))
					if err != nil {
						return decision{}, err
					}
					if _, err := gate.Wait(ctx); err != nil {
						return decision{}, err
					}
					return declared.Restart(ctx, 1)
				}
				return hook.Wait(ctx)
			}
			wf := declared.Implement(body)
			l.run(answering(keyOne), wf)
			r := mustStart(l, declared, 0)
			want := "recorded"
			with := answering(keyOne)
			if changes {
				with.Hooks = []workflow.HookDefinition{workflow.DefineHook[other]("decision")}
				want = "revoked"
			}
			l.resume("gate", 1)
			l.run(with, wf)
			if got := l.answer(url, decision{Approved: true}); got != want {
				t.Errorf("with another form (%t) the answer was %s, want %s", changes, got, want)
			}
			if !changes {
				mustResult(l, declared.Get(l.eng, r.ID()))
			}
		})
	}
}

// A retry makes of links what they were before what it cuts, so that the mended code decides.
func TestLinksAreRetriedWithTheirRun(t *testing.T) {
	t.Parallel()
	eachCache(t, func(t *testing.T, l *lab, opts engine.Options) {
		mended := false
		urls := map[string]string{}
		wf := workflow.Define("w", func(ctx workflow.Context, _ int) (decision, error) {
			hook, err := decisions.New(ctx)
			if err != nil {
				return decision{}, err
			}
			link := func(name string, opts ...workflow.LinkOption) *workflow.Link {
				made, e := workflow.AnswerLink(ctx, hook, append(opts, workflow.Addressee(name))...)
				if e != nil {
					err = e
					return nil
				}
				urls[name] = made.URL()
				return made
			}
			defer link("boss").Revoke()
			failed := workflow.Do(ctx, "look up who decides", func(context.Context) error {
				if !mended {
					return workflow.Fatal(errors.New("the directory is down"))
				}
				return nil
			})
			if failed != nil { // anybody may decide
				link("anybody")
				link("ada")
				return decision{}, failed
			}
			link("bob")
			link("ada", workflow.Choices(false))
			if err != nil {
				return decision{}, err
			}
			return hook.Wait(ctx)
		})
		with := answering(keyOne)
		with.CacheSize = opts.CacheSize
		l.run(with, wf)
		r := mustStart(l, wf, 0)
		_ = mustFail(l, r)
		anybody := urls["anybody"]
		mended = true
		if err := r.Retry(t.Context()); err != nil {
			t.Fatal(err)
		}
		l.advance(time.Second)
		if _, err := l.eng.AnswerPage(t.Context(), signedPart(anybody)); !errors.Is(err, workflow.ErrLinkNotFound) {
			t.Errorf("a link that only the code of before has made: %v", err)
		}
		if got := l.answer(urls["ada"], decision{Approved: true}); !strings.Contains(got, "not offered") {
			t.Errorf("a choice that the mended code does not offer was %s", got)
		}
		if got := l.answer(urls["boss"], decision{Reason: "boss"}); got != "recorded" {
			t.Errorf("the answer by a link that was revoked in what was cut was %s", got)
		}
		if d := mustResult(l, r); d.Reason != "boss" {
			t.Errorf("the run got %+v", d)
		}
	})
}

// An answer outlives what a retry cuts, as its payload does.
func TestAnswersOutliveARetry(t *testing.T) {
	t.Parallel()
	inLab(t, func(t *testing.T, l *lab) {
		declined := true
		var url string
		wf := workflow.Define("w", func(ctx workflow.Context, _ int) (string, error) {
			failed := workflow.Do(ctx, "charge", func(context.Context) error {
				if declined {
					return workflow.Fatal(errors.New("declined"))
				}
				return nil
			})
			hook, err := decisions.New(ctx)
			if err != nil {
				return "", err
			}
			link, err := workflow.AnswerLink(ctx, hook, workflow.Addressee("ada"))
			if err != nil {
				return "", err
			}
			url = link.URL()
			d, err := hook.Wait(ctx)
			return d.Reason, errors.Join(failed, err)
		})
		l.run(answering(keyOne), wf)
		r := mustStart(l, wf, 0)
		l.advance(time.Second)
		if got := l.answer(url, decision{Reason: "first"}); got != "recorded" {
			t.Errorf("answer was %s", got)
		}
		_ = mustFail(l, r)
		declined = false
		if err := r.Retry(t.Context()); err != nil {
			t.Fatal(err)
		}
		if got := mustResult(l, r); got != "first" {
			t.Errorf("the run got %q", got)
		}
		if got := l.answer(url, decision{Reason: "second"}); got != "answered" {
			t.Errorf("a second answer was %s", got)
		}
	})
}

// A generation that asks again gets an answer of its own, unless it has still to take that of the
// generation before.
func TestEachGenerationIsAnswered(t *testing.T) {
	t.Parallel()
	for _, took := range []bool{true, false} {
		inLab(t, func(t *testing.T, l *lab) {
			var urls []string
			declared := workflow.Declare[int, string]("w")
			wf := declared.Implement(func(ctx workflow.Context, n int) (string, error) {
				hook, err := decisions.New(ctx, workflow.Token("t"))
				if err != nil {
					return "", err
				}
				link, err := workflow.AnswerLink(ctx, hook, workflow.Addressee("ada"))
				if err != nil {
					return "", err
				}
				urls = append(urls, link.URL())
				if n == 0 && !took {
					if err := workflow.Sleep(ctx, time.Minute); err != nil {
						return "", err
					}
					return declared.Restart(ctx, 1)
				}
				d, err := hook.Wait(ctx)
				if err != nil {
					return "", err
				}
				if n == 0 {
					return declared.Restart(ctx, 1)
				}
				return d.Reason, workflow.Sleep(ctx, time.Minute)
			})
			l.run(answering(keyOne), wf)
			r := mustStart(l, declared, 0)
			got := []string{l.answer(urls[0], decision{Reason: "first"})}
			l.advance(time.Minute)
			got = append(got, l.answer(urls[0], decision{Reason: "again"}), l.answer(urls[1], decision{Reason: "second"}))
			want, result := []string{"recorded", "answered", "recorded"}, "second"
			if !took {
				want[2], result = "answered", "first"
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("answers, if the first generation took its own: %t (-want +got):\n%s", took, diff)
			}
			if got := mustResult(l, declared.Get(l.eng, r.ID())); got != result {
				t.Errorf("the run got %q, want %q", got, result)
			}
		})
	}
}

// What waits for somebody is what they can answer. A link to a hook that the next generation does not
// open, or opens as something else, is closed.
func TestLinksOfARunThatDoesNotAskAgain(t *testing.T) {
	t.Parallel()
	others := workflow.DefineHook[int]("other")
	for _, tt := range []struct {
		next string
		want inspect.LinkState
	}{{"never", inspect.LinkClosed}, {"as another type", inspect.LinkClosed}, {"later", inspect.LinkOpen}, {"with another form", inspect.LinkRevoked}} {
		inLab(t, func(t *testing.T, l *lab) {
			var url string
			declared := workflow.Declare[int, int]("w")
			wf := declared.Implement(func(ctx workflow.Context, n int) (int, error) {
				if n == 0 {
					hook, err := decisions.New(ctx, workflow.Token("t"))
					if err != nil {
						return 0, err
					}
					link, err := workflow.AnswerLink(ctx, hook, workflow.Addressee("ada"))
					if err != nil {
						return 0, err
					}
					url = link.URL()
					if err := workflow.Sleep(ctx, time.Minute); err != nil {
						return 0, err
					}
					return declared.Restart(ctx, 1)
				}
				if err := workflow.Sleep(ctx, time.Hour); err != nil {
					return 0, err
				}
				switch tt.next {
				case "as another type":
					if _, err := others.New(ctx, workflow.Token("t")); err == nil {
						return 0, errors.New("it was opened as another type")
					}
				case "later", "with another form":
					if _, err := decisions.New(ctx, workflow.Token("t")); err != nil {
						return 0, err
					}
				}
				return 0, workflow.Sleep(ctx, 24*time.Hour)
			})
			with := answering(keyOne)
			with.Hooks = append(with.Hooks, others)
			l.run(with, wf)
			mustStart(l, declared, 0)
			l.advance(2 * time.Minute)
			state := func(want inspect.LinkState) {
				t.Helper()
				if got := l.page(url).Link().State; got != want {
					t.Errorf("%s: the link is %s, want %s", tt.next, got, want)
				}
				waiting, err := l.eng.Links(t.Context(), inspect.LinkFilter{Addressee: "ada"})
				if err != nil || len(waiting) > 0 != (want == inspect.LinkOpen) {
					t.Errorf("%s: while the link is %s, %v waits for ada, %v", tt.next, want, waiting, err)
				}
			}
			state(inspect.LinkClosed)
			if tt.next == "with another form" {
				type changed struct {
					Approved bool `json:"approved"`
					Amount   int  `json:"amount"`
				}
				with.Hooks = []workflow.HookDefinition{workflow.DefineHook[changed]("decision"), others}
				l.run(with, wf)
			}
			l.advance(2 * time.Hour)
			state(tt.want)
		})
	}
}

// A fork has links of its own: those of its origin lead to the origin.
func TestForkedLinks(t *testing.T) {
	t.Parallel()
	inLab(t, func(t *testing.T, l *lab) {
		var urls sync.Map // by run
		wf := workflow.Define("w", func(ctx workflow.Context, _ int) (decision, error) {
			hook, err := decisions.New(ctx)
			if err != nil {
				return decision{}, err
			}
			link, err := workflow.AnswerLink(ctx, hook, workflow.Addressee("ada"))
			if err != nil {
				return decision{}, err
			}
			urls.Store(workflow.InfoOf(ctx).RunID, link.URL())
			if err := workflow.Sleep(ctx, time.Minute); err != nil {
				return decision{}, err
			}
			urls.Store(workflow.InfoOf(ctx).RunID, link.URL())
			return hook.Wait(ctx)
		})
		l.run(answering(keyOne), wf)
		r := mustStart(l, wf, 0)
		l.advance(time.Second)
		fork, err := r.Fork(t.Context(), workflow.AtPosition(1))
		if err != nil {
			t.Fatal(err)
		}
		l.advance(2 * time.Minute)
		ofFork, _ := urls.Load(fork.ID())
		ofOrigin, _ := urls.Load(r.ID())
		own, origin := ofFork.(string), ofOrigin.(string)
		if own == origin {
			t.Fatalf("the fork has the link %q, as its origin", own)
		}
		if got := l.answer(own, decision{Reason: "fork"}); got != "recorded" {
			t.Errorf("answer to the fork was %s", got)
		}
		if got := l.answer(origin, decision{Reason: "origin"}); got != "recorded" {
			t.Errorf("answer to the origin was %s", got)
		}
		if d := mustResult(l, r); d.Reason != "origin" {
			t.Errorf("the origin got %+v", d)
		}
	})
}
