package exampletest

import (
	"html"
	"maps"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"testing"
)

// Page is a page with a form, as a person sees it in a browser.
type Page struct {
	Answer
	t    *testing.T
	url  *url.URL
	form url.Values // what it sends, without a button
	// Buttons are the values of the buttons that answer, by their labels.
	Buttons map[string]string
	name    string // of the buttons
}

var (
	hidden  = regexp.MustCompile(`<input type="hidden" name="([^"]*)" value="([^"]*)"`)
	buttons = regexp.MustCompile(`<button name="(f[^"]*)" value="([^"]*)"[^>]*>([^<]*)</button>`)
)

// Open opens a page.
func Open(t *testing.T, to string) *Page {
	t.Helper()
	u, err := url.Parse(to)
	if err != nil {
		t.Fatal(err)
	}
	return newPage(t, u, Send(t, http.MethodGet, to, nil, ""))
}

func newPage(t *testing.T, u *url.URL, a Answer) *Page {
	p := &Page{Answer: a, t: t, url: u, form: url.Values{}, Buttons: map[string]string{}}
	for _, m := range hidden.FindAllStringSubmatch(a.Body, -1) {
		p.form.Set(html.UnescapeString(m[1]), html.UnescapeString(m[2]))
	}
	for _, m := range buttons.FindAllStringSubmatch(a.Body, -1) {
		p.name = html.UnescapeString(m[1])
		p.Buttons[html.UnescapeString(m[3])] = html.UnescapeString(m[2])
	}
	return p
}

// Press fills in fields, by name and value in turn, and presses a button. It returns the page that
// comes then.
func (p *Page) Press(label string, fields ...string) *Page {
	p.t.Helper()
	value, ok := p.Buttons[label]
	if !ok {
		p.t.Fatalf("there is no button %q: %q", label, slices.Sorted(maps.Keys(p.Buttons)))
	}
	sent := maps.Clone(p.form)
	sent.Set(p.name, value)
	for field := range slices.Chunk(fields, 2) {
		sent.Set("f/"+field[0], field[1])
	}
	to := *p.url
	to.RawQuery = "" // action="?"
	header := http.Header{"Content-Type": {"application/x-www-form-urlencoded"}, "Sec-Fetch-Site": {"same-origin"}}
	return newPage(p.t, p.url, Send(p.t, http.MethodPost, to.String(), header, sent.Encode()))
}
