package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// pty is a terminal of a width, and what has been printed on it.
type pty struct {
	*testing.T
	master, terminal *os.File

	mu   sync.Mutex
	text bytes.Buffer
	more chan struct{} // holds a token when more was printed
}

func newPty(t *testing.T, width, height int) *pty {
	t.Helper()
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR, 0)
	if err != nil {
		t.Skip("there are no pseudo-terminals here: ", err)
	}
	fd := int(master.Fd())
	if err := unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	n, err := unix.IoctlGetInt(fd, unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	if err := unix.IoctlSetWinsize(fd, unix.TIOCSWINSZ, &unix.Winsize{Col: uint16(width), Row: uint16(height)}); err != nil {
		t.Fatal(err)
	}
	terminal, err := os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	p := &pty{T: t, master: master, terminal: terminal, more: make(chan struct{}, 1)}
	t.Cleanup(func() {
		_ = terminal.Close()
		_ = master.Close()
	})
	go p.read()
	return p
}

func (p *pty) read() {
	var b [4096]byte
	for {
		n, err := p.master.Read(b[:])
		p.mu.Lock()
		p.text.Write(b[:n])
		p.mu.Unlock()
		select {
		case p.more <- struct{}{}:
		default:
		}
		if err != nil {
			return
		}
	}
}

func (p *pty) String() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.text.String()
}

// await waits until something was printed.
func (p *pty) await(text string) {
	p.Helper()
	timeout := time.After(patience)
	for !strings.Contains(p.String(), text) {
		select {
		case <-p.more:
		case <-timeout:
			p.Fatalf("%q was not printed; there is\n%q", text, p.String())
		}
	}
}

// start calls tenter on the terminal. The channel gets its exit code.
func (p *pty) start(args ...string) chan int {
	done := make(chan int, 1)
	env := map[string]string{"TERM": "xterm"}
	a := &app{ctx: p.Context(), stdin: p.terminal, stdout: p.terminal, stderr: p.terminal, env: func(name string) (string, bool) {
		v, ok := env[name]
		return v, ok
	}}
	go func() { done <- a.main(args) }()
	return done
}

// run calls tenter and returns what it prints.
func (p *pty) run(code int, args ...string) string {
	p.Helper()
	p.mu.Lock()
	p.text.Reset()
	p.mu.Unlock()
	if got := <-p.start(args...); got != code {
		p.Fatalf("%q: exit code %d, want %d\n%s", args, got, code, p)
	}
	_, _ = p.terminal.WriteString("\nEND\n")
	p.await("END")
	text, _, _ := strings.Cut(p.String(), "\r\nEND")
	return text
}

var sequence = regexp.MustCompile("\x1b\\[[?0-9;]*[A-Za-z]")

// tooWide returns the lines that do not fit.
func tooWide(text string, width int) (lines []string) {
	for line := range strings.SplitSeq(sequence.ReplaceAllString(text, ""), "\r\n") {
		line = line[strings.LastIndexByte(line, '\r')+1:]
		if columns(line) > width {
			lines = append(lines, line)
		}
	}
	return lines
}

func TestTerminal(t *testing.T) {
	t.Parallel()
	db := filepath.Join(t.TempDir(), "app.db")
	parkRuns(t, db, 30)
	tenterQuietly(t, "--db", db, "runs", "start", "evil", "--id", "evil")
	tenterQuietly(t, "--db", db, "runs", "start", "approve", `"`+strings.Repeat("漢字 and more ", 20)+`"`, "--id", "wide")
	for _, width := range []int{40, 80, 120} {
		t.Run(fmt.Sprint(width), func(t *testing.T) {
			t.Parallel()
			p := newPty(t, width, 24)
			for _, call := range []struct {
				code int
				args []string
			}{
				{0, []string{"runs", "list"}},
				{0, []string{"runs", "show", "wide"}},
				{0, []string{"runs", "journal", "wide"}},
				{0, []string{"hooks", "list", "--prefix", "approval:doc-2"}},
				{6, []string{"doctor"}},
			} {
				text := p.run(call.code, append([]string{"--db", db}, call.args...)...)
				wide := tooWide(text, width)
				for _, line := range wide {
					// What is to be copied is not cut.
					if width > 40 && !strings.HasPrefix(strings.TrimSpace(line), "tenter ") {
						t.Errorf("%q at %d columns: %q", call.args, width, line)
					}
				}
				if !strings.Contains(text, "\x1b[") && call.args[1] != "journal" {
					t.Errorf("%q has no color:\n%s", call.args, text)
				}
			}
		})
	}
	t.Run("top", func(t *testing.T) {
		t.Parallel()
		p := newPty(t, 80, 12)
		done := p.start("--db", db, "top", "--every", "100ms")
		p.await("\x1b[?1049h")
		p.await("waiting")
		p.await("\x1b[J")
		p.mu.Lock()
		frame := p.text.String()
		p.mu.Unlock()
		frame = frame[:strings.Index(frame, "\x1b[J")]
		if n := strings.Count(frame, "\n"); n >= 12 {
			t.Errorf("it has %d lines on a terminal of 12:\n%q", n+1, frame)
		}
		if wide := tooWide(frame, 80); wide != nil {
			t.Errorf("too wide: %q", wide)
		}
		if _, err := p.master.WriteString("q"); err != nil {
			t.Fatal(err)
		}
		if code := <-done; code != 0 {
			t.Errorf("exit code %d", code)
		}
		p.await("\x1b[?1049l")
	})
	t.Run("progress", func(t *testing.T) {
		t.Parallel()
		p := newPty(t, 60, 24)
		text := p.run(0, "--db", db, "export", "-o", filepath.Join(t.TempDir(), "x.jsonl"))
		if !strings.Contains(text, "100%  32 of 32 runs") || !strings.HasSuffix(text, "\r\x1b[K32 runs exported to "+text[strings.LastIndex(text, " ")+1:]) {
			t.Errorf("export printed %q", text)
		}
		if wide := tooWide(text, 60); len(wide) > 1 { // the path is shown whole
			t.Errorf("too wide: %q", wide)
		}
	})
}
