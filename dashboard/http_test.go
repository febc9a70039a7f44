package dashboard_test

import (
	"bufio"
	"bytes"
	"context"
	"html"
	"io"
	"log/slog"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tenter-dev/tenter/access"
	"github.com/tenter-dev/tenter/dashboard"
	"github.com/tenter-dev/tenter/engine"
	"github.com/tenter-dev/tenter/inspect"
	"github.com/tenter-dev/tenter/store"
	"github.com/tenter-dev/tenter/workflow"
)

const (
	readSecret  = "a-secret-for-readers"
	writeSecret = "a-secret-for-writers"
)

var keys = access.Policy{APIKeys: []access.APIKey{{Secret: readSecret, Scope: access.Read}, {Secret: writeSecret, Scope: access.Write}}}

// visitor is a browser as far as HTTP goes: it keeps cookies and stays where it is sent.
type visitor struct {
	*world
	http.Client
}

func newVisitor(w *world) *visitor {
	jar, err := cookiejar.New(nil)
	if err != nil {
		w.Fatal(err)
	}
	return &visitor{w, http.Client{Jar: jar, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}}
}

// answer is what of a response is looked at.
type answer struct {
	StatusCode int
	Status     string
	Header     http.Header
	Cookies    []*http.Cookie
}

// ask sends a request, of a form if there is one, with headers. It returns the body too.
func (v *visitor) ask(method, path string, form url.Values, header ...string) (answer, string) {
	v.Helper()
	r, err := http.NewRequestWithContext(v.Context(), method, v.url+path, strings.NewReader(form.Encode()))
	if err != nil {
		v.Fatal(err)
	}
	if form != nil {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
		if header[i] == "Host" {
			r.Host = header[i+1]
		}
	}
	res, err := v.Do(r)
	if err != nil {
		v.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		v.Fatal(err)
	}
	return answer{res.StatusCode, res.Status, res.Header, res.Cookies()}, string(body)
}

func (v *visitor) get(path string, header ...string) (answer, string) {
	v.Helper()
	return v.ask(http.MethodGet, path, nil, header...)
}

func TestHeaders(t *testing.T) {
	t.Parallel()
	w := newWorld(t, dashboard.Options{})
	v := newVisitor(w)
	inline := regexp.MustCompile(`(?i)<style|\sstyle=|\son[a-z]+=|<script>|<script [^>]*>[^<]`)
	var asset string
	for name, path := range views(w) {
		res, body := v.get(path)
		if res.StatusCode != http.StatusOK && name != "none" {
			t.Errorf("%s: %s\n%s", name, res.Status, body)
		}
		for header, want := range map[string]string{
			"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff", "X-Frame-Options": "DENY", "Referrer-Policy": "same-origin",
			"Cross-Origin-Opener-Policy": "same-origin", "Cross-Origin-Resource-Policy": "same-origin", "Content-Type": "text/html; charset=utf-8",
		} {
			if got := res.Header.Get(header); got != want {
				t.Errorf("%s: %s is %q, want %q", name, header, got, want)
			}
		}
		csp := res.Header.Get("Content-Security-Policy")
		if !strings.HasPrefix(csp, "default-src 'none';") || strings.Contains(csp, "unsafe") {
			t.Errorf("%s: the policy is %q", name, csp)
		}
		if found := inline.FindString(body); found != "" {
			t.Errorf("%s has %q in it", name, found)
		}
		for _, m := range regexp.MustCompile(`(?:href|src|action)="([^"]*)"`).FindAllStringSubmatch(body, -1) {
			if strings.HasPrefix(m[1], "/") || strings.Contains(m[1], "://") {
				t.Errorf("%s refers to %s: it could not be mounted anywhere, or needs the network", name, m[1])
			}
			if strings.HasSuffix(m[1], ".css") {
				asset = m[1]
			}
		}
	}
	res, body := v.get(asset)
	if res.StatusCode != http.StatusOK || !strings.Contains(res.Header.Get("Cache-Control"), "immutable") || !strings.HasPrefix(res.Header.Get("Content-Type"), "text/css") {
		t.Errorf("%s: %s %v", asset, res.Status, res.Header)
	}
	if strings.Contains(body, "url(") || strings.Contains(body, "@import") {
		t.Error("the style loads something")
	}
}

func TestMount(t *testing.T) {
	t.Parallel()
	w := newWorld(t, dashboard.Options{})
	for name, handler := range map[string]http.Handler{
		"/":     w.dash,
		"/a/b/": http.StripPrefix("/a/b", w.dash),
		"/x/":   http.StripPrefix("/x/", w.dash),
	} {
		mux := http.NewServeMux()
		mux.Handle(name, handler)
		srv := httptest.NewServer(mux)
		for _, path := range []string{"", "hooks", "workflows"} {
			res, err := srv.Client().Get(srv.URL + name + path) //nolint:noctx // it is here
			if err != nil {
				t.Fatal(err)
			}
			_ = res.Body.Close()
			if res.StatusCode != http.StatusOK {
				t.Errorf("mounted at %s, %q is %s", name, path, res.Status)
			}
		}
		srv.Close()
	}
}

