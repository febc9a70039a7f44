package api_test

import (
	"net/url"
	"path"
	"testing"

	"github.com/tenter-dev/tenter/internal/api"
)

// A name survives the path of a URL, cleaned and escaped by whoever it passes.
func FuzzSegment(f *testing.F) {
	for _, name := range []string{"", ".", "..", "a/b", "a//b", "~", "~YQ", "%2F", "slack:#général", "a b", "\x00\xff", "order-42", "a.b"} {
		f.Add(name)
	}
	f.Fuzz(func(t *testing.T, name string) {
		s := api.Segment(name)
		p := "/hooks/" + s + "/resume"
		if path.Clean(p) != p {
			t.Errorf("%q: the path %s is not clean", name, p)
		}
		u, err := url.Parse("http://x" + p)
		if err != nil || u.EscapedPath() != p || u.Path != p {
			t.Errorf("%q: the path %s becomes %v, %v", name, p, u, err)
		}
		got, err := api.Name(s)
		if err != nil || got != name {
			t.Errorf("%q: %s stands for %q, %v", name, s, got, err)
		}
		escaped, err := api.Name(url.PathEscape(name))
		if len(name) > 0 && name[0] != '~' && (err != nil || escaped != name) {
			t.Errorf("%q: escaped it stands for %q, %v", name, escaped, err)
		}
		_, _ = api.Name(name) // whatever it is
	})
}
