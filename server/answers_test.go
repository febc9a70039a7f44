package server_test

import (
	"bytes"
	"context"
	"html"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tenter-dev/tenter/engine"
	"github.com/tenter-dev/tenter/inspect"
	"github.com/tenter-dev/tenter/server"
	"github.com/tenter-dev/tenter/workflow"
)

type verdict struct {
	Approved bool   `json:"approved"`
	Reason   string `json:"reason,omitempty"`
	Amount   int    `json:"amount,omitempty"`
}

func (v verdict) Validate() error {
	if v.Amount < 0 {
		return &amountError{}
	}
	return nil
}

type amountError struct{}

func (*amountError) Error() string { return "no amount is less than nothing" }
func (*amountError) Field() string { return "amount" }

var verdicts = workflow.DefineHook[verdict]("verdict")

// answering is a lab that serves answer pages, and asks the addressees.
func answering(t *testing.T, opts server.AnswerOptions, to []string, more ...workflow.LinkOption) (l *lab, run *workflow.Run[[]verdict], links []string) {
	t.Helper()
	l = newLab(t)
	opts.Logger = l.logger()
	l.handle(server.AnswerPath, func(e *engine.Engine) http.Handler { return server.Answers(e, opts) })
	wf := workflow.Define("asks", func(ctx workflow.Context, n int) (all []verdict, err error) {
		hook, err := verdicts.New(ctx, workflow.Metadata(map[string]any{
			"customer": "<script>alert(1)</script>", "contract": "https://files.example.com/7", "old": "http://files.example.com/7",
		}))
		if err != nil {
			return nil, err
		}
		for _, who := range to {
			link, err := workflow.AnswerLink(ctx, hook, slices.Concat([]workflow.LinkOption{workflow.Addressee(who)}, more)...)
			if err != nil {
				return nil, err
			}
			if err := workflow.Do(ctx, "send", func(context.Context) error { l.urls <- link.URL(); return nil }); err != nil {
				return nil, err
			}
		}
		for range n {
			v, err := hook.Wait(ctx)
			if err != nil {
				return nil, err
			}
			all = append(all, v)
		}
		return all, nil
	})
	l.run(withLinks(""), wf)
	run, err := wf.Start(t.Context(), l.eng, 1)
	if err != nil {
		t.Fatal(err)
	}
	for range to {
		links = append(links, <-l.urls)
	}
	return l, run, links
}

// withLinks are the options of an engine whose runs make links.
func withLinks(publicURL string) engine.Options {
	return engine.Options{
		PublicURL: publicURL, Hooks: []workflow.HookDefinition{verdicts}, AnswerKeys: []engine.AnswerKey{{ID: "k", Key: bytes.Repeat([]byte("k"), 32)}},
	}
}

// page is the answer to a request.
type page struct {
	status int
	header http.Header
	text   string
}

// ask sends a request, as a browser does from the page itself.
func (l *lab) ask(method, to string, form url.Values, change ...func(*http.Request)) page {
	l.Helper()
	var body io.Reader
	if form != nil {
		body = strings.NewReader(form.Encode())
	}
	r, err := http.NewRequestWithContext(l.Context(), method, to, body)
	if err != nil {
		l.Fatal(err)
	}
	if form != nil {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.Header.Set("Sec-Fetch-Site", "same-origin")
	}
	for _, f := range change {
		f(r)
	}
	client := http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	resp, err := client.Do(r)
	if err != nil {
		l.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		l.Fatal(err)
	}
	return page{resp.StatusCode, resp.Header, string(text)}
}

