package dashboard

import (
	"bytes"
	"encoding/json"
	"strings"
	"unicode/utf8"
)

// shown is how much of a payload a page shows, in bytes; the rest is a link away.
const (
	shown      = 4 << 10
	shownInRow = 160
)

// doc is a piece of data to be shown.
type doc struct {
	Tokens []token // of JSON
	Text   string  // of what is not JSON
	Size   int     // in bytes, of all of it, or of what is left of it
	Cut    bool    // there is more than is shown
	Larger bool    // there was more than Size
	URL    string  // where all of it is; empty: nowhere
}

// token is a piece of JSON and what it is, as the class that it is drawn with.
type token struct{ Class, Text string }

// jsonDoc prepares JSON, laid out over lines, to be shown in part.
func jsonDoc(data []byte, limit int, url string) *doc {
	if len(data) == 0 {
		return nil
	}
	d := &doc{Size: len(data), URL: url}
	if !json.Valid(data) {
		if d.Larger = len(data) == kept; !d.Larger { // see frugal
			return textDoc(data, limit, url)
		}
	}
	d.Tokens, d.Cut = layOut(data, limit)
	return d
}

// textDoc prepares other data. Only text is shown.
func textDoc(data []byte, limit int, url string) *doc {
	d := &doc{Size: len(data), URL: url}
	text := data
	if len(text) > limit {
		text, d.Cut = cutText(text, limit), true
	}
	if !utf8.Valid(text) || bytes.IndexByte(text, 0) >= 0 {
		d.Text, d.Cut = "(binary)", true
		return d
	}
	d.Text = string(text)
	return d
}

// cutText cuts text between runes.
func cutText(text []byte, limit int) []byte {
	for limit > 0 && !utf8.RuneStart(text[limit]) {
		limit--
	}
	return text[:limit]
}

// layOut lays valid JSON, or the beginning of it, out over lines. It stops after limit
// bytes, so that it costs no more for a large document.
func layOut(data []byte, limit int) (tokens []token, cut bool) {
	depth := 0
	space := func(s string) { tokens = append(tokens, token{"", s}) }
	newline := func() { space("\n" + strings.Repeat("  ", min(depth, 40))) }
	for i := 0; i < len(data); {
		if i > limit {
			return tokens, true
		}
		switch c := data[i]; c {
		case ' ', '\t', '\n', '\r':
			i++
		case '{', '[':
			next := i + 1
			for next < len(data) && isSpace(data[next]) {
				next++
			}
			if next < len(data) && (data[next] == '}' || data[next] == ']') {
				space(string([]byte{c, data[next]}))
				i = next + 1
				continue
			}
			depth++
			space(string(c))
			newline()
			i++
		case '}', ']':
			depth--
			newline()
			space(string(c))
			i++
		case ',':
			space(",")
			newline()
			i++
		case ':':
			space(": ")
			i++
		case '"':
			end := i + 1
			for end < len(data) && data[end] != '"' {
				if data[end] == '\\' {
					end++
				}
				end++
			}
			end = min(end+1, len(data))
			text := data[i:end]
			if len(text) > limit {
				return append(tokens, token{"s", string(cutText(text, limit))}), true
			}
			tokens = append(tokens, token{"s", string(text)})
			if isName(data, end) {
				tokens[len(tokens)-1].Class = "k"
			}
			i = end
		default:
			end := i
			for end < len(data) && !bytes.ContainsRune([]byte(" \t\r\n,:]}"), rune(data[end])) {
				end++
			}
			class := "n"
			if c == 't' || c == 'f' || c == 'n' {
				class = "b"
			}
			tokens = append(tokens, token{class, string(data[i:end])})
			i = end
		}
	}
	return tokens, false
}

func isSpace(c byte) bool { return c == ' ' || c == '\t' || c == '\n' || c == '\r' }

// isName tells whether the string that ends here is the name of a member.
func isName(data []byte, end int) bool {
	for end < len(data) && isSpace(data[end]) {
		end++
	}
	return end < len(data) && data[end] == ':'
}

// oneLine is the beginning of JSON as one line.
func oneLine(data []byte) string {
	var b strings.Builder
	tokens, cut := layOut(data, shownInRow)
	for _, t := range tokens {
		if t.Class == "" && strings.HasPrefix(t.Text, "\n") {
			if s := b.String(); strings.HasSuffix(s, ",") {
				b.WriteByte(' ')
			}
			continue
		}
		b.WriteString(t.Text)
	}
	line := cutLine(b.String())
	if cut && !strings.HasSuffix(line, "…") {
		line += "…"
	}
	return line
}

// cutLine is the beginning of a text, as one line.
func cutLine(s string) string {
	cut := len(s) > shownInRow
	if cut {
		s = string(cutText([]byte(s), shownInRow))
	}
	s = strings.Join(strings.Fields(strings.ToValidUTF8(s, "\ufffd")), " ")
	if cut {
		s += "…"
	}
	return s
}
