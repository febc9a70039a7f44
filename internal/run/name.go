package run

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// MaxName is the longest name in bytes: of a run, a workflow, a step, a hook type.
const MaxName = 512

// MaxToken is the longest token in bytes.
const MaxToken = 1024

// BadName says why a text can't be a name of at most limit bytes, or nothing if
// it can. Names and tokens are all held to it, wherever they come from:
// what is not text can't be stored as text, and would become the same as others.
func BadName(s string, limit int) string {
	switch {
	case s == "":
		return "it is empty"
	case len(s) > limit:
		return fmt.Sprintf("it has %d bytes, at most %d are allowed", len(s), limit)
	case !utf8.ValidString(s):
		return "it is not valid UTF-8"
	case strings.ContainsFunc(s, unicode.IsControl):
		return "it has control characters"
	}
	return ""
}