// visit is ask without a socket, for fake time.
func (l *lab) visit(h http.Handler, method, to string, form url.Values) page {
	l.Helper()
	r := httptest.NewRequestWithContext(l.Context(), method, to, strings.NewReader(form.Encode()))
	if form != nil {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.Header.Set("Sec-Fetch-Site", "same-origin")
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return page{w.Code, w.Header(), w.Body.String()}
}

var (
	inputs  = regexp.MustCompile(`<input[^>]* name="([^"]*)"[^>]*>`)
	values  = regexp.MustCompile(` value="([^"]*)"`)
	buttons = regexp.MustCompile(`<button name="(f[^"]*)" value="([^"]*)"`)
)

// form is what the form of a page sends, without a button.
func (p page) form() url.Values {
	sent := url.Values{}
	for _, m := range inputs.FindAllStringSubmatch(p.text, -1) {
		value := ""
		if v := values.FindStringSubmatch(m[0]); v != nil {
			value = html.UnescapeString(v[1])
		}
		sent.Set(html.UnescapeString(m[1]), value)
	}
	return sent
}

// buttons are the values of those that answer.
func (p page) buttons() []string {
	all := []string{}
	for _, m := range buttons.FindAllStringSubmatch(p.text, -1) {
		all = append(all, html.UnescapeString(m[2]))
	}
	return all
}

func (p page) wants(l *lab, status int, parts ...string) {
	l.Helper()
	if p.status != status {
		l.Errorf("status is %d, want %d:\n%s", p.status, status, p.text)
	}
	for _, part := range parts {
		if !strings.Contains(p.text, part) {
			l.Errorf("%q is not in the page:\n%s", part, p.text)
		}
	}
}

func TestAnswerPage(t *testing.T) {
	t.Parallel()
	l, run, links := answering(t, server.AnswerOptions{}, []string{"ada@example.com"},
		workflow.PageTitle("Is it <b>right</b>?"), workflow.PageText("Look at it.\n\nThen answer."))
	p := l.ask("GET", links[0], nil)
	p.wants(l, 200, "<h1 class=\"any\">Is it &lt;b&gt;right&lt;/b&gt;?</h1>", "<p class=\"any\">Then answer.</p>", "&lt;script&gt;alert(1)&lt;/script&gt;",
		`<a href="https://files.example.com/7"`, "ada@example.com", "do not pass it on")
	if strings.Contains(p.text, `href="http:`) || strings.Contains(p.text, "<script") {
		t.Errorf("the page has what others can write:\n%s", p.text)
	}
	for name, want := range map[string]string{
		"Cache-Control": "no-store", "Referrer-Policy": "strict-origin", "X-Robots-Tag": "noindex, nofollow, noarchive", "X-Frame-Options": "DENY",
	} {
		if got := p.header.Get(name); got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
	if policy := p.header.Get("Content-Security-Policy"); !strings.Contains(policy, "default-src 'none'") || !strings.Contains(policy, "frame-ancestors 'none'") {
		t.Errorf("policy is %s", policy)
	}
	if diff := cmp.Diff([]string{"true", "false"}, p.buttons()); diff != "" {
		t.Errorf("buttons (-want +got):\n%s", diff)
	}
	sent := p.form()
	sent.Set("f/approved", "true")
	sent.Set("f/reason", "fine & good")
	sent.Set("f/amount", "-1")
	wrong := l.ask("POST", links[0], sent)
	wrong.wants(l, 422, "No amount is less than nothing.", `value="-1"`, "fine &amp; good")
	sent.Set("f/amount", "7")
	l.ask("POST", links[0], sent).wants(l, 200, "Thank you", "fine &amp; good")
	l.ask("POST", links[0], sent).wants(l, 410, "Already answered", "fine &amp; good", "By the link issued to")
	l.ask("GET", links[0], nil).wants(l, 410, "Already answered")
	got, err := run.Result(t.Context())
	if diff := cmp.Diff([]verdict{{Approved: true, Reason: "fine & good", Amount: 7}}, got); diff != "" || err != nil {
		t.Errorf("result: %v (-want +got):\n%s", err, diff)
	}
	if strings.Contains(l.logs.String(), links[0][len(links[0])-40:]) {
		t.Errorf("the log has the link:\n%s", l.logs)
	}
}

// Whoever looks at all links, and sends forms without having seen them, answers nothing.
func TestScannersAnswerNothing(t *testing.T) {
	t.Parallel()
	l, run, links := answering(t, server.AnswerOptions{}, []string{"ada"})
	for _, query := range []string{"", "?choice=true", "?choice=false", "?choice=other", "?_token=x&f/approved=true"} {
		for range 20 {
			l.ask("GET", links[0]+query, nil).wants(l, 200)
			if p := l.ask("HEAD", links[0]+query, nil); p.status != 200 || p.text != "" {
				t.Errorf("HEAD: %d %q", p.status, p.text)
			}
		}
	}
	good := l.ask("GET", links[0], nil).form()
	good.Set("f/approved", "false")
	without := func(names ...string) url.Values {
		form := url.Values{}
		for name, v := range good {
			if !slices.Contains(names, name) {
				form[name] = v
			}
		}
		return form
	}
	l.ask("POST", links[0], url.Values{"f/approved": {"true"}}).wants(l, 422)
	good.Set("f/reason", "written by a stranger")
	other := url.Values{"_token": {strings.Replace(good.Get("_token"), "k.", "k.x", 1)}, "_key": good["_key"], "f/approved": {"true"}, "f/reason": good["f/reason"], "_add": {"f"}}
	for _, form := range []url.Values{without("_token"), without("_key"), other} { // nobody has shown it
		p := l.ask("POST", links[0], form)
		p.wants(l, 422, "This page was out of date")
		if strings.Contains(p.text, "stranger") {
			t.Errorf("what was not sent from the page is in it:\n%s", p.text)
		}
	}
	good.Del("f/reason")
	for _, header := range []map[string]string{
		{}, {"Sec-Fetch-Site": "cross-site"}, {"Sec-Fetch-Site": "same-site"}, {"Sec-Fetch-Site": "none"}, {"Origin": "null"}, {"Origin": "https://evil.example"},
	} {
		l.ask("POST", links[0], good, func(r *http.Request) {
			r.Header.Del("Sec-Fetch-Site")
			for name, value := range header {
				r.Header.Set(name, value)
			}
		}).wants(l, 403)
	}
	for _, method := range []string{"PUT", "DELETE", "PATCH", "OPTIONS"} {
		l.ask(method, links[0], good).wants(l, 405)
	}
	// Its person can still answer.
	l.ask("POST", links[0], good, func(r *http.Request) {
		r.Header.Del("Sec-Fetch-Site")
		r.Header.Set("Origin", l.srv.URL)
	}).wants(l, 200, "Thank you")
	got, err := run.Result(t.Context())
	if diff := cmp.Diff([]verdict{{}}, got); diff != "" || err != nil {
		t.Errorf("result: %v (-want +got):\n%s", err, diff)
	}
}

func TestChoices(t *testing.T) {
	t.Parallel()
	l, _, links := answering(t, server.AnswerOptions{}, []string{"ada"})
	for query, want := range map[string][]string{"?choice=true": {"true"}, "?choice=false": {"false"}, "?choice=x": {"true", "false"}, "": {"true", "false"}} {
		p := l.ask("GET", links[0]+query, nil)
		if diff := cmp.Diff(want, p.buttons()); diff != "" {
			t.Errorf("buttons for %q (-want +got):\n%s", query, diff)
		}
	}
	l, _, links = answering(t, server.AnswerOptions{}, []string{"ada"}, workflow.Choices(false), workflow.CommentWith("reason", false))
	p := l.ask("GET", links[0], nil)
	if diff := cmp.Diff([]string{"false"}, p.buttons()); diff != "" {
		t.Errorf("buttons (-want +got):\n%s", diff)
	}
	sent := p.form()
	sent.Set("f/approved", "true")
	l.ask("POST", links[0], sent).wants(l, 422)
	sent.Set("f/approved", "false")
	l.ask("POST", links[0], sent).wants(l, 422, "Say why.")
	sent.Set("f/reason", "so")
	l.ask("POST", links[0], sent).wants(l, 200, "Thank you")
}

// What was forged is not told from what is unknown, and only what was real says what has become of it.
func TestLinksThatAreOver(t *testing.T) {
	t.Parallel()
	l, run, links := answering(t, server.AnswerOptions{}, []string{"ada", "bob", "eve"})
	at := strings.LastIndexByte(links[0], '/') + 1
	parts := strings.Split(links[0][at:], ".")
	unknown := l.ask("GET", links[0][:at]+"x", nil)
	unknown.wants(l, 404, "There is no such link")
	for _, signed := range []string{
		"", parts[2], "1.k." + parts[2] + "." + strings.Repeat("A", 43), "1.k.other." + parts[3], "1.x." + parts[2] + "." + parts[3], links[0][at:] + "/", links[0][at:] + "/x",
	} {
		got := l.ask("GET", links[0][:at]+signed, nil)
		got.header.Del("Date")
		unknown.header.Del("Date")
		if diff := cmp.Diff(unknown, got, cmp.AllowUnexported(page{})); diff != "" {
			t.Errorf("%q (-unknown +got):\n%s", signed, diff)
		}
	}
	form := l.ask("GET", links[1], nil).form()
	form.Set("f/approved", "true")
	all, err := l.eng.Links(t.Context(), inspectLinks(run.ID()))
	if err != nil {
		t.Fatal(err)
	}
	if err := l.eng.RevokeLink(t.Context(), all[1].ID); err != nil {
		t.Fatal(err)
	}
	l.ask("GET", links[1], nil).wants(l, 410, "This link was taken back")
	l.ask("POST", links[1], form).wants(l, 410, "This link was taken back")
	form = l.ask("GET", links[0], nil).form()
	form.Set("f/approved", "true")
	l.ask("POST", links[0], form).wants(l, 200)
	if _, err := run.Result(t.Context()); err != nil {
		t.Fatal(err)
	}
	l.ask("GET", links[2], nil).wants(l, 410, "This is closed")
	l.ask("GET", links[0], nil).wants(l, 410, "Already answered")
}

func TestExpiredLink(t *testing.T) {
	t.Parallel()
	l, _, links := answering(t, server.AnswerOptions{}, []string{"ada"}, workflow.ExpiresIn(time.Microsecond))
	l.ask("GET", links[0], nil).wants(l, 410, "This link has expired")
}

func TestAnswerOnce(t *testing.T) {
	t.Parallel()
	l, _, links := answering(t, server.AnswerOptions{}, []string{"ada", "bob"}, workflow.Once())
	bobs := l.ask("GET", links[1], nil).form()
	form := l.ask("GET", links[0], nil).form()
	form.Set("f/approved", "true")
	l.ask("POST", links[0], form).wants(l, 200)
	bobs.Set("f/approved", "false")
	p := l.ask("POST", links[1], bobs)
	p.wants(l, 410, "Already decided")
	if strings.Contains(p.text, "Recorded answer") {
		t.Errorf("the page shows the answer of somebody else:\n%s", p.text)
	}
}

func TestRequireIdentity(t *testing.T) {
	t.Parallel()
	opts := server.AnswerOptions{
		RequireIdentity: true,
		Authenticate: func(w http.ResponseWriter, r *http.Request) (string, bool) {
			who := r.Header.Get("X-User")
			if who == "" {
				http.Redirect(w, r, "/sign-in", http.StatusSeeOther)
			}
			return who, who != ""
		},
	}
	as := func(who string) func(*http.Request) { return func(r *http.Request) { r.Header.Set("X-User", who) } }
	l, _, links := answering(t, opts, []string{"ada"})
	if p := l.ask("GET", links[0], nil); p.status != 303 || p.header.Get("Location") != "/sign-in" {
		t.Errorf("without a session: %d %v", p.status, p.header)
	}
	p := l.ask("GET", links[0], nil, as("bob"))
	p.wants(l, 403, "This link is for somebody else")
	if strings.Contains(p.text, "files.example.com") {
		t.Errorf("somebody else sees the page:\n%s", p.text)
	}
	p = l.ask("GET", links[0], nil, as("ada"))
	p.wants(l, 200, "You are signed in as")
	form := p.form()
	form.Set("f/approved", "true")
	l.ask("POST", links[0], form, as("bob")).wants(l, 403)
	l.ask("POST", links[0], form, as("ada")).wants(l, 200, "Thank you")
}

// A person whose name at sign-in can't be recorded learns it before the form is filled in.
func TestIdentityThatIsNoName(t *testing.T) {
	t.Parallel()
	opts := server.AnswerOptions{Authenticate: func(_ http.ResponseWriter, r *http.Request) (string, bool) {
		name, err := url.QueryUnescape(r.Header.Get("X-User"))
		return name, err == nil
	}}
	l, _, links := answering(t, opts, []string{"ada"})
	as := func(who string) func(*http.Request) {
		return func(r *http.Request) { r.Header.Set("X-User", url.QueryEscape(who)) }
	}
	longest := strings.Repeat("x", 256)
	form := l.ask("GET", links[0], nil, as(longest)).form()
	form.Set("f/approved", "true")
	for _, who := range []string{longest + "x", "a\nb", "\xff", "a\x00"} {
		l.ask("GET", links[0], nil, as(who)).wants(l, 403, "can&#39;t be recorded")
		l.ask("POST", links[0], form, as(who)).wants(l, 403, "can&#39;t be recorded")
	}
	l.ask("POST", links[0], form, as(longest)).wants(l, 200, "Thank you")
}

// The record says by whose link an answer came, and who has given it if the server has asked.
func TestWhoAnswered(t *testing.T) {
	t.Parallel()
	signedIn := func(http.ResponseWriter, *http.Request) (string, bool) { return "bob", true }
	for name, tt := range map[string]struct {
		opts server.AnswerOptions
		want string
	}{
		"nobody was asked": {server.AnswerOptions{}, "the link issued to ada"},
		"signed in":        {server.AnswerOptions{Authenticate: signedIn}, "bob (app)"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l, r, links := answering(t, tt.opts, []string{"ada"})
			form := l.ask("GET", links[0], nil).form()
			form.Set("f/approved", "true")
			l.ask("POST", links[0], form).wants(l, 200, "Thank you")
			if _, err := r.Result(t.Context()); err != nil {
				t.Fatal(err)
			}
			of, err := l.eng.Links(t.Context(), inspectLinks(r.ID()))
			if err != nil {
				t.Fatal(err)
			}
			events, err := l.eng.Journal(t.Context(), r.ID(), 0, 100)
			if err != nil {
				t.Fatal(err)
			}
			for _, e := range events {
				if e.Kind == "payload_received" && (e.By.String() != tt.want || e.By.Link != of[0].ID) {
					t.Errorf("the answer is by %+v, want %s with link %s", e.By, tt.want, of[0].ID)
				}
			}
			if !slices.ContainsFunc(events, func(e inspect.Event) bool { return e.Kind == "payload_received" }) {
				t.Error("the journal has no answer")
			}
		})
	}
}

// A form that was open for more than an hour is shown again, with what was filled in, and can be sent then.
func TestFormThatWasOpenForLong(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l, end := bubbleLab(t)
		defer end()
		wf := workflow.Define("asks", func(ctx workflow.Context, _ int) (verdict, error) {
			hook, err := verdicts.New(ctx)
			if err != nil {
				return verdict{}, err
			}
			if err := asks(ctx, l, hook); err != nil {
				return verdict{}, err
			}
			return hook.Wait(ctx)
		})
		l.runExactly(withLinks("https://app.test"), wf)
		run, link := open(l, wf, 0)
		h := server.Answers(l.eng, server.AnswerOptions{Logger: l.logger()})
		const stale = "This page was out of date"

		filled := l.visit(h, "GET", link, nil).form()
		shown := filled.Get("_token")
		filled.Set("f/approved", "true")
		filled.Set("f/reason", "written over lunch")
		filled.Set("f/amount", "-1")
		<-time.After(59 * time.Minute)
		p := l.visit(h, "POST", link, filled)
		p.wants(l, 422, "No amount is less than nothing.")
		if strings.Contains(p.text, stale) {
			t.Errorf("after 59 minutes the form is out of date:\n%s", p.text)
		}
		filled.Set("f/amount", "7") // now it fits
		<-time.After(2 * time.Minute)
		p = l.visit(h, "POST", link, filled)
		p.wants(l, 422, stale, `value="written over lunch"`, `value="7"`)
		if all, err := l.eng.Links(t.Context(), inspectLinks(run.ID())); err != nil || all[0].State != inspect.LinkOpen {
			t.Errorf("the link is %+v, %v", all, err)
		}
		again := p.form()
		if again.Get("_token") == shown {
			t.Error("the form that is shown again has the token of before")
		}
		again.Set("f/approved", "true")
		l.visit(h, "POST", link, again).wants(l, 200, "Thank you")
		if diff := cmp.Diff(verdict{Approved: true, Reason: "written over lunch", Amount: 7}, result(l, run)); diff != "" {
			t.Errorf("result (-want +got):\n%s", diff)
		}
	})
}

