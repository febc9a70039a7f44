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

var keys = []access.APIKey{{Secret: reader, Scope: access.Read}, {Secret: writer, Scope: access.Write}}

func TestCheck(t *testing.T) {
	t.Parallel()
	type header map[string]string
	withKeys := access.Policy{APIKeys: keys}
	for _, tt := range []struct {
		name   string
		policy access.Policy
		from   string
		host   string
		header header
		want   access.Scope
		err    error
	}{
		{"nothing configured", access.Policy{}, "127.0.0.1:999", "localhost:8080", nil, access.None, access.ErrNoAPIKey},
		{"nothing configured, another machine", access.Policy{}, "192.0.2.7:999", "example.com", nil, access.None, access.ErrNoAPIKey},
		{"nothing configured, an API key", access.Policy{}, "127.0.0.1:999", "localhost", header{"Authorization": "Bearer " + writer}, access.None, access.ErrWrongAPIKey},
		{"nothing configured, an empty key", access.Policy{}, "127.0.0.1:999", "localhost", header{"Authorization": "Bearer "}, access.None, access.ErrWrongAPIKey},
		{"everybody", access.Policy{Unauthenticated: access.Write}, "192.0.2.7:999", "example.com", header{"X-Forwarded-For": "192.0.2.7"}, access.Write, nil},
		{"everybody looks", access.Policy{Unauthenticated: access.Read}, "192.0.2.7:999", "example.com", nil, access.Read, nil},
		{"no API key", withKeys, "127.0.0.1:999", "localhost", nil, access.None, access.ErrNoAPIKey},
		{"another scheme", withKeys, "127.0.0.1:999", "localhost", header{"Authorization": "Basic " + writer}, access.None, access.ErrNoAPIKey},
		{"a wrong key", withKeys, "127.0.0.1:999", "localhost", header{"Authorization": "Bearer " + writer + "x"}, access.None, access.ErrWrongAPIKey},
		{"an empty key", withKeys, "127.0.0.1:999", "localhost", header{"Authorization": "Bearer "}, access.None, access.ErrWrongAPIKey},
		{"read", withKeys, "192.0.2.7:999", "example.com", header{"Authorization": "Bearer " + reader}, access.Read, nil},
		{"write", withKeys, "192.0.2.7:999", "example.com", header{"Authorization": "bearer " + writer}, access.Write, nil},
		{"the app says yes", access.Policy{Authorize: func(*http.Request) access.Scope { return access.Read }}, "192.0.2.7:9", "example.com", nil, access.Read, nil},
		{"the app says no", access.Policy{APIKeys: keys, Authorize: func(*http.Request) access.Scope { return access.None }}, "127.0.0.1:9", "localhost", header{"Authorization": "Bearer " + writer}, access.None, access.ErrRefused},
	} {
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.RemoteAddr, r.Host = tt.from, tt.host
		for name, value := range tt.header {
			r.Header.Set(name, value)
		}
		got, err := access.NewGuard(tt.policy).Check(r)
		if got.Scope != tt.want || !errors.Is(err, tt.err) {
			t.Errorf("%s: %v, %v; want %v, %v", tt.name, got, err, tt.want, tt.err)
		}
	}
}

func TestGenerated(t *testing.T) {
	t.Parallel()
	g, other := access.NewGuard(access.Policy{}), access.NewGuard(access.Policy{})
	key, ok := g.Generated()
	if again, _ := g.Generated(); !ok || key != again || len(key.Secret) < 26 {
		t.Fatalf("it has made %+v, then %+v", key, again)
	}
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	r.Header.Set("Authorization", "Bearer "+key.Secret)
	if c, err := g.Check(r); c.Scope != access.Write || err != nil {
		t.Errorf("with the key: %v, %v", c, err)
	}
	if c, err := other.Check(r); c != (access.Caller{}) || !errors.Is(err, access.ErrWrongAPIKey) {
		t.Errorf("with the key of another process: %v, %v", c, err)
	}
	for name, p := range map[string]access.Policy{
		"keys": {APIKeys: keys}, "everybody": {Unauthenticated: access.Read}, "the app": {Authorize: func(*http.Request) access.Scope { return access.Read }},
	} {
		if _, ok := access.NewGuard(p).Generated(); ok {
			t.Errorf("%s: it has made an API key all the same", name)
		}
	}
}