// What a page elsewhere makes a browser send changes nothing.
func TestForgery(t *testing.T) {
	t.Parallel()
	w := newWorld(t, dashboard.Options{})
	run := start(w, untyped, "token", workflow.RunID("one"))
	h := opened(w, run)
	v := newVisitor(w)
	act := url.Values{"id": {"one"}, "do": {"terminate"}}
	for name, header := range map[string][]string{
		"another site":   {"Sec-Fetch-Site", "cross-site", "Origin", "https://evil.example"},
		"a site beside":  {"Sec-Fetch-Site", "same-site"},
		"an old browser": {"Origin", "https://evil.example"},
	} {
		for path, form := range map[string]url.Values{
			"act": act, "hook?run=one&id=" + h.ID: {"_json": {"1"}, "_key": {"0123456789abcdef"}}, "start?workflow=resize": {"_json": {"1"}},
			"theme": {"theme": {"dark"}},
		} {
			if res, _ := v.ask(http.MethodPost, path, form, header...); res.StatusCode != http.StatusForbidden {
				t.Errorf("%s: %s: %s", name, path, res.Status)
			}
		}
	}
	if res, _ := v.get("act?id=one&do=terminate"); res.StatusCode != http.StatusOK {
		t.Errorf("the confirmation: %s", res.Status)
	}
	if s, err := run.Status(t.Context()); err != nil || s.Ended() {
		t.Errorf("after all that the run is %s, %v", s, err)
	}
	if res, _ := v.ask(http.MethodPost, "act", act, "Sec-Fetch-Site", "same-origin"); res.StatusCode != http.StatusSeeOther {
		t.Errorf("from its own page: %s", res.Status)
	}
}

func TestSignIn(t *testing.T) {
	t.Parallel()
	w := newWorld(t, dashboard.Options{Access: keys})
	run := start(w, orders, order{"ada", nil, 1}, workflow.RunID("one"))
	opened(w, run)
	hidden := opened(w, start(w, secretive, "x"))
	secret := hidden.Token
	v := newVisitor(w)
	res, _ := v.get("run?id=one")
	if to := res.Header.Get("Location"); res.StatusCode != http.StatusSeeOther || to != "signin?back=run%3Fid%3Done" {
		t.Fatalf("without a session: %s to %q", res.Status, to)
	}
	for _, path := range []string{"live", "live?run=one"} {
		if res, _ := v.get(path); res.StatusCode != http.StatusUnauthorized {
			t.Errorf("%s without a session: %s", path, res.Status)
		}
	}
	if res, body := v.ask(http.MethodPost, "act", url.Values{"id": {"one"}, "do": {"terminate"}}); res.StatusCode != http.StatusUnauthorized || strings.Contains(body, "order-1") {
		t.Errorf("act without a session: %s", res.Status)
	}
	if res, _ := v.ask(http.MethodPost, "signin", url.Values{"key": {"a wrong one"}}); res.StatusCode != http.StatusUnauthorized {
		t.Errorf("a wrong token: %s", res.Status)
	}
	if res, _ := v.ask(http.MethodPost, "signin", url.Values{"key": {strings.Repeat("x", 64<<10)}}); res.StatusCode != http.StatusRequestEntityTooLarge {
		t.Errorf("a form of more than 64 KiB: %s", res.Status)
	}
	for back, want := range map[string]string{"run?id=one": "run?id=one", "//evil.example": "./", "https://evil.example": "./", "javascript:alert(1)": "./", `\\evil.example`: "./", "": "./", "signout": "./"} {
		res, _ := v.ask(http.MethodPost, "signin", url.Values{"key": {readSecret}, "back": {back}})
		if got := res.Header.Get("Location"); got != want {
			t.Errorf("back to %q leads to %q", back, got)
		}
		c := res.Cookies
		if len(c) != 1 || !c[0].HttpOnly || c[0].SameSite != http.SameSiteStrictMode || c[0].Path != "" || strings.Contains(c[0].Value, readSecret) {
			t.Fatalf("the cookie is %v", c)
		}
	}

	// A reader sees, and no more.
	for _, path := range []string{
		"", "run?id=one", "hooks", "workflows", "hook?run=one&id=one.h1",
		"run?id=" + hidden.RunID, "hook?run=" + hidden.RunID + "&id=" + hidden.ID, "journal?id=" + hidden.RunID, "event?position=1&id=" + hidden.RunID,
	} {
		res, body := v.get(path)
		if res.StatusCode != http.StatusOK || !strings.Contains(body, "read-only") {
			t.Errorf("%q for a reader: %s", path, res.Status)
		}
		for _, button := range []string{"Terminate", "Resume<", "Start again", `class="button"`, secret} {
			if strings.Contains(body, button) {
				t.Errorf("%q has %q for a reader", path, button)
			}
		}
	}
	for _, path := range []string{"act?id=one&do=cancel", "start?workflow=resize"} {
		if res, _ := v.get(path); res.StatusCode != http.StatusForbidden {
			t.Errorf("%s for a reader: %s", path, res.Status)
		}
	}
	for path, form := range map[string]url.Values{
		"act": {"id": {"one"}, "do": {"terminate"}}, "hook?run=one&id=one.h1": {"f/approved": {"true"}, "_key": {"0123456789abcdef"}}, "start?workflow=resize": {"_json": {"1"}},
	} {
		if res, _ := v.ask(http.MethodPost, path, form); res.StatusCode != http.StatusForbidden {
			t.Errorf("%s by a reader: %s", path, res.Status)
		}
	}

	// A writer acts, by a token in the header too.
	_, body := v.get("hooks", "Authorization", "Bearer "+writeSecret)
	if !strings.Contains(body, secret) {
		t.Error("who may resume does not see the token")
	}
	v.ask(http.MethodPost, "signin", url.Values{"key": {writeSecret}})
	if res, _ := v.ask(http.MethodPost, "act", url.Values{"id": {"one"}, "do": {"terminate"}}); res.StatusCode != http.StatusSeeOther {
		t.Errorf("act by a writer: %s", res.Status)
	}
	v.ask(http.MethodPost, "signout", url.Values{})
	if res, _ := v.get("hooks"); res.StatusCode != http.StatusSeeOther {
		t.Errorf("after signing out: %s", res.Status)
	}
	if res, _ := v.get("hooks", "Authorization", "Bearer "+writeSecret+"x"); res.StatusCode != http.StatusUnauthorized {
		t.Errorf("a wrong token in the header: %s", res.Status)
	}
}

