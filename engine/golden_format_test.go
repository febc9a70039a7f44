package engine_test

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/tenter-dev/tenter/store"
)

// formatGolden writes a journal as text, with all of it that a replay needs:
//
//	run steps
//	workflow steps 1
//	secret 3031…
//
//	1 2000-01-01T00:00:00Z started
//	    data "in"
//	    asked step charge#1
func formatGolden(l store.Loaded) string {
	var b strings.Builder
	fmt.Fprintf(&b, "run %s\nworkflow %s %d\n", l.Run.ID, l.Run.Workflow, l.Run.Version)
	if l.Run.ParentID != "" {
		fmt.Fprintf(&b, "parent %s\n", l.Run.ParentID)
	}
	if l.Run.Generation > 0 {
		fmt.Fprintf(&b, "generation %d after %d\n", l.Run.Generation, l.Run.Base)
	}
	if bytes.Equal(l.Run.Secret, goldenSecret(l.Run.ID)) {
		fmt.Fprintf(&b, "secret %x\n", l.Run.Secret)
	}
	if l.Run.Origin != nil {
		origin, _ := json.Marshal(l.Run.Origin) // it is made of text and numbers
		fmt.Fprintf(&b, "origin %s\n", origin)
	}
	for _, e := range l.Events {
		fmt.Fprintf(&b, "\n%s\n", strings.TrimRight(fmt.Sprintf("%d %s %s %s", e.Position, e.At.UTC().Format(time.RFC3339Nano), e.Kind, e.Ref), " "))
		if e.Data != nil {
			fmt.Fprintf(&b, "    data %s\n", quoteGolden(string(e.Data)))
		}
		if e.OrStart != nil {
			fmt.Fprintf(&b, "    or-start %s\n", e.OrStart.ID)
		}
		if e.Asked != "" {
			for line := range strings.SplitSeq(e.Asked, "\n") {
				fmt.Fprintf(&b, "    asked %s\n", line)
			}
		}
	}
	return b.String()
}

// quoteGolden quotes what could not be read back from one line.
func quoteGolden(s string) string {
	if s == "" || strings.TrimSpace(s) != s || strings.ContainsFunc(s, func(r rune) bool { return !unicode.IsPrint(r) }) || strings.HasPrefix(s, "quoted ") {
		return "quoted " + strconv.Quote(s)
	}
	return s
}

func unquoteGolden(s string) (string, error) {
	if quoted, ok := strings.CutPrefix(s, "quoted "); ok {
		return strconv.Unquote(quoted)
	}
	return s, nil
}

// parseGolden is the inverse of formatGolden.
func parseGolden(text string) (l store.Loaded, err error) {
	for line := range strings.SplitSeq(strings.TrimSuffix(text, "\n"), "\n") {
		if line == "" {
			continue
		}
		word, rest, _ := strings.Cut(strings.TrimPrefix(line, "    "), " ")
		if strings.HasPrefix(line, "    ") {
			e := &l.Events[len(l.Events)-1]
			switch word {
			case "data":
				var data string
				data, err = unquoteGolden(rest)
				e.Data = []byte(data)
			case "or-start":
				e.OrStart = &store.NewRun{ID: rest}
			case "asked":
				e.Asked = strings.TrimPrefix(e.Asked+"\n"+rest, "\n")
			default:
				err = fmt.Errorf("unknown word %q", word)
			}
		} else {
			err = parseGoldenHead(&l, word, rest)
		}
		if err != nil {
			return l, fmt.Errorf("line %q: %w", line, err)
		}
	}
	return l, nil
}

func parseGoldenHead(l *store.Loaded, word, rest string) (err error) {
	switch word {
	case "run":
		l.Run.ID = rest
	case "workflow":
		name, version, _ := strings.Cut(rest, " ")
		l.Run.Workflow = name
		l.Run.Version, err = strconv.Atoi(version)
	case "parent":
		l.Run.ParentID = rest
	case "generation":
		_, err = fmt.Sscanf(rest, "%d after %d", &l.Run.Generation, &l.Run.Base)
	case "origin":
		err = json.Unmarshal([]byte(rest), &l.Run.Origin)
	case "secret":
		l.Run.Secret, err = hex.DecodeString(rest)
	default:
		var e store.Event
		if e.Position, err = strconv.ParseInt(word, 10, 64); err != nil {
			return err
		}
		at, what, _ := strings.Cut(rest, " ")
		kind, ref, _ := strings.Cut(what, " ")
		e.Kind, e.Ref = store.Kind(kind), ref
		e.At, err = time.Parse(time.RFC3339Nano, at)
		l.Events = append(l.Events, e)
	}
	return err
}

// What is new each time: IDs of requests, places in files, stacks.
var (
	goldenID    = regexp.MustCompile(`\b[0-9a-hjkmnp-tv-z]{26}\b`)
	goldenPlace = regexp.MustCompile(`[^\s"]+_test\.go:\d+`)
	goldenStack = regexp.MustCompile(`"stack":"[^"]*"`)
)

// anonymous leaves out of a journal what depends on where it was recorded.
func anonymous(text string) string {
	return goldenStack.ReplaceAllString(goldenPlace.ReplaceAllString(text, "golden_test.go:1"), `"stack":"main.f(...)"`)
}

// alike leaves out what is new each time.
func alike(text string) string { return goldenID.ReplaceAllString(text, "ID") }
