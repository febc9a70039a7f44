package prefix_test

import (
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/tenter-dev/tenter/internal/prefix"
)

func TestEnd(t *testing.T) {
	t.Parallel()
	for p, want := range map[string]string{
		"": "", "a": "b", "ab": "ac", "a\U0010FFFF": "b", "\U0010FFFF": "", "a\uD7FF": "a\uE000",
	} {
		if got := prefix.End(p); got != want {
			t.Errorf("End(%q) is %q, want %q", p, got, want)
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		p, s := rapid.StringN(1, 4, -1).Draw(t, "prefix"), rapid.String().Draw(t, "text")
		if end := prefix.End(p); end != "" && strings.HasPrefix(s, p) != (s >= p && s < end) {
			t.Fatalf("%q is not told to begin with %q by the range up to %q", s, p, end)
		}
		if end := prefix.End(p); end != "" && p+s >= end {
			t.Fatalf("%q begins with %q and is not less than %q", p+s, p, end)
		}
	})
}
