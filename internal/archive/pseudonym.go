package archive

import (
	"encoding/json"
	"math/rand/v2"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/tenter-dev/tenter/internal/journal"
	"github.com/tenter-dev/tenter/store"
)

// allStrings is the name of a field that stands for all that have a text.
const allStrings = "*"

// RedactFields returns a function for [Recorder].Redact that puts pseudonyms in place of the strings
// and numbers of members with one of these names, or with a path that ends with one such as
// "customer.name"; * stands for all strings. Others take their place of the same length and form:
// letters for letters, digits for digits, so that an address stays one, and a number is not greater.
// Times in the format of RFC 3339 stay, since code waits for them.
func RedactFields(names []string) func(r *store.Run, path string, value any) any {
	return func(r *store.Run, path string, value any) any {
		named := slices.ContainsFunc(names, func(name string) bool { return path == name || strings.HasSuffix(path, "."+name) })
		switch v := value.(type) {
		case string:
			if !named && !slices.Contains(names, allStrings) {
				return v
			}
			if _, err := time.Parse(time.RFC3339Nano, v); err == nil {
				return v
			}
			return pseudonym(r.Secret, v, aText)
		case json.Number:
			if named {
				return json.Number(pseudonym(r.Secret, v.String(), aNumber))
			}
		}
		return value
	}
}

// form is what a pseudonym has to be.
type form int

const (
	aText form = iota
	aNumber
	aToken
)

const (
	digits = "0123456789"
	lower  = "abcdefghijklmnopqrstuvwxyz"
	upper  = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
)

// pseudonym returns what stands for a text: the same each time, and not to be traced back without the
// secret.
func pseudonym(secret []byte, s string, f form) string {
	draw := journal.Rand(journal.Derive(secret, journal.Label("pseudonym "+s), 1))
	letters := len(lower)
	if isHex(s) {
		letters = 6 // and stays so
	}
	return strings.Map(func(r rune) rune {
		switch {
		case f == aToken:
			return one(draw, digits+lower+upper)
		case f == aNumber && r > '0' && r <= '9':
			return one(draw, digits[1:r-'0'+1])
		case f == aNumber:
			return r
		case unicode.IsDigit(r):
			return one(draw, digits)
		case unicode.IsUpper(r):
			return one(draw, upper[:letters])
		case unicode.IsLetter(r):
			return one(draw, lower[:letters])
		}
		return r
	}, s)
}

func one(draw *rand.Rand, of string) rune { return rune(of[draw.IntN(len(of))]) }

// isHex reports whether a text is hexadecimal, as hashes and UUIDs are.
func isHex(s string) bool {
	return len(s) >= 8 && strings.Trim(s, "0123456789abcdefABCDEF-") == ""
}
