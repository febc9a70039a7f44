package access_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/tenter-dev/tenter/access"
)

// Whoever is let in has the name of the key, unless the app names them; and nobody can name himself.
func TestCallers(t *testing.T) {
	t.Parallel()
	named := []access.APIKey{
		{Secret: writer, Scope: access.Write, Name: "billing"},
		{Secret: reader, Scope: access.Read, NamesOthers: true},
	}
	user := func(r *http.Request) string { return r.Header.Get("X-User") }
	for _, tt := range []struct {
		what   string
		policy access.Policy
		secret string
		user   string
		want   access.Caller
	}{
		{"a key with a name", access.Policy{APIKeys: named}, writer, "eve", access.Caller{Scope: access.Write, Name: "billing", Via: "key"}},
		{"a key without", access.Policy{APIKeys: named}, reader, "eve", access.Caller{Scope: access.Read, NamesOthers: true}},
		{"a user of the app", access.Policy{APIKeys: named, Name: user}, writer, "ada", access.Caller{Scope: access.Write, Name: "ada", Via: "app"}},
		{"nobody in particular", access.Policy{APIKeys: named, Name: user}, writer, "", access.Caller{Scope: access.Write, Name: "billing", Via: "key"}},
		{
			"let in by the app",
			access.Policy{Authorize: func(*http.Request) access.Scope { return access.Write }, Name: user},
			"", "ada",
			access.Caller{Scope: access.Write, Name: "ada", Via: "app"},
		},
		{"anybody", access.Policy{Unauthenticated: access.Read, Name: user}, "", "ada", access.Caller{Scope: access.Read, Name: "ada", Via: "app"}},
	} {
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.Header.Set("X-User", tt.user)
		if tt.secret != "" {
			r.Header.Set("Authorization", "Bearer "+tt.secret)
		}
		g := access.NewGuard(tt.policy)
		if got, err := g.Check(r); got != tt.want || err != nil {
			t.Errorf("%s: %+v, %v; want %+v", tt.what, got, err, tt.want)
		}
		if tt.secret == "" {
			continue
		}
		session, err := g.SignIn(tt.secret, time.Now())
		if got := g.Session(r, session, time.Now()); got != tt.want || err != nil {
			t.Errorf("%s, signed in: %+v, %v; want %+v", tt.what, got, err, tt.want)
		}
	}
	for what, name := range map[string]string{"long": strings.Repeat("a", 257), "no text": "a\xff", "a control character": "a\x1b[2J"} {
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		g := access.NewGuard(access.Policy{Unauthenticated: access.Write, Name: func(*http.Request) string { return name }})
		if got, err := g.Check(r); got != (access.Caller{}) || !errors.Is(err, access.ErrRefused) {
			t.Errorf("a name that is %s: %+v, %v", what, got, err)
		}
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("a key was accepted whose name is %s", what)
				}
			}()
			access.NewGuard(access.Policy{APIKeys: []access.APIKey{{Secret: writer, Scope: access.Write, Name: name}}})
		}()
	}
}