// Signing out ends the session itself, not only the cookie of one browser.
func TestSignOut(t *testing.T) {
	t.Parallel()
	w := newWorld(t, dashboard.Options{Access: keys})
	signIn := func(secret string) (*visitor, string) {
		v := newVisitor(w)
		res, _ := v.ask(http.MethodPost, "signin", url.Values{"key": {secret}})
		if len(res.Cookies) != 1 {
			t.Fatalf("sign in: %s", res.Status)
		}
		return v, res.Cookies[0].Name + "=" + res.Cookies[0].Value
	}
	status := func(cookie string) int {
		res, _ := newVisitor(w).get("hooks", "Cookie", cookie)
		return res.StatusCode
	}
	v, cookie := signIn(writeSecret)
	_, other := signIn(writeSecret)
	_, reader := signIn(readSecret)
	if status(cookie) != http.StatusOK || status(other) != http.StatusOK || status(reader) != http.StatusOK {
		t.Fatal("signed in, and nothing to see")
	}
	if res, _ := v.ask(http.MethodPost, "signout", url.Values{}, "Sec-Fetch-Site", "cross-site"); res.StatusCode != http.StatusForbidden {
		t.Errorf("a page elsewhere signs people out: %s", res.Status)
	}
	v.ask(http.MethodPost, "signout", url.Values{})
	if status(cookie) != http.StatusSeeOther {
		t.Error("a copy of the cookie is good after signing out")
	}
	if res, _ := newVisitor(w).ask(http.MethodPost, "act", url.Values{"id": {"one"}, "do": {"terminate"}}, "Cookie", cookie); res.StatusCode != http.StatusUnauthorized {
		t.Errorf("after signing out it acts: %s", res.Status)
	}
	if status(other) != http.StatusOK {
		t.Error("signing out has ended the session of another browser")
	}

	// Everywhere: the sessions of the same token, and no others.
	v, cookie = signIn(writeSecret)
	if _, body := v.get("help"); !strings.Contains(body, "Sign out everywhere") {
		t.Error("nobody is told how to sign out everywhere")
	}
	v.ask(http.MethodPost, "signout", url.Values{"everywhere": {"1"}})
	if status(cookie) != http.StatusSeeOther || status(other) != http.StatusSeeOther {
		t.Error("signing out everywhere leaves sessions")
	}
	if status(reader) != http.StatusOK {
		t.Error("signing out everywhere has ended the session of another token")
	}

	// Signing in again leaves no session behind.
	v, cookie = signIn(readSecret)
	v.ask(http.MethodPost, "signin", url.Values{"key": {writeSecret}})
	if status(cookie) != http.StatusSeeOther {
		t.Error("the previous session is valid after signing in again")
	}
}

// A page that is open learns that its session has ended.
func TestSignOutEndsStreams(t *testing.T) {
	t.Parallel()
	w := newWorld(t, dashboard.Options{})
	synctest.Test(t, func(t *testing.T) {
		d := dashboard.New(quietClient{w.eng}, dashboard.Options{Access: keys})
		ask := func(ctx context.Context, method, path, body, cookie string) *httptest.ResponseRecorder {
			r := httptest.NewRequestWithContext(ctx, method, path, strings.NewReader(body))
			r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
			r.Header.Set("Cookie", cookie)
			rec := httptest.NewRecorder()
			d.ServeHTTP(rec, r)
			return rec
		}
		cookie, _, _ := strings.Cut(ask(t.Context(), http.MethodPost, "/signin", "key="+readSecret, "").Header().Get("Set-Cookie"), ";")
		ended := make(chan time.Time, 1)
		go func() {
			ask(t.Context(), http.MethodGet, "/live", "", cookie)
			ended <- time.Now()
		}()
		<-time.After(time.Minute)
		select {
		case <-ended:
			t.Error("the stream has ended before its session")
		default:
		}
		out := time.Now()
		ask(t.Context(), http.MethodPost, "/signout", "", cookie)
		if after := (<-ended).Sub(out); after > 15*time.Second {
			t.Errorf("the stream goes on for %v after its session", after)
		}
	})
}

