package access_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/tenter-dev/tenter/access"
)

const (
	reader = "a-secret-for-readers"
	writer = "a-secret-for-writers"
)

var tokens = []access.Token{{Secret: reader, Scope: access.Read}, {Secret: writer, Scope: access.Write}}

func TestCheck(t *testing.T) {
	t.Parallel()
	type header map[string]string
	withTokens := access.Policy{Tokens: tokens}
	for _, tt := range []struct {
		name   string
		policy access.Policy
		from   string
		host   string
		header header
		want   access.Scope
		err    error
	}{
		{"nothing configured", access.Policy{}, "127.0.0.1:999", "localhost:8080", nil, access.None, access.ErrNoToken},
		{"nothing configured, another machine", access.Policy{}, "192.0.2.7:999", "example.com", nil, access.None, access.ErrNoToken},
		{"nothing configured, a token", access.Policy{}, "127.0.0.1:999", "localhost", header{"Authorization": "Bearer " + writer}, access.None, access.ErrWrongToken},
		{"nothing configured, an empty token", access.Policy{}, "127.0.0.1:999", "localhost", header{"Authorization": "Bearer "}, access.None, access.ErrWrongToken},
		{"everybody", access.Policy{Unauthenticated: access.Write}, "192.0.2.7:999", "example.com", header{"X-Forwarded-For": "192.0.2.7"}, access.Write, nil},
		{"everybody looks", access.Policy{Unauthenticated: access.Read}, "192.0.2.7:999", "example.com", nil, access.Read, nil},
		{"no token", withTokens, "127.0.0.1:999", "localhost", nil, access.None, access.ErrNoToken},
		{"another scheme", withTokens, "127.0.0.1:999", "localhost", header{"Authorization": "Basic " + writer}, access.None, access.ErrNoToken},
		{"a wrong token", withTokens, "127.0.0.1:999", "localhost", header{"Authorization": "Bearer " + writer + "x"}, access.None, access.ErrWrongToken},
		{"an empty token", withTokens, "127.0.0.1:999", "localhost", header{"Authorization": "Bearer "}, access.None, access.ErrWrongToken},
		{"read", withTokens, "192.0.2.7:999", "example.com", header{"Authorization": "Bearer " + reader}, access.Read, nil},
		{"write", withTokens, "192.0.2.7:999", "example.com", header{"Authorization": "bearer " + writer}, access.Write, nil},
		{"the app says yes", access.Policy{Authorize: func(*http.Request) access.Scope { return access.Read }}, "192.0.2.7:9", "example.com", nil, access.Read, nil},
		{"the app says no", access.Policy{Tokens: tokens, Authorize: func(*http.Request) access.Scope { return access.None }}, "127.0.0.1:9", "localhost", header{"Authorization": "Bearer " + writer}, access.None, access.ErrRefused},
	} {
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.RemoteAddr, r.Host = tt.from, tt.host
		for name, value := range tt.header {
			r.Header.Set(name, value)
		}
		got, err := access.NewGuard(tt.policy).Check(r)
		if got != tt.want || !errors.Is(err, tt.err) {
			t.Errorf("%s: %v, %v; want %v, %v", tt.name, got, err, tt.want, tt.err)
		}
	}
}

func TestGenerated(t *testing.T) {
	t.Parallel()
	g, other := access.NewGuard(access.Policy{}), access.NewGuard(access.Policy{})
	token, ok := g.Generated()
	if again, _ := g.Generated(); !ok || token != again || len(token.Secret) < 26 {
		t.Fatalf("it has made %+v, then %+v", token, again)
	}
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	r.Header.Set("Authorization", "Bearer "+token.Secret)
	if s, err := g.Check(r); s != access.Write || err != nil {
		t.Errorf("with the token: %v, %v", s, err)
	}
	if s, err := other.Check(r); s != access.None || !errors.Is(err, access.ErrWrongToken) {
		t.Errorf("with the token of another process: %v, %v", s, err)
	}
	for name, p := range map[string]access.Policy{
		"tokens": {Tokens: tokens}, "everybody": {Unauthenticated: access.Read}, "the app": {Authorize: func(*http.Request) access.Scope { return access.Read }},
	} {
		if _, ok := access.NewGuard(p).Generated(); ok {
			t.Errorf("%s: it has made a token all the same", name)
		}
	}
}

func TestBadPolicy(t *testing.T) {
	t.Parallel()
	one := func(t access.Token) access.Policy { return access.Policy{Tokens: []access.Token{t}} }
	for _, p := range []access.Policy{
		one(access.Token{Secret: "", Scope: access.Read}), one(access.Token{Secret: "fifteen bytes..", Scope: access.Write}), one(access.Token{Secret: writer}),
		{Tokens: tokens, Unauthenticated: access.Read},
		{Authorize: func(*http.Request) access.Scope { return access.Read }, Unauthenticated: access.Read},
		{Unauthenticated: access.Write + 1},
		{Unauthenticated: access.None - 1},
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("the policy %+v is accepted", p)
				}
			}()
			access.NewGuard(p)
		}()
	}
}