// While a run restarts in place, the page of a link that it has made says to try again. Once the hook is
// open again, the form that was shown before can be sent.
func TestAnswerWhileTheRunRestarts(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l, end := bubbleLab(t)
		defer end()
		next, goOn := make(chan struct{}, 10), make(chan struct{}) // it may be executed more than once
		declared := workflow.Declare[int, verdict]("restarts")
		wf := declared.Implement(func(ctx workflow.Context, generation int) (verdict, error) {
			if generation == 1 {
				next <- struct{}{}
				<-goOn
			}
			hook, err := verdicts.New(ctx, workflow.Token("verdict"))
			if err != nil {
				return verdict{}, err
			}
			if generation == 1 {
				return hook.Wait(ctx)
			}
			gate, err := workflow.NewHook[int](ctx, workflow.Token("gate"))
			if err != nil {
				return verdict{}, err
			}
			if err := asks(ctx, l, hook); err != nil {
				return verdict{}, err
			}
			if generation, err = gate.Wait(ctx); err != nil {
				return verdict{}, err
			}
			return declared.Restart(ctx, generation)
		})
		l.runExactly(withLinks("https://app.test"), wf)
		run, link := open(l, declared, 0)
		h := server.Answers(l.eng, server.AnswerOptions{Logger: l.logger()})

		filled := l.visit(h, "GET", link, nil).form()
		filled.Set("f/approved", "true")
		if _, err := workflow.Resume(t.Context(), l.eng, "gate", 1); err != nil {
			t.Fatal(err)
		}
		receive(l, next)
		for range 2 {
			for method, form := range map[string]url.Values{"GET": nil, "POST": filled} {
				p := l.visit(h, method, link, form)
				p.wants(l, 503, "Try again in a few seconds.")
				if p.header.Get("Retry-After") == "" {
					t.Errorf("%s: there is no Retry-After: %v", method, p.header)
				}
			}
		}
		if all, err := l.eng.Links(t.Context(), inspectLinks(run.ID())); err != nil || len(all) != 1 || all[0].State != inspect.LinkCarried {
			t.Errorf("the links are %+v, %v", all, err)
		}
		close(goOn)
		synctest.Wait()
		l.visit(h, "GET", link, nil).wants(l, 200)
		l.visit(h, "POST", link, filled).wants(l, 200, "Thank you")
		if diff := cmp.Diff(verdict{Approved: true}, result(l, run)); diff != "" {
			t.Errorf("result (-want +got):\n%s", diff)
		}
	})
}

// asks makes a link for ada, and tells the test.
func asks(ctx workflow.Context, l *lab, hook *workflow.Hook[verdict]) error {
	link, err := workflow.AnswerLink(ctx, hook, workflow.Addressee("ada"))
	if err != nil {
		return err
	}
	return workflow.Do(ctx, "send", func(context.Context) error { l.urls <- link.URL(); return nil })
}

func inspectLinks(runID string) inspect.LinkFilter { return inspect.LinkFilter{RunID: runID} }
