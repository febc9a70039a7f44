// Package prefix makes ranges of the texts that begin in the same way.
package prefix

import "unicode/utf8"

// End returns the least text that is greater than all that begin with prefix,
// in the order of bytes; empty: there is none.
func End(prefix string) string {
	runes := []rune(prefix)
	for i := len(runes) - 1; i >= 0; i-- {
		next := runes[i] + 1
		if next == 0xD800 { // up to 0xDFFF there are no characters
			next = 0xE000
		}
		if next <= utf8.MaxRune {
			return string(runes[:i]) + string(next)
		}
	}
	return ""
}