func TestTokenFile(t *testing.T) {
	t.Parallel()
	name := filepath.Join(t.TempDir(), "app.token")
	found := make([]access.Token, 8)
	var all sync.WaitGroup
	for i := range found { // processes that start at the same time
		all.Go(func() {
			var err error
			if found[i], err = access.TokenFile(name, access.Write); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	for _, token := range found {
		if token != found[0] || len(token.Secret) < 26 || token.Scope != access.Write {
			t.Errorf("one has %+v, another %+v", found[0], token)
		}
	}
	if again, err := access.TokenFile(name, access.Read); err != nil || again.Secret != found[0].Secret || again.Scope != access.Read {
		t.Errorf("later it is %+v, %v", again, err)
	}
	info, err := os.Stat(name)
	if err != nil {
		t.Fatal(err)
	}
	if mode := info.Mode().Perm(); runtime.GOOS != "windows" && mode != 0o600 {
		t.Errorf("the file has the mode %v", mode)
	}
	if left, err := os.ReadDir(filepath.Dir(name)); err != nil || len(left) != 1 {
		t.Errorf("it leaves %v, %v", left, err)
	}
	if err := os.WriteFile(name, []byte("short\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if token, err := access.TokenFile(name, access.Write); err == nil {
		t.Errorf("a short one is accepted: %+v", token)
	}
	if token, err := access.TokenFile(filepath.Join(name, "nowhere"), access.Write); err == nil {
		t.Errorf("without a folder there is %+v", token)
	}
}

func TestSession(t *testing.T) {
	t.Parallel()
	g := access.NewGuard(access.Policy{Tokens: tokens})
	now := time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)
	signIn := func(secret string, at time.Time) string {
		t.Helper()
		session, err := g.SignIn(secret, at)
		if err != nil {
			t.Fatal(err)
		}
		return session
	}
	if _, err := g.SignIn("not one of them at all", now); !errors.Is(err, access.ErrWrongToken) {
		t.Errorf("sign in with a wrong token: %v", err)
	}
	session, act := signIn(reader, now), signIn(writer, now)
	last := now.Add(access.SessionFor - time.Second)
	if s := g.Session(session, last); s != access.Read {
		t.Errorf("the session of a reader is good for %v", s)
	}
	if s := g.Session(act, last); s != access.Write {
		t.Errorf("the session of a writer is good for %v", s)
	}
	for name, s := range map[string]access.Scope{
		"when it is over":      g.Session(session, now.Add(access.SessionFor)),
		"in another process":   access.NewGuard(access.Policy{Tokens: tokens}).Session(session, now),
		"changed at its end":   g.Session(session[:len(session)-1], now),
		"empty":                g.Session("", now),
		"the token itself":     g.Session(reader, now),
		"where none is needed": access.NewGuard(access.Policy{Unauthenticated: access.Write}).Session(session, now),
	} {
		if s != access.None {
			t.Errorf("%s the session is good for %v", name, s)
		}
	}

	g.SignOut(session)
	if s := g.Session(session, now); s != access.None {
		t.Errorf("after signing out the session is good for %v", s)
	}
	again, also := signIn(reader, now), signIn(reader, now)
	g.SignOutEverywhere(session) // which has ended
	if g.Session(again, now) != access.Read {
		t.Error("a session that has ended ends others")
	}
	g.SignOutEverywhere(again)
	if g.Session(again, now) != access.None || g.Session(also, now) != access.None || g.Session(act, now) != access.Write {
		t.Error("signing out everywhere ends too few, or too many")
	}
}

// The holder of a token can't fill the memory with sessions, nor end those of others.
func TestManySessions(t *testing.T) {
	t.Parallel()
	g := access.NewGuard(access.Policy{Tokens: tokens})
	now := time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)
	other, err := g.SignIn(writer, now)
	if err != nil {
		t.Fatal(err)
	}
	sessions := make([]string, 1002)
	for i := range sessions {
		if sessions[i], err = g.SignIn(reader, now.Add(time.Duration(i)*time.Second)); err != nil {
			t.Fatal(err)
		}
	}
	later := now.Add(time.Hour)
	for i, session := range sessions {
		want := access.Read
		if i < 2 {
			want = access.None
		}
		if s := g.Session(session, later); s != want {
			t.Errorf("session %d is good for %v", i, s)
		}
	}
	if g.Session(other, later) != access.Write {
		t.Error("the session of another token has ended")
	}
}
