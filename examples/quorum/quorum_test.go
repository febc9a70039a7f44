package main

import (
	"html"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"github.com/tenter-dev/tenter/examples/internal/exampletest"
)

func TestMain(m *testing.M) { exampletest.Main(m, main) }

// The program sends links, and people vote on their pages.
func TestPages(t *testing.T) {
	t.Parallel()
	p := exampletest.Start(t, t.TempDir(), "-addr", "127.0.0.1:0")
	link := func(who string) string {
		return p.WaitFor(`To: ` + who + `@example\.com\nSubject: May contract\.pdf be published\?\n\n  (\S+)\n`)[1]
	}
	if a := vote(t, link("ada"), url.Values{"f/approved": {"false"}}); a.Status != http.StatusUnprocessableEntity || !strings.Contains(a.Body, "Say why.") {
		t.Errorf("a rejection without a reason: %d\n%s", a.Status, a.Body)
	}
	for _, who := range []string{"ada", "cyd"} {
		if a := vote(t, link(who), url.Values{"f/approved": {"false"}, "f/reason": {"no price"}}); a.Status != http.StatusOK || !strings.Contains(a.Body, "Thank you") {
			t.Errorf("the vote of %s: %d\n%s", who, a.Status, a.Body)
		}
	}
	p.WaitFor(`contract\.pdf is rejected by ada@example\.com \(no price\), cyd@example\.com \(no price\)\n`)
}

var hidden = regexp.MustCompile(`name="(_\w+)" value="([^"]*)"`)

// vote sends the form of a page, as a browser does.
func vote(t *testing.T, link string, fields url.Values) exampletest.Answer {
	t.Helper()
	page := exampletest.Send(t, http.MethodGet, link, nil, "")
	for _, field := range hidden.FindAllStringSubmatch(page.Body, -1) {
		if field[1] != "_switch" {
			fields.Set(field[1], html.UnescapeString(field[2]))
		}
	}
	header := http.Header{"Content-Type": {"application/x-www-form-urlencoded"}, "Sec-Fetch-Site": {"same-origin"}}
	return exampletest.Send(t, http.MethodPost, link, header, fields.Encode())
}
