package access_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
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
		{"this machine", access.Policy{}, "127.0.0.1:999", "localhost:8080", nil, access.Write, nil},
		{"this machine by its address", access.Policy{}, "[::1]:999", "[::1]:8080", nil, access.Write, nil},
		{"this machine, IPv4 in IPv6", access.Policy{}, "[::ffff:127.0.0.1]:999", "127.0.0.1", nil, access.Write, nil},
		{"another machine", access.Policy{}, "192.0.2.7:999", "localhost:8080", nil, access.None, access.ErrNotLocal},
		{"a name that leads here", access.Policy{}, "127.0.0.1:999", "evil.example:8080", nil, access.None, access.ErrNotLocal},
		{"a name that looks so", access.Policy{}, "127.0.0.1:999", "localhost.evil.example", nil, access.None, access.ErrNotLocal},
		{"no host", access.Policy{}, "127.0.0.1:999", "", nil, access.None, access.ErrNotLocal},
		{"through a proxy", access.Policy{}, "127.0.0.1:999", "localhost", header{"X-Forwarded-For": "192.0.2.7"}, access.None, access.ErrNotLocal},
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

func TestShortSecret(t *testing.T) {
	t.Parallel()
	for _, token := range []access.Token{{Secret: "", Scope: access.Read}, {Secret: "fifteen bytes..", Scope: access.Write}, {Secret: writer}} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("a token %+v is accepted", token)
				}
			}()
			access.NewGuard(access.Policy{Tokens: []access.Token{token}})
		}()
	}
}

func TestSession(t *testing.T) {
	t.Parallel()
	g := access.NewGuard(access.Policy{Tokens: tokens})
	now := time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)
	if _, err := g.SignIn("not one of them at all", now); !errors.Is(err, access.ErrWrongToken) {
		t.Errorf("sign in with a wrong token: %v", err)
	}
	session, err := g.SignIn(reader, now)
	if err != nil {
		t.Fatal(err)
	}
	later := now.Add(access.SessionFor - time.Second)
	if s := g.Session(session, later); s != access.Read {
		t.Errorf("the session is good for %v", s)
	}
	if s := access.NewGuard(access.Policy{Tokens: tokens}).Session(session, later); s != access.Read {
		t.Errorf("in another process the session is good for %v", s)
	}
	for name, s := range map[string]access.Scope{
		"when it is over":      g.Session(session, now.Add(access.SessionFor)),
		"without its token":    access.NewGuard(access.Policy{Tokens: tokens[1:]}).Session(session, now),
		"with a longer life":   g.Session("9"+session, now),
		"changed at its end":   g.Session(session[:len(session)-1], now),
		"without a seal":       g.Session("9999999999.", now),
		"empty":                g.Session("", now),
		"the token itself":     g.Session(reader, now),
		"where none is needed": access.NewGuard(access.Policy{}).Session(session, now),
	} {
		if s != access.None {
			t.Errorf("%s the session is good for %v", name, s)
		}
	}
}
