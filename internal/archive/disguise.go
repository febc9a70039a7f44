package archive

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/tenter-dev/tenter/internal/journal"
	"github.com/tenter-dev/tenter/internal/run"
	"github.com/tenter-dev/tenter/internal/sensitive"
	"github.com/tenter-dev/tenter/store"
)

// A disguise is what stands for the tokens of a run, and for what is redacted of it. It is learned from
// all of its data, and then put over it.
type disguise struct {
	run    *store.Run
	redact func(r *store.Run, path string, value any) any
	tokens []string          // the run's own
	known  map[string]string // what stands for each text
	begin  map[string][]mask // by the first bytes of the text
}

// mask is a text that is replaced.
type mask struct {
	text, by string
	word     bool // only where it is whole words
}

// leastMask is the length of the shortest text that is replaced wherever it occurs: a shorter one could
// be anything.
const leastMask = 3

func newDisguise(r *store.Run, redact func(r *store.Run, path string, value any) any) *disguise {
	return &disguise{run: r, redact: redact, known: map[string]string{}, begin: map[string][]mask{}}
}

// own learns a generated token of the run, and returns what stands for it.
func (d *disguise) own(token string) string {
	d.tokens = append(d.tokens, token)
	return d.learn(token, pseudonym(d.run.Secret, token, aToken), false)
}

func (d *disguise) learn(text, by string, word bool) string {
	if before, ok := d.known[text]; ok || len(text) < leastMask {
		return before
	}
	d.known[text] = by
	key := text[:leastMask]
	d.begin[key] = append(d.begin[key], mask{text, by, word})
	slices.SortFunc(d.begin[key], func(a, b mask) int { return cmp.Compare(len(b.text), len(a.text)) }) // the longest first
	return by
}

// text puts the disguise over a text.
func (d *disguise) text(s string) string {
	var out strings.Builder
	done := 0
	for i := 0; i+leastMask <= len(s); {
		m := d.at(s, i)
		if m == nil {
			i++
			continue
		}
		out.WriteString(s[done:i])
		out.WriteString(m.by)
		i += len(m.text)
		done = i
	}
	if done == 0 {
		return s
	}
	out.WriteString(s[done:])
	return out.String()
}

// at returns the mask for what is at a place of a text, nil if there is none.
func (d *disguise) at(s string, i int) *mask {
	all := d.begin[s[i:i+leastMask]]
	for j := range all {
		m := &all[j]
		if strings.HasPrefix(s[i:], m.text) && (!m.word || bounded(s, i) && bounded(s, i+len(m.text))) {
			return m
		}
	}
	return nil
}

// bounded reports whether no word goes on over a place of a text.
func bounded(s string, i int) bool {
	before, _ := utf8.DecodeLastRuneInString(s[:i])
	after, _ := utf8.DecodeRuneInString(s[i:])
	return !inWord(before) || !inWord(after)
}

func inWord(r rune) bool { return r != utf8.RuneError && (unicode.IsLetter(r) || unicode.IsDigit(r)) }

// pass is one over the data of a run.
type pass interface {
	value(path string, v any) any // what the code was given, or has returned
	text(s string) string         // what Tenter has written
}

// learning learns what is to be replaced.
type learning struct{ *disguise }

func (p *learning) text(s string) string { return s }

func (p *learning) value(path string, v any) any {
	by := p.redacted(path, v)
	s, isText := v.(string)
	if !isText {
		return v
	}
	if byText, ok := by.(string); ok && byText != s {
		p.learn(s, byText, true)
	}
	if by == v {
		p.learnTokens(s)
	}
	return v
}

// learnTokens learns the words that may be generated tokens of other runs.
func (d *disguise) learnTokens(s string) {
	for word := range strings.FieldsFuncSeq(s, func(r rune) bool { return r >= utf8.RuneSelf || !journal.InToken(byte(r)) }) {
		if !journal.MayBeToken([]byte(word)) || slices.ContainsFunc(d.tokens, func(own string) bool { return strings.Contains(word, own) }) {
			continue
		}
		d.learn(word, pseudonym(d.run.Secret, word, aToken), false)
	}
}

// disguising puts the disguise on.
type disguising struct{ *disguise }

func (p *disguising) value(path string, v any) any {
	if by := p.redacted(path, v); by != v {
		return by
	}
	if s, ok := v.(string); ok {
		return p.text(s)
	}
	return v
}

func (d *disguise) redacted(path string, v any) any {
	if d.redact == nil {
		return v
	}
	return d.redact(d.run, path, v)
}

