package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"

	"golang.org/x/term"

	"github.com/tenter-dev/tenter/workflow"
)

// screen is where output for people goes: a terminal, with colors and a width, or a
// file or pipe without.
type screen struct {
	w     io.Writer
	fd    int // of the terminal, -1 if it is none
	color bool
}

func newScreen(w io.Writer, color string, env func(string) (string, bool)) *screen {
	s := &screen{w: w, fd: terminal(w)}
	switch color {
	case "always":
		s.color = true
	case "never":
	default:
		noColor, _ := env("NO_COLOR")
		kind, _ := env("TERM")
		s.color = s.fd >= 0 && noColor == "" && kind != "dumb"
	}
	return s
}

// terminal returns the file descriptor of a terminal, -1 for anything else.
func terminal(v any) int {
	if f, ok := v.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		return int(f.Fd())
	}
	return -1
}

// width is that of the terminal; 0: as wide as need be.
func (s *screen) width() int {
	if s.fd < 0 {
		return 0
	}
	w, _, err := term.GetSize(s.fd)
	if err != nil || w < 20 {
		return 80
	}
	return w
}

// printf prints. Arguments have to be clean.
func (s *screen) printf(format string, args ...any) {
	_, _ = fmt.Fprintf(s.w, format, args...)
}

// style is an SGR sequence.
type style string

const (
	plain   style = ""
	bold    style = "1"
	dim     style = "2"
	red     style = "31"
	green   style = "32"
	yellow  style = "33"
	magenta style = "35"
	cyan    style = "36"
)

// in paints clean text, if there is color.
func (s *screen) in(st style, text string) string {
	if !s.color || st == plain || text == "" {
		return text
	}
	return "\x1b[" + string(st) + "m" + text + "\x1b[0m"
}

func (s *screen) heading(text string) { s.printf("\n%s\n", s.in(bold, text)) }

func statusStyle(status workflow.Status) style {
	switch status {
	case workflow.StatusRunning:
		return cyan
	case workflow.StatusWaiting:
		return yellow
	case workflow.StatusBlocked:
		return magenta
	case workflow.StatusCompleted:
		return green
	case workflow.StatusFailed:
		return red
	default:
		return dim
	}
}

// json prints a value as one line. What a terminal could take for a control character is escaped,
// which makes no difference to JSON decoders.
func (s *screen) json(v any) error {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return err
	}
	var out strings.Builder
	for _, r := range b.String() {
		if r != '\n' && control(r) {
			fmt.Fprintf(&out, `\u%04x`, r)
		} else {
			out.WriteRune(r)
		}
	}
	_, err := io.WriteString(s.w, out.String())
	return err
}
