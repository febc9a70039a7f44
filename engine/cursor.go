package engine

import (
	"cmp"
	"encoding/base64"
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/tenter-dev/tenter/inspect"
	"github.com/tenter-dev/tenter/internal/prefix"
	"github.com/tenter-dev/tenter/internal/saturate"
	"github.com/tenter-dev/tenter/store"
)

// A cursor holds the sort key of its list, so that the list goes on even if the last run or
// hook of a page has been deleted. To callers it is opaque.

// The kinds of cursors. The comments say what follows the kind.
const (
	ofRuns   = "runs"   // time of creation in microseconds, ID
	ofHooks  = "hooks"  // number
	ofTokens = "tokens" // the least token that may come next
	ofTopics = "topics" // length of the topic's name, the name, subject
)

func newCursor(kind string, fields ...string) string {
	return base64.RawURLEncoding.EncodeToString([]byte(kind + " " + strings.Join(fields, " ")))
}

// parseCursor returns what follows the kind.
func parseCursor(cursor, kind string) (string, error) {
	data, err := base64.RawURLEncoding.Strict().DecodeString(cursor)
	rest, ok := strings.CutPrefix(string(data), kind+" ")
	if err != nil || !ok || !utf8.Valid(data) || strings.ContainsRune(rest, 0) {
		return "", badCursor(cursor)
	}
	return rest, nil
}

func badCursor(cursor string) error {
	return fmt.Errorf("%w: %q is not from a list in this order: take the cursor of the last item on the page before", inspect.ErrInvalidCursor, cursor)
}

func runCursor(r *store.Run) string {
	return newCursor(ofRuns, strconv.FormatInt(r.CreatedAt.UnixMicro(), 10), r.ID)
}

func parseRunCursor(cursor string) (store.RunCursor, error) {
	if cursor == "" {
		return store.RunCursor{}, nil
	}
	text, err := parseCursor(cursor, ofRuns)
	if err != nil {
		return store.RunCursor{}, err
	}
	created, id, _ := strings.Cut(text, " ")
	micro, err := strconv.ParseInt(created, 10, 64)
	at := time.UnixMicro(micro).UTC()
	if err != nil || id == "" || at.After(saturate.Beyond) || at.Year() < 0 {
		return store.RunCursor{}, badCursor(cursor)
	}
	return store.RunCursor{CreatedAt: at, ID: id}, nil
}

func topicCursor(t *store.ListenedTopic) string {
	return newCursor(ofTopics, strconv.Itoa(len(t.Topic)), t.Topic, t.Subject)
}

func parseTopicCursor(cursor string) (t store.ListenedTopic, err error) {
	if cursor == "" {
		return t, nil
	}
	text, err := parseCursor(cursor, ofTopics)
	if err != nil {
		return t, err
	}
	length, names, _ := strings.Cut(text, " ")
	n, err := strconv.Atoi(length)
	if err != nil || n < 0 || n >= len(names) || names[n] != ' ' {
		return t, badCursor(cursor)
	}
	return store.ListenedTopic{Topic: names[:n], Subject: names[n+1:]}, nil
}

// hookCursor returns the cursor at which a list goes on after its first hook.
func hookCursor(f *store.HookFilter, hooks []store.Hook) string {
	switch {
	case f.Prefix == "":
		return newCursor(ofHooks, strconv.FormatInt(hooks[0].Number, 10))
	case len(hooks) > 1:
		return newCursor(ofTokens, separator(hooks[0].Token, hooks[1].Token))
	}
	return newCursor(ofTokens, cmp.Or(prefix.End(f.Prefix), hooks[0].Token+"\x01")) // hooks[0] is the last one
}

// separator returns the shortest prefix of the next token that is greater than token. Cursors
// appear in URLs, which must not reveal a token: anyone who has it can resume the hook.
func separator(token, next string) string {
	n := 0
	for n < len(token) && token[n] == next[n] {
		n++
	}
	for n++; !utf8.ValidString(next[:n]); n++ {
	}
	return next[:n]
}

func parseHookCursor(cursor string, f *store.HookFilter) (err error) {
	switch {
	case cursor == "":
	case f.Prefix != "":
		f.From, err = parseCursor(cursor, ofTokens)
	default:
		var number string
		if number, err = parseCursor(cursor, ofHooks); err != nil {
			return err
		}
		if f.After, err = strconv.ParseInt(number, 10, 64); err != nil {
			return badCursor(cursor)
		}
	}
	return err
}
