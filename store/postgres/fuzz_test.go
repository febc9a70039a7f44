package postgres

import (
	"context"
	"encoding/json"
	"log/slog"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/tenter-dev/tenter/store"
)

// FuzzURL opens databases at whatever was given for a URL, with a password where there
// can be one. No error tells it.
func FuzzURL(f *testing.F) {
	const password = "correct horse"
	escaped := url.QueryEscape(password)
	f.Add("postgres://user:", "@host:5432/app?sslmode=disable")
	f.Add("postgres://user:", "@host:port/app")
	f.Add("postgres://user:", "@host:5432/app?sslmode=nonsense")
	f.Add("postgres://user@host:5432/app?sslmode=nonsense&password=", "")
	f.Add("postgres://user@host:5432/app?password=", "&pool_max_conns=x")
	f.Add("postgres://user@host:5432/app?sslmode=disable&password=", "")
	f.Add("host=host user=user dbname=app password='", "'")
	f.Add("host=host port=x password='", "'")
	f.Add("postgres://user@host/app?passfile=", "")
	ctx, cancel := context.WithCancel(f.Context())
	cancel() // so that nobody is called
	f.Fuzz(func(t *testing.T, before, after string) {
		for _, p := range []string{password, escaped} {
			s, err := OpenWith(ctx, before+p+after, Options{Logger: slog.New(slog.DiscardHandler)})
			if err == nil {
				_ = s.Close()
				t.Fatal("a database was opened by nobody")
			}
			if isSecret(before) && (strings.Contains(err.Error(), password) || strings.Contains(err.Error(), escaped)) {
				t.Errorf("the error tells the password: %v", err)
			}
		}
	})
}

// isSecret reports whether what follows is a password.
func isSecret(before string) bool {
	return slices.Contains([]string{
		"postgres://user:", "postgres://user@host:5432/app?sslmode=nonsense&password=", "postgres://user@host:5432/app?password=",
		"postgres://user@host:5432/app?sslmode=disable&password=", "host=host user=user dbname=app password='", "host=host port=x password='",
	}, before)
}

// FuzzNotice takes in notifications, which any role of the database can send.
func FuzzNotice(f *testing.F) {
	f.Add(`{"from":"me","here":true}`)
	f.Add(`{"from":"other","here":true,"awaits":true,"knows":"me"}`)
	f.Add(`{"from":"other","mail":["run-1","run-2"],"ended":["run-3"],"responded":["request-4"],"all":true}`)
	f.Add(`{"from":"other","mail":"run-1"}`)
	f.Add(``)
	f.Add(`null`)
	pool, err := pgxpool.New(f.Context(), "postgres://nobody@127.0.0.1:1/none") // it calls when it is used
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(pool.Close)
	f.Fuzz(func(t *testing.T, payload string) {
		ctx, cancel := context.WithCancel(t.Context())
		cancel() // an answer, if one is due, goes to nobody
		s := &Store{opts: Options{}.withDefaults(), pool: pool}
		var told []store.Signal
		s.Watch(func(sig store.Signal) { told = append(told, sig) })
		p := newPeers(s, nil)
		p.id = "me"
		p.receive(ctx, payload)
		if !json.Valid([]byte(payload)) && (len(told) != 1 || !told[0].All) {
			t.Errorf("%q may have meant anything, and was told as %+v", payload, told)
		}
	})
}