// quietClient watches nothing.
type quietClient struct{ inspect.Client }

func (quietClient) Watch(ctx context.Context, _ string, _ func(inspect.Change)) error {
	<-ctx.Done()
	return nil
}

// With no keys configured there is one, and the log has the link to sign in with.
func TestGeneratedToken(t *testing.T) {
	t.Parallel()
	w := newWorld(t, dashboard.Options{})
	var log syncBuffer
	d := dashboard.New(w.eng, dashboard.Options{Logger: slog.New(slog.NewTextHandler(&log, nil))})
	mux := http.NewServeMux()
	mux.Handle("/made/", http.StripPrefix("/made", d))
	srv := httptest.NewServer(mux)
	defer srv.Close()
	w.url = srv.URL + "/made/"
	v := newVisitor(w)
	for range 2 {
		if res, _ := v.get("run?id=one", "Host", "evil.example"); res.StatusCode != http.StatusSeeOther {
			t.Fatalf("without the token: %s", res.Status)
		}
	}
	if _, body := v.get("signin?back=hooks"); !strings.Contains(body, "Its log has a link") {
		t.Error("nobody is told where the token is")
	}
	links := regexp.MustCompile(`link="?(\S+?)"?\n`).FindAllStringSubmatch(log.String(), -1)
	if len(links) != 1 {
		t.Fatalf("the log has %d links: %s", len(links), &log)
	}
	path, ok := strings.CutPrefix(links[0][1], w.url) // and not at evil.example
	if !ok || !strings.HasPrefix(path, "signin?key=") {
		t.Fatalf("the link is %s, and the dashboard is at %s", links[0][1], w.url)
	}
	secret := strings.TrimPrefix(path, "signin?key=")
	res, _ := v.get(path[:len(path)-1] + "%23&back=hooks")
	if to := res.Header.Get("Location"); to != "signin?back=hooks&wrong=1" || len(res.Cookies) > 0 {
		t.Errorf("a wrong link: %s to %q", res.Status, to)
	}
	if _, body := v.get("signin?back=hooks&wrong=1"); !strings.Contains(body, "not a key that is accepted") {
		t.Error("a wrong link says nothing")
	}
	res, _ = v.get(path + "&back=hooks")
	if to := res.Header.Get("Location"); res.StatusCode != http.StatusSeeOther || to != "hooks" || res.Header.Get("Referrer-Policy") != "no-referrer" {
		t.Errorf("the link: %s to %q, %v", res.Status, to, res.Header)
	}
	if len(res.Cookies) != 1 || strings.Contains(res.Cookies[0].Value, secret) {
		t.Errorf("the link sets %v", res.Cookies)
	}
	if res, body := v.get("start?workflow=resize"); res.StatusCode != http.StatusOK || strings.Contains(body, secret) {
		t.Errorf("signed in: %s", res.Status)
	}
	if res, _ := v.get(path + "&back=https://evil.example"); res.Header.Get("Location") != "./" {
		t.Errorf("the link leads to %q", res.Header.Get("Location"))
	}
	// Another process has another one.
	other := dashboard.New(w.eng, dashboard.Options{Logger: slog.New(slog.DiscardHandler)})
	rec := httptest.NewRecorder()
	other.ServeHTTP(rec, httptest.NewRequest(http.MethodGet, "/"+path, nil))
	if to := rec.Header().Get("Location"); !strings.HasPrefix(to, "signin?") {
		t.Errorf("the token is good elsewhere: %q", to)
	}
}

// syncBuffer is a log.
type syncBuffer struct {
	mu sync.Mutex
	bytes.Buffer
}

func (b *syncBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.Buffer.Write(p)
}

func (b *syncBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.Buffer.String()
}

func TestReadOnly(t *testing.T) {
	t.Parallel()
	w := newWorld(t, dashboard.Options{ReadOnly: true})
	opened(w, start(w, untyped, "token", workflow.RunID("one")))
	v := newVisitor(w)
	if res, body := v.get("run?id=one"); res.StatusCode != http.StatusOK || strings.Contains(body, "Terminate") {
		t.Errorf("the run: %s\n%s", res.Status, body)
	}
	if res, _ := v.ask(http.MethodPost, "act", url.Values{"id": {"one"}, "do": {"terminate"}}); res.StatusCode != http.StatusForbidden {
		t.Errorf("act: %s", res.Status)
	}
	if res, _ := v.get("signin"); res.StatusCode != http.StatusSeeOther {
		t.Errorf("there is nothing to sign in with: %s", res.Status)
	}
}