func TestBadPolicy(t *testing.T) {
	t.Parallel()
	one := func(t access.APIKey) access.Policy { return access.Policy{APIKeys: []access.APIKey{t}} }
	for _, p := range []access.Policy{
		one(access.APIKey{Secret: "", Scope: access.Read}), one(access.APIKey{Secret: "fifteen bytes..", Scope: access.Write}), one(access.APIKey{Secret: writer}),
		{APIKeys: keys, Unauthenticated: access.Read},
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

func TestAPIKeyFile(t *testing.T) {
	t.Parallel()
	name := filepath.Join(t.TempDir(), "app.key")
	found := make([]access.APIKey, 8)
	var all sync.WaitGroup
	for i := range found { // processes that start at the same time
		all.Go(func() {
			var err error
			if found[i], err = access.APIKeyFile(name, access.Write); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	for _, key := range found {
		if key != found[0] || len(key.Secret) < 26 || key.Scope != access.Write {
			t.Errorf("one has %+v, another %+v", found[0], key)
		}
	}
	if again, err := access.APIKeyFile(name, access.Read); err != nil || again.Secret != found[0].Secret || again.Scope != access.Read {
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
	if key, err := access.APIKeyFile(name, access.Write); err == nil {
		t.Errorf("a short one is accepted: %+v", key)
	}
	if key, err := access.APIKeyFile(filepath.Join(name, "nowhere"), access.Write); err == nil {
		t.Errorf("without a folder there is %+v", key)
	}
}

func TestSession(t *testing.T) {
	t.Parallel()
	g := access.NewGuard(access.Policy{APIKeys: keys})
	now := time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)
	signIn := func(secret string, at time.Time) string {
		t.Helper()
		session, err := g.SignIn(secret, at)
		if err != nil {
			t.Fatal(err)
		}
		return session
	}
	if _, err := g.SignIn("not one of them at all", now); !errors.Is(err, access.ErrWrongAPIKey) {
		t.Errorf("sign in with a wrong key: %v", err)
	}
	session, act := signIn(reader, now), signIn(writer, now)
	last := now.Add(access.SessionFor - time.Second)
	if s := sessionScope(g, session, last); s != access.Read {
		t.Errorf("the session of a reader is good for %v", s)
	}
	if s := sessionScope(g, act, last); s != access.Write {
		t.Errorf("the session of a writer is good for %v", s)
	}
	for name, s := range map[string]access.Scope{
		"when it is over":      sessionScope(g, session, now.Add(access.SessionFor)),
		"in another process":   sessionScope(access.NewGuard(access.Policy{APIKeys: keys}), session, now),
		"changed at its end":   sessionScope(g, session[:len(session)-1], now),
		"empty":                sessionScope(g, "", now),
		"the key itself":       sessionScope(g, reader, now),
		"where none is needed": sessionScope(access.NewGuard(access.Policy{Unauthenticated: access.Write}), session, now),
	} {
		if s != access.None {
			t.Errorf("%s the session is good for %v", name, s)
		}
	}

	g.SignOut(session)
	if s := sessionScope(g, session, now); s != access.None {
		t.Errorf("after signing out the session is good for %v", s)
	}
	again, also := signIn(reader, now), signIn(reader, now)
	g.SignOutEverywhere(session) // which has ended
	if sessionScope(g, again, now) != access.Read {
		t.Error("a session that has ended ends others")
	}
	g.SignOutEverywhere(again)
	if sessionScope(g, again, now) != access.None || sessionScope(g, also, now) != access.None || sessionScope(g, act, now) != access.Write {
		t.Error("signing out everywhere ends too few, or too many")
	}
}

// The holder of an API key can't fill the memory with sessions, nor end those of others.
func TestManySessions(t *testing.T) {
	t.Parallel()
	g := access.NewGuard(access.Policy{APIKeys: keys})
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
		if s := sessionScope(g, session, later); s != want {
			t.Errorf("session %d is good for %v", i, s)
		}
	}
	if sessionScope(g, other, later) != access.Write {
		t.Error("the session of another key has ended")
	}
}

// sessionScope is what the owner of a session may do.
func sessionScope(g *access.Guard, session string, now time.Time) access.Scope {
	return g.Session(httptest.NewRequest(http.MethodGet, "/", nil), session, now).Scope
}
