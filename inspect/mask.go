package inspect

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/tenter-dev/tenter/internal/journal"
	"github.com/tenter-dev/tenter/internal/sensitive"
	"github.com/tenter-dev/tenter/workflow"
)

// MaskHeader returns a header with *** in place of the values that are secrets: passwords,
// keys, tokens, cookies, signatures and the like by their names, and those that are named in
// further.
func MaskHeader(h http.Header, further []string) http.Header {
	shown := make(http.Header, len(h))
	for name, values := range h {
		if sensitive.Header(name) || slices.ContainsFunc(further, func(s string) bool { return strings.EqualFold(s, name) }) {
			values = []string{"***"}
		}
		shown[name] = values
	}
	return shown
}

// generatedToken is the length of a generated token: 24 bytes in base64url.
const generatedToken = 32

// masked is what stands in place of the rest of a token.
const masked = "…"

// MaskTokens returns text with generated tokens cut to their first characters, as
// "Xk3d…": whoever has one can resume its hook. It knows them by their form, so it errs
// on the side of hiding: each word of 32 letters, digits, - and _ is one, and each
// longer word may have one in it, unless it is all in upper or all in lower case. What is
// hexadecimal is none: hashes and UUIDs stay.
func MaskTokens(text string) string { return string(maskTokens([]byte(text), false)) }

// IsMasked reports whether a token was masked by [MaskTokens].
func IsMasked(token string) bool {
	return strings.HasSuffix(token, masked) && len(token) < generatedToken
}

// isGenerated reports whether a token may be a generated one.
func isGenerated(token string) bool { return MaskTokens(token) != token }

// maskTokens is MaskTokens for bytes. In JSON, an escape ends a word: it is not to be torn.
func maskTokens(text []byte, isJSON bool) []byte {
	const shown = 4
	var out []byte // nil: nothing was masked yet
	done := 0
	for i := 0; i < len(text); {
		if isJSON && text[i] == '\\' {
			i += 2
			if i <= len(text) && text[i-1] == 'u' {
				i += 4
			}
			continue
		}
		begin := i
		for i < len(text) && journal.InToken(text[i]) {
			i++
		}
		if i == begin {
			i++
			continue
		}
		if journal.MayBeToken(text[begin:i]) {
			out = append(append(out, text[done:begin+shown]...), masked...)
			done = i
		}
	}
	if out == nil {
		return text
	}
	return append(out, text[done:]...)
}

func maskJSON(data json.RawMessage) json.RawMessage { return maskTokens(data, true) }

func maskHeaderTokens(h http.Header) http.Header {
	shown := make(http.Header, len(h))
	for name, values := range h {
		for _, v := range values {
			shown[name] = append(shown[name], MaskTokens(v))
		}
	}
	return shown
}

func maskHook(h workflow.HookInfo) workflow.HookInfo {
	h.Token, h.Metadata = MaskTokens(h.Token), maskJSON(h.Metadata)
	return h
}

func maskRun(r workflow.RunInfo) workflow.RunInfo {
	r.Reason, r.Error, r.FailedStep, r.Paused = MaskTokens(r.Reason), MaskTokens(r.Error), MaskTokens(r.FailedStep), maskPause(r.Paused)
	return r
}

func maskEvent(e Event) Event {
	switch e.Kind {
	case EventHookClaimed, EventHookConflict, EventChildExists, EventAwaitRefused, EventRespondConflict: // IDs
	default:
		e.Data = maskJSON(e.Data)
	}
	if aboutStep(e.Kind) {
		e.Ref = MaskTokens(e.Ref) // as where it was asked for
	}
	e.Request, e.By = maskRequest(e.Request), maskActor(e.By)
	e.Asked = slices.Clone(e.Asked)
	for i, line := range e.Asked {
		e.Asked[i] = maskAsked(line)
	}
	return e
}

// aboutStep reports whether the ref of an event has the name of a step or child. Those of
// others are numbers and IDs, by which they are found.
func aboutStep(kind EventKind) bool {
	return strings.HasPrefix(string(kind), "step_") || strings.HasPrefix(string(kind), "child_")
}

// maskAsked masks a line of what was asked for, but for the ID of a child.
func maskAsked(line string) string {
	a, _ := journal.Parse(line)
	return MaskTokens(strings.TrimSuffix(line, a.RunID)) + a.RunID
}

func maskMessage(m Message) Message {
	m.Data, m.Request, m.By = maskJSON(m.Data), maskRequest(m.Request), maskActor(m.By)
	if aboutStep(m.Kind) {
		m.Ref = MaskTokens(m.Ref)
	}
	return m
}

func maskRequest(r *Request) *Request {
	if r == nil {
		return nil
	}
	shown := *r
	shown.URL = maskURL(r.URL)
	shown.Header, shown.Body = maskHeaderTokens(r.Header), maskBody(r.Body, r.BodySize)
	if r.Response != nil {
		answer := *r.Response
		answer.Header, answer.Body = maskHeaderTokens(answer.Header), maskBody(answer.Body, answer.BodySize)
		shown.Response = &answer
	}
	return &shown
}

// maskBody masks a body of some size, of which there is at least the beginning. Where it
// was cut a token may be torn: the last word is left out then.
func maskBody(body []byte, size int) []byte {
	if len(body) < size {
		body = bytes.TrimRightFunc(body, func(r rune) bool { return r < utf8.RuneSelf && journal.InToken(byte(r)) })
	}
	return maskTokens(body, false)
}

func maskAttempt(a Attempt) Attempt {
	a.Step = MaskTokens(a.Step)
	return a
}

// maskURL masks a URL, also if it has its letters percent-encoded.
func maskURL(raw string) string {
	if plain, err := url.PathUnescape(raw); err == nil && isGenerated(plain) {
		return MaskTokens(plain)
	}
	return MaskTokens(raw)
}