// A form that is sent twice counts once.
func TestTwice(t *testing.T) {
	t.Parallel()
	w := newWorld(t, dashboard.Options{})
	run := start(w, loop, "topic", workflow.RunID("one"))
	h := opened(w, run)
	v := newVisitor(w)
	_, body := v.get("hook?run=one&id=" + h.ID)
	key := regexp.MustCompile(`name="_key" value="([^"]+)"`).FindStringSubmatch(body)[1]
	form := url.Values{"_key": {key}, "_as": {"json"}, "_json": {`"hello"`}}
	for i, want := range []string{"notice=resumed", "notice=duplicate", "notice=duplicate"} {
		res, body := v.ask(http.MethodPost, "hook?run=one&id="+h.ID, form)
		if !strings.HasSuffix(res.Header.Get("Location"), want) {
			t.Errorf("time %d: %s to %q\n%s", i+1, res.Status, res.Header.Get("Location"), body)
		}
	}
	w.eventually(func() bool { return len(payloads(w, "one")) > 0 })
	if got := payloads(w, "one"); len(got) != 1 {
		t.Errorf("the run got %s", got)
	}

	_, body = v.get("start?workflow=resize")
	fresh := regexp.MustCompile(`name="fresh" value="([^"]+)"`).FindStringSubmatch(body)[1]
	form = url.Values{"_key": {key}, "fresh": {fresh}, "_as": {"json"}, "_json": {"1"}}
	for range 2 {
		if res, body := v.ask(http.MethodPost, "start?workflow=resize", form); !strings.HasPrefix(res.Header.Get("Location"), "run?id="+fresh) {
			t.Errorf("start: %s to %q\n%s", res.Status, res.Header.Get("Location"), body)
		}
	}
	form.Set("run_id", "one")
	if res, body := v.ask(http.MethodPost, "start?workflow=resize", form); res.StatusCode != http.StatusConflict || !strings.Contains(body, "There is a run one already") {
		t.Errorf("start with an ID that is taken: %s", res.Status)
	}
}

// What can't be done is said, with the status that fits.
func TestProblems(t *testing.T) {
	t.Parallel()
	w := newWorld(t, dashboard.Options{})
	done := start(w, quick, 1, workflow.RunID("done"))
	ended(w, done)
	v := newVisitor(w)
	for _, tt := range []struct {
		method, path string
		form         url.Values
		status       int
		says         string
	}{
		{"GET", "run?id=nobody", nil, 404, "No such run"},
		{"GET", "journal?id=nobody", nil, 404, "No such run"},
		{"GET", "event?id=done&position=99", nil, 404, "has no event 99"},
		{"GET", "event?id=done&position=x", nil, 400, "is a number"},
		{"GET", "payload?run=done&mail=x", nil, 404, "No such message"},
		{"GET", "hook?run=done&id=done.h1", nil, 404, "is not open"},
		{"GET", "run?id=%ff", nil, 422, "not valid UTF-8"},
		{"GET", "run?id=", nil, 422, "it is empty"},
		{"GET", "journal?id=%ff", nil, 422, "not valid UTF-8"},
		{"GET", "live?run=%ff", nil, 422, "not valid UTF-8"},
		{"GET", "hook?run=%ff&id=x", nil, 400, "is not a text"},
		{"GET", "?workflow=%ff", nil, 400, "is not a text"},
		{"GET", "?prefix=%00", nil, 400, "is not a text"},
		{"GET", "hooks?type=%ff", nil, 400, "is not a text"},
		{"GET", "links?addressee=%ff", nil, 400, "is not a text"},
		{"GET", "links?addressee=ada&after=x", nil, 400, "has to be a number"},
		{"GET", "links?addressee=ada&after=-1", nil, 400, "be negative"},
		{"GET", "live?run=nobody", nil, 404, "No such run"},
		{"GET", "?status=asleep", nil, 400, "there is no status"},
		{"GET", "?since=yesterday", nil, 400, "is not a time"},
		{"GET", "start", nil, 400, "which workflow"},
		{"GET", "nothing/here", nil, 404, "No such page"},
		{"GET", "act?id=done&do=cancel", nil, 409, "is completed by now"},
		{"POST", "act", url.Values{"id": {"done"}, "do": {"cancel"}}, 409, "The run has ended"},
		{"POST", "act", url.Values{"id": {"done"}, "do": {"retry"}}, 409, "be retried"},
		{"POST", "act", url.Values{"id": {"done"}, "do": {"sing"}}, 400, "no such action"},
		{"POST", "act", url.Values{"id": {"nobody"}, "do": {"wake"}}, 404, "No such run"},
		{"POST", "act", url.Values{"id": {"\xff"}, "do": {"wake"}}, 400, "not valid UTF-8"},
		{"POST", "start?workflow=resize", url.Values{"_key": {"0123456789abcdef"}, "_json": {"1"}, "_as": {"json"}, "run_id": {"\xff"}}, 400, "not valid UTF-8"},
		{"POST", "start?workflow=resize", url.Values{"_key": {"0123456789abcdef"}, "_json": {"1"}, "_as": {"json"}, "run_id": {"a\x01"}}, 422, "control characters"},
		{"POST", "start?workflow=nothing", url.Values{"_key": {"0123456789abcdef"}, "_json": {"1"}}, 422, "unknown workflow"},
	} {
		res, body := v.ask(tt.method, tt.path, tt.form)
		if res.StatusCode != tt.status || !strings.Contains(body, tt.says) {
			t.Errorf("%s %s %v: %s, want %d and %q\n%s", tt.method, tt.path, tt.form, res.Status, tt.status, tt.says, body)
		}
	}
}