// data passes over the data of an event or a message, and returns what it becomes.
func (d *disguise) data(p pass, kind store.Kind, data []byte) ([]byte, error) {
	switch kind {
	case store.StepRetried, store.StepFailed, store.ChildFailed, store.AwaitedFailed, store.RunFailed, store.RunCanceled:
		return values(data, func(path string, v any) any {
			if name := path[strings.LastIndex(path, ".")+1:]; name == "error" || name == "token" {
				return p.value(name, v)
			}
			return internal(p, v)
		})
	case store.PayloadReceived:
		if r, body, err := run.DecodeRequest(data); err == nil && r.RunID == d.run.ID && r.ID != "" {
			return request(p, r, body)
		}
		return document(p, data)
	case store.Started, store.StepCompleted, store.ChildCompleted, store.AwaitedCompleted, store.RunCompleted:
		return document(p, data)
	default: // IDs
		return values(data, func(_ string, v any) any { return internal(p, v) })
	}
}

func internal(p pass, v any) any {
	if s, ok := v.(string); ok {
		return p.text(s)
	}
	return v
}

// document passes over what the code was given or has returned: JSON, or what somebody wrote by hand.
func document(p pass, data []byte) ([]byte, error) {
	if !json.Valid(data) && utf8.Valid(data) && data != nil {
		return []byte(asText(p.value("", string(data)))), nil
	}
	return values(data, p.value)
}

func asText(v any) string {
	if s, ok := v.(string); ok {
		return s
	}
	return fmt.Sprint(v)
}

// request passes over an HTTP request. Its credentials are left out.
func request(p pass, r run.Request, body []byte) ([]byte, error) {
	value := func(path, s string) string { return asText(p.value(path, s)) }
	r.RunID, r.URL, r.Host = p.text(r.RunID), value("url", r.URL), value("host", r.Host)
	if r.RemoteAddr != "" {
		r.RemoteAddr = value("remote_addr", r.RemoteAddr)
	}
	header := make(run.Header, len(r.Header))
	for name, all := range r.Header {
		if sensitive.Header(name) || slices.ContainsFunc(r.Sensitive, func(s string) bool { return strings.EqualFold(s, name) }) {
			all = []string{"***"}
		}
		for _, v := range all {
			header[name] = append(header[name], value("header."+name, v))
		}
	}
	r.Header = header
	var err error
	if json.Valid(body) {
		body, err = document(p, body)
	} else if utf8.Valid(body) && len(body) > 0 {
		body = []byte(value("body", string(body)))
	}
	if err != nil {
		return nil, err
	}
	return run.EncodeRequest(r, body)
}

// values returns a JSON document with other values. All else stays as it is, byte by byte, and so does
// what is not JSON.
func values(doc []byte, f func(path string, v any) any) ([]byte, error) {
	if !json.Valid(doc) {
		return doc, nil
	}
	dec := json.NewDecoder(bytes.NewReader(doc))
	dec.UseNumber()
	var out []byte
	var in []member
	done := 0
	for {
		before := int(dec.InputOffset())
		tok, err := dec.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, fmt.Errorf("read JSON: %w", err)
		}
		if delim, ok := tok.(json.Delim); ok {
			switch delim {
			case '{', '[':
				in = append(in, member{object: delim == '{'})
			default:
				in = in[:len(in)-1]
				valueRead(in)
			}
			continue
		}
		if n := len(in); n > 0 && in[n-1].object && !in[n-1].named {
			in[n-1].name, in[n-1].named = asText(tok), true
			continue
		}
		by := f(pathOf(in), tok)
		valueRead(in)
		if by == tok {
			continue
		}
		text, err := json.Marshal(by)
		if err != nil {
			return nil, fmt.Errorf("encode what stands for %s: %w", pathOf(in), err)
		}
		begin := before + bytes.IndexFunc(doc[before:], func(r rune) bool { return !strings.ContainsRune(" \t\r\n,:", r) })
		out = append(append(out, doc[done:begin]...), text...)
		done = int(dec.InputOffset())
	}
	if done == 0 {
		return doc, nil
	}
	return append(out, doc[done:]...), nil
}

// member is an object or array of a document, and the member of the object that comes next.
type member struct {
	object, named bool
	name          string
}

// valueRead notes that a value of the innermost object has been read.
func valueRead(in []member) {
	if n := len(in); n > 0 {
		in[n-1].named = false
	}
}

// pathOf returns the names of the members that a value is in.
func pathOf(in []member) string {
	var names []string
	for _, m := range in {
		if m.object {
			names = append(names, m.name)
		}
	}
	return strings.Join(names, ".")
}
