package postgres

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"
)

func TestHostThatStopsAnsweringIsTriedLast(t *testing.T) {
	t.Parallel()
	conf, err := pgx.ParseConfig("postgres://one:1,two:2,10.0.0.3:3/app?sslmode=prefer")
	if err != nil {
		t.Fatal(err)
	}
	conf.LookupFunc = func(_ context.Context, name string) ([]string, error) {
		return []string{map[string]string{"one": "10.0.0.1", "two": "10.0.0.2"}[name]}, nil
	}
	h := newHosts(conf)
	// order returns the hosts as a connection tries them, each with TLS and without.
	order := func() string {
		t.Helper()
		c := conf.Copy()
		h.order(c)
		for _, name := range []string{"one", "two"} { // as the driver does
			if _, err := c.LookupFunc(t.Context(), name); err != nil {
				t.Fatal(err)
			}
		}
		ways := []string{fmt.Sprint(c.Host, " ", c.TLSConfig != nil)}
		for _, f := range c.Fallbacks {
			ways = append(ways, fmt.Sprint(f.Host, " ", f.TLSConfig != nil))
		}
		return strings.Join(ways, ", ")
	}
	const (
		one   = "one true, one false"
		two   = "two true, two false"
		three = "10.0.0.3 true, 10.0.0.3 false"
	)
	for _, step := range []struct {
		what string
		do   func()
		want string
	}{
		{"at first", func() {}, one + ", " + two + ", " + three},
		{"connected to the second", func() { h.connected("10.0.0.2:2") }, two + ", " + three + ", " + one},
		{"another that is silent", func() { h.silent("10.0.0.1:1") }, two + ", " + three + ", " + one},
		{"another port", func() { h.connected("10.0.0.1:2") }, two + ", " + three + ", " + one},
		{"the second is silent", func() { h.silent("10.0.0.2:2") }, three + ", " + one + ", " + two},
		{"connected to the third", func() { h.connected("10.0.0.3:3") }, three + ", " + one + ", " + two},
		{"the third is silent", func() { h.silent("10.0.0.3:3") }, one + ", " + two + ", " + three},
		{"a socket", func() { h.connected("/tmp/.s.PGSQL.5432") }, one + ", " + two + ", " + three},
	} {
		step.do()
		if diff := cmp.Diff(step.want, order()); diff != "" {
			t.Errorf("%s (-want +got):\n%s", step.what, diff)
		}
	}
}