// JSON in a form is held to the hook's type like any other.
func TestMisspeltField(t *testing.T) {
	t.Parallel()
	w := newWorld(t, dashboard.Options{})
	h := opened(w, start(w, orders, order{"ada", nil, 1}, workflow.RunID("order-1")))
	v := newVisitor(w)
	for text, says := range map[string]string{
		`{"aproved": true}`:                "there is no field &#34;aproved&#34;",
		`{"Approved": true}`:               "it is written &#34;approved&#34;",
		`{"comment": "a", "comment": "b"}`: "comment: the name occurs twice",
		`{"comment": "\ud800"}`:            "half of a surrogate pair",
	} {
		form := url.Values{"_key": {"0123456789abcdef"}, "_as": {"json"}, "_json": {text}}
		res, body := v.ask(http.MethodPost, "hook?run=order-1&id="+h.ID, form)
		if res.StatusCode != http.StatusUnprocessableEntity || !strings.Contains(body, says) {
			t.Errorf("%s: %s, want %q\n%s", text, res.Status, says, body)
		}
	}
	if got := payloads(w, "order-1"); len(got) > 0 {
		t.Errorf("the run got %s", got)
	}
}

// Payloads are shown in part, and all of them is a link away.
func TestLargePayload(t *testing.T) {
	t.Parallel()
	w := newWorld(t, dashboard.Options{})
	v := newVisitor(w)
	ended(w, start(w, echo, strings.Repeat("0123456789", 100_000), workflow.RunID("big")))
	res, body := v.get("run?id=big")
	if len(body) > 100_000 {
		t.Errorf("the page has %d bytes", len(body))
	}
	if !strings.Contains(body, "The first part of more than 8.2 kB") {
		t.Error("it does not say that there is more")
	}
	m := regexp.MustCompile(`href="(payload\?event=1[^"]*)"`).FindStringSubmatch(body)
	if res.StatusCode != http.StatusOK || m == nil {
		t.Fatalf("%s; it has no link to all of it", res.Status)
	}
	path := strings.ReplaceAll(m[1], "&amp;", "&")
	if _, body := v.get(path); len(body) < 1_000_000 {
		t.Errorf("all of it has %d bytes", len(body))
	}
	res, body = v.get(path + "&download=1")
	if body != `"`+strings.Repeat("0123456789", 100_000)+`"` || res.Header.Get("Content-Type") != "application/octet-stream" || !strings.HasPrefix(res.Header.Get("Content-Disposition"), "attachment") {
		t.Errorf("the download has %d bytes, %v", len(body), res.Header)
	}
}

// A timeline has the patches that the run has taken, as moments.
func TestPatch(t *testing.T) {
	t.Parallel()
	patched := workflow.Define("patched", func(ctx workflow.Context, _ string) (bool, error) {
		return workflow.Patched(ctx, "fraud check"), nil
	})
	w := newWorld(t, dashboard.Options{}, func(o *engine.Options) { o.Workflows = append(o.Workflows, patched) })
	ended(w, start(w, patched, "", workflow.RunID("one")))
	_, body := newVisitor(w).get("run?id=one")
	item := regexp.MustCompile(`(?s)<li class="item patch done".*?</li>`).FindString(body)
	text := strings.Join(strings.Fields(regexp.MustCompile(`<[^>]*>`).ReplaceAllString(item, " ")), " ")
	if !strings.HasPrefix(text, "patch fraud check , taken ") || !strings.Contains(text, " At ") || !strings.Contains(item, `class="mark"`) {
		t.Errorf("the item is\n%s\n%s", text, item)
	}
}

