package browsertest

import (
	"bytes"
	"compress/gzip"
	_ "embed"
	"encoding/json"
	"io"
	"strings"
	"sync"

	"github.com/chromedp/chromedp"
)

//go:embed axe/axe.min.js.gz
var axeZipped []byte

// axe is a library that finds what shuts people out of a page: colors that are too close,
// controls without names, headings out of order and some ninety more.
var axe = sync.OnceValues(func() (string, error) {
	z, err := gzip.NewReader(bytes.NewReader(axeZipped))
	if err != nil {
		return "", err
	}
	text, err := io.ReadAll(z)
	return string(text), err
})

// Accessible lets axe look at the page as it is, by all its rules or by some, and fails the test if
// it finds something.
func (b *Tab) Accessible(what string, rules ...string) {
	b.Helper()
	script, err := axe()
	if err != nil {
		b.Fatal(err)
	}
	b.Do(chromedp.Evaluate[chromedp.Void](script + ";0"))
	options := map[string]any{"resultTypes": []string{"violations"}}
	if len(rules) > 0 {
		options["runOnly"] = rules
	}
	asJSON, err := json.Marshal(options)
	if err != nil {
		b.Fatal(err)
	}
	found := Get(b, chromedp.Evaluate[string](
		`axe.run(document, `+string(asJSON)+`).then(r => JSON.stringify(r.violations.map(v => ({
			id: v.id, help: v.help, nodes: v.nodes.slice(0, 3).map(n => n.html.slice(0, 200) + " " + n.failureSummary)
		}))))`, chromedp.EvalAwaitPromise))
	var violations []struct {
		ID, Help string
		Nodes    []string
	}
	if err := json.Unmarshal([]byte(found), &violations); err != nil {
		b.Fatal(err)
	}
	for _, v := range violations {
		b.Errorf("%s: %s (%s):\n\t%s", what, v.Help, v.ID, strings.Join(v.Nodes, "\n\t"))
	}
}
