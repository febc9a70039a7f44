package journal

import (
	"encoding/base64"
	"encoding/hex"
	"strings"
)

// Drawn is what the code of a generation has derived from the secret of its run, or what stands for
// it: so that the run can be replayed without the secret. What was derived first comes first.
type Drawn struct {
	IDs    []string          `json:"ids,omitempty"`    // as ID makes them
	Rands  [][]byte          `json:"rands,omitempty"`  // of 32 bytes each, from which Rand makes sources
	Tokens []string          `json:"tokens,omitempty"` // as Token makes them
	Named  map[string]string `json:"named,omitempty"`  // tokens of hooks that have a name

	// Ancestors are, of a fork, what the runs have derived whose events it begins with: IDs and sources
	// of random numbers.
	Ancestors []*Drawn `json:"ancestors,omitempty"`
}

// NewDrawn derives so many IDs, sources of random numbers and tokens of a generation, and the tokens
// of hooks with these names.
func NewDrawn(secret []byte, generation, ids, rands, tokens int, names []string) *Drawn {
	d, own := &Drawn{}, GenerationSecret(secret, generation)
	for n := range ids {
		d.IDs = append(d.IDs, ID(Derive(own, LabelID, nth(n))))
	}
	for n := range rands {
		sum := Derive(own, LabelRand, nth(n))
		d.Rands = append(d.Rands, sum[:])
	}
	for n := range tokens {
		d.Tokens = append(d.Tokens, Token(Derive(own, LabelToken, nth(n))))
	}
	for _, name := range names {
		if d.Named == nil {
			d.Named = make(map[string]string)
		}
		d.Named[name] = Token(Derive(secret, LabelNamed(name), 1))
	}
	return d
}

func nth(n int) uint64 { return uint64(n) + 1 } //nolint:gosec // it counts from 0

// Get returns what has been derived for a label as [Derive] did: of IDs and tokens, the part that
// they are made of. ok is false if so much was not.
func (d *Drawn) Get(label Label, n uint64) (sum [32]byte, ok bool) {
	at := func(len int) bool { return n <= uint64(len) } //nolint:gosec // a length is not negative
	var bytes []byte
	switch name, named := strings.CutPrefix(string(label), string(LabelNamed(""))); {
	case named:
		bytes, _ = base64.RawURLEncoding.DecodeString(d.Named[name])
	case label == LabelID && at(len(d.IDs)):
		bytes, _ = hex.DecodeString(strings.ReplaceAll(d.IDs[n-1], "-", ""))
	case label == LabelRand && at(len(d.Rands)):
		bytes = d.Rands[n-1]
	case label == LabelToken && at(len(d.Tokens)):
		bytes, _ = base64.RawURLEncoding.DecodeString(d.Tokens[n-1])
	}
	copy(sum[:], bytes)
	return sum, len(bytes) > 0
}

// generatedToken is the length of a token: 24 bytes in base64url.
const generatedToken = 32

// MayBeToken reports whether a word may be a token that [Token] has made, or have one in it. It goes by
// the form, so it errs: each word of 32 letters, digits, - and _ is one, and each longer word may have
// one in it, unless it is all in upper or all in lower case. What is hexadecimal is none: hashes and
// UUIDs.
func MayBeToken(word []byte) bool {
	if len(word) < generatedToken {
		return false
	}
	var upper, lower, hex int
	for _, c := range word {
		switch {
		case c >= 'A' && c <= 'Z':
			upper++
		case c >= 'a' && c <= 'z':
			lower++
		}
		if c >= '0' && c <= '9' || c >= 'a' && c <= 'f' || c >= 'A' && c <= 'F' || c == '-' {
			hex++
		}
	}
	return hex < len(word) && (len(word) == generatedToken || upper > 0 && lower > 0)
}

// InToken reports whether tokens have a character.
func InToken(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '-' || c == '_'
}