// A run, and all runs of a workflow, are paused and resumed; the pages say by whom and why.
func TestPause(t *testing.T) {
	t.Parallel()
	var user atomic.Value
	user.Store("")
	w := newWorld(t, dashboard.Options{Access: access.Policy{
		Unauthenticated: access.Write, Name: func(*http.Request) string { return user.Load().(string) }, //nolint:forcetypeassert // it is one
	}})
	v := newVisitor(w)
	on := func(path string, want ...string) {
		t.Helper()
		_, body := v.get(path)
		for _, text := range want {
			if !strings.Contains(body, text) {
				t.Errorf("%q is not on %s", text, path)
			}
		}
	}
	act := func(form url.Values, want string) {
		t.Helper()
		if res, _ := v.ask(http.MethodPost, "act", form); res.StatusCode != http.StatusSeeOther || !strings.Contains(res.Header.Get("Location"), want) {
			t.Errorf("%v: %s, to %q", form, res.Status, res.Header.Get("Location"))
		}
	}
	user.Store("bob")
	act(url.Values{"workflow": {"resize"}, "do": {"pause"}, "reason": {"a bad deploy"}}, "notice=pause-workflow")
	user.Store("")
	act(url.Values{"workflow": {"of another program"}, "do": {"pause"}}, "notice=pause-workflow")
	on("workflows", "by <bdi>bob (dashboard)</bdi>", "a bad deploy", "act?do=resume&amp;workflow=resize", "of another program")
	on("act?do=resume&workflow=resize", "Resume all runs of this workflow?")
	run := start(w, quick, 3, workflow.RunID("one"))
	on("run?id=one", "All runs of the workflow", "<b><bdi>bob (dashboard)</bdi></b>", "act?do=pause&amp;id=one")
	on("act?do=pause&id=one", "Pause this run?")
	user.Store("<ada>")
	on("act?do=pause&id=one", "It is recorded as done by <b><bdi>&lt;ada&gt;</bdi></b>.")
	act(url.Values{"id": {"one"}, "do": {"pause"}, "reason": {"<the bank> is closed"}}, "notice=pause")
	on("run?id=one", "Paused by <b><bdi>&lt;ada&gt; (dashboard)</bdi></b>", "&lt;the bank&gt; is closed", "act?do=resume&amp;id=one")
	on("?paused=1", "paused by &lt;ada&gt; (dashboard): &lt;the bank&gt; is closed", `name="paused" value="1" checked`)
	act(url.Values{"id": {"one"}, "do": {"resume"}}, "notice=goes-on")
	act(url.Values{"workflow": {"resize"}, "do": {"resume"}}, "notice=resume-workflow")
	ended(w, run)
	if _, body := v.get("?paused=1"); strings.Contains(body, "run?id=one") {
		t.Error("a run that has ended is listed as paused")
	}
	for path, form := range map[string]url.Values{"act?do=sing&workflow=resize": nil, "act": {"workflow": {"resize"}, "do": {"sing"}}} {
		method := http.MethodGet
		if form != nil {
			method = http.MethodPost
		}
		if res, _ := v.ask(method, path, form); res.StatusCode != http.StatusBadRequest {
			t.Errorf("%s %s: %s", method, path, res.Status)
		}
	}
}

// What somebody does in the dashboard is theirs: the pages of the run say so.
func TestActor(t *testing.T) {
	t.Parallel()
	named := access.APIKey{Name: "ada", Secret: "the-key-of-ada-0123456789", Scope: access.Write}
	w := newWorld(t, dashboard.Options{Access: access.Policy{APIKeys: []access.APIKey{named}}})
	v := newVisitor(w)
	v.ask(http.MethodPost, "signin", url.Values{"key": {named.Secret}})
	run := start(w, nap, time.Hour, workflow.RunID("one"))
	v.ask(http.MethodPost, "act", url.Values{"id": {run.ID()}, "do": {"terminate"}, "reason": {"enough"}})
	events, err := w.eng.Journal(t.Context(), run.ID(), 0, 10)
	if err != nil || len(events) == 0 {
		t.Fatalf("the journal has %d events, %v", len(events), err)
	}
	last := strconv.FormatInt(events[len(events)-1].Position, 10)
	for path, times := range map[string]int{"run?id=one": 2, "journal?id=one": 1, "event?id=one&position=" + last: 1} {
		if _, body := v.get(path); strings.Count(body, "<bdi>ada (dashboard)</bdi>") != times {
			t.Errorf("%s does not say %d times who did it:\n%s", path, times, body)
		}
	}
}

func TestStream(t *testing.T) {
	t.Parallel()
	w := newWorld(t, dashboard.Options{})
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, w.url+"live", nil)
	if err != nil {
		t.Fatal(err)
	}
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = res.Body.Close() })
	if ct := res.Header.Get("Content-Type"); ct != "text/event-stream" {
		t.Errorf("it is %q", ct)
	}
	told := make(chan struct{}, 100)
	go func() {
		for lines := bufio.NewScanner(res.Body); lines.Scan(); {
			if lines.Text() == "event: change" {
				told <- struct{}{}
			}
		}
	}()
	<-told // when it has begun to watch
	start(w, quick, 1)
	select {
	case <-told:
	case <-time.After(patience):
		t.Error("nobody was notified of a new run")
	}
	// A server that shuts down does not wait for viewers.
	ctx, cancel := context.WithTimeout(t.Context(), patience/10)
	defer cancel()
	if err := w.srv.Shutdown(ctx); err != nil {
		t.Errorf("shut down: %v", err)
	}
}

// A dashboard of an engine elsewhere is the same one.
func TestRemote(t *testing.T) {
	t.Parallel()
	w := newWorld(t, dashboard.Options{})
	paths := views(w)
	here, there := newVisitor(w), newVisitor(w)
	remote := *w
	remote.url = w.web + "/remote/"
	there.world = &remote
	moving := regexp.MustCompile(`<div class="(axis|lines)"[^\n]*|<time [^>]*>[^<]*</time>|[0-9.]+ (µs|ms|s|min)\b|(x|width|x1|x2)="[0-9.]+%"|name="(_key|fresh)" value="[^"]*"`)
	for name, path := range paths {
		look := func(v *visitor) (status int, page string) {
			res, body := v.get(path)
			return res.StatusCode, moving.ReplaceAllString(body, "")
		}
		status, want := look(here)
		for {
			remote, got := look(there)
			if status != remote {
				t.Errorf("%s: %d, of an engine here %d", name, remote, status)
			}
			_, now := look(here)
			if now != want { // a run has gone on meanwhile
				want = now
				continue
			}
			if diff := cmp.Diff(strings.Split(want, "\n"), strings.Split(got, "\n")); diff != "" {
				t.Errorf("%s (-here +elsewhere):\n%s", name, diff)
			}
			break
		}
	}
	form := url.Values{"_key": {"0123456789abcdef"}, "f/approved": {"true"}, "f/comment": {""}, "f/amount": {"5000"}}
	if res, body := there.ask(http.MethodPost, paths["hook"], form); res.StatusCode != http.StatusUnprocessableEntity || !strings.Contains(body, "that takes a director") {
		t.Errorf("a payload that does not fit: %s\n%s", res.Status, body)
	}
	form.Set("f/amount", "1")
	for _, want := range []string{"notice=resumed", "is not open"} {
		res, body := there.ask(http.MethodPost, paths["hook"], form)
		if !strings.Contains(res.Header.Get("Location")+body, want) {
			t.Errorf("resume: %s to %q, want %s", res.Status, res.Header.Get("Location"), want)
		}
		ended(w, orders.Get(w.eng, "order-42"))
	}
	if res, _ := there.ask(http.MethodPost, "act", url.Values{"id": {"order-42"}, "do": {"cancel"}}); res.StatusCode != http.StatusConflict {
		t.Errorf("cancel what has ended: %s", res.Status)
	}
	if res, _ := there.get("run?id=nobody"); res.StatusCode != http.StatusNotFound {
		t.Errorf("no such run: %s", res.Status)
	}
}

// A journal that is too long to draw is there all the same, and so is what the run waits for.
func TestVeryLongJournal(t *testing.T) {
	t.Parallel()
	w := newWorld(t, dashboard.Options{})
	now := time.Now()
	create := func(id string, status store.Status, more ...store.Effect) {
		t.Helper()
		tr := &store.Transition{
			RunID: id, Worker: "w", Epoch: 1, Seq: 1, At: now, Status: status, Version: 1, Effects: more, WakeAt: now.Add(time.Hour),
			Create: &store.NewRun{ID: id, Workflow: untyped.Name(), Version: 1, Input: []byte(`"the input"`), Secret: make([]byte, 32)},
			Events: []store.Event{{Kind: store.Started, At: now, Data: []byte(`"the input"`)}},
		}
		for range 20_000 {
			tr.Events = append(tr.Events, store.Event{Kind: store.StepCompleted, At: now, Ref: "step#1", Data: []byte("1")})
		}
		if status == store.Completed {
			tr.Events = append(tr.Events, store.Event{Kind: store.RunCompleted, At: now, Data: []byte(`"the output"`)})
		}
		if _, err := w.store.Apply(t.Context(), tr); err != nil {
			t.Fatal(err)
		}
	}
	create("waits", store.Waiting, store.Effect{Kind: store.OpenHook, Hook: store.Hook{ID: "waits.h1", RunID: "waits", Token: "the-token", CreatedAt: now, OpenedPos: 1}})
	create("ended", store.Completed)
	v := newVisitor(w)
	for path, says := range map[string][]string{
		"run?id=waits": {"too long to draw", "the input", "the-token", "a timer, or the next attempt", "hook?id=waits.h1"},
		"run?id=ended": {"too long to draw", "the input", "the output"},
	} {
		res, body := v.get(path)
		for _, s := range says {
			if res.StatusCode != http.StatusOK || !strings.Contains(body, s) {
				t.Errorf("%s: %s, without %q", path, res.Status, s)
			}
		}
	}
}

// A run with more open hooks than a page of the API has.
func TestManyHooks(t *testing.T) {
	t.Parallel()
	w := newWorld(t, dashboard.Options{})
	opened(w, start(w, crowd, 1001, workflow.RunID("crowd")))
	local, remote := newVisitor(w), newVisitor(w)
	there := *w
	there.url = w.web + "/remote/"
	remote.world = &there
	for name, v := range map[string]*visitor{"engine": local, "client": remote} {
		res, body := v.get("run?id=crowd")
		if n := strings.Count(body, `class="button primary"`); res.StatusCode != http.StatusOK || n != 20 || !strings.Contains(body, `href="hooks?run=crowd"`) {
			t.Errorf("%s: the run: %s with %d hooks to resume, want 20, and a link to all", name, res.Status, n)
		}
		listed := map[string]bool{}
		next := regexp.MustCompile(`href="([^"]*)" rel="next"`)
		for path := "hooks?run=crowd"; path != ""; {
			res, body := v.get(path)
			if res.StatusCode != http.StatusOK {
				t.Fatalf("%s: %s: %s", name, path, res.Status)
			}
			for _, m := range regexp.MustCompile(`data-key="(crowd\.h\d+)"`).FindAllStringSubmatch(body, -1) {
				listed[m[1]] = true
			}
			path = ""
			if m := next.FindStringSubmatch(body); m != nil {
				path = html.UnescapeString(m[1])
			}
		}
		if len(listed) != 1001 {
			t.Errorf("%s: %d hooks are listed, want 1001", name, len(listed))
		}
		if res, _ := v.get("hook?run=crowd&id=crowd.h1001"); res.StatusCode != http.StatusOK {
			t.Errorf("%s: the last hook: %s", name, res.Status)
		}
	}
}
