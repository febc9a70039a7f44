// Package exampletest runs the examples as real processes, for their tests.
package exampletest

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"
)

// patience is far above what anything here takes, on a busy machine too.
const patience = 5 * time.Minute

// exampleEnv makes the test binary of an example the example.
const exampleEnv = "TENTER_EXAMPLE"

// Main is the TestMain of an example, which it is given. The processes of [Start] are the test binary
// again: to build another one would take longer than most of the tests.
func Main(m *testing.M, example func()) {
	if os.Getenv(exampleEnv) == "" {
		m.Run()
		return
	}
	example()
	os.Exit(0)
}

// Output runs the example to its end, in a folder of its own, and returns what it
// prints. It fails the test if the example does.
func Output(t *testing.T, args ...string) string {
	t.Helper()
	p := Start(t, t.TempDir(), args...)
	if code := p.Wait(); code != 0 {
		t.Fatalf("%s exited with %d:\n%s", strings.Join(args, " "), code, p.Output())
	}
	return p.Output()
}

// Process is an example at work.
type Process struct {
	t    *testing.T
	cmd  *exec.Cmd
	done chan struct{} // closed when it has ended

	mu      sync.Mutex
	out     bytes.Buffer
	printed chan struct{} // closed at the next output
}

// Start starts the example in a folder. It is killed at the end of the test.
func Start(t *testing.T, dir string, args ...string) *Process {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	p := &Process{t: t, done: make(chan struct{}), printed: make(chan struct{})}
	p.cmd = exec.CommandContext(t.Context(), self, args...)
	p.cmd.Dir, p.cmd.Stdout, p.cmd.Stderr = dir, p, p
	p.cmd.Env = append(os.Environ(), exampleEnv+"=1",
		"TMPDIR="+dir, // a killed program leaves files there
		"GORACE=atexit_sleep_ms=0 "+os.Getenv("GORACE"))
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		defer close(p.done)
		_ = p.cmd.Wait() // the exit code says it
	}()
	t.Cleanup(func() { <-p.done })
	return p
}

// Write takes what the program prints.
func (p *Process) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	close(p.printed)
	p.printed = make(chan struct{})
	return p.out.Write(b)
}

// Output returns what the program has printed so far.
func (p *Process) Output() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.out.String()
}

// WaitFor returns when the output matches a pattern, with the match and its groups.
func (p *Process) WaitFor(pattern string) []string {
	p.t.Helper()
	re := regexp.MustCompile(pattern)
	late := time.After(patience)
	for ended := false; ; {
		p.mu.Lock()
		match, printed := re.FindStringSubmatch(p.out.String()), p.printed
		p.mu.Unlock()
		if match != nil {
			return match
		}
		if ended {
			p.t.Fatalf("the program has ended and did not print %q:\n%s", pattern, p.Output())
		}
		select {
		case <-printed:
		case <-p.done:
			ended = true // it may have printed something before
		case <-late:
			p.t.Fatalf("the program does not print %q:\n%s", pattern, p.Output())
		}
	}
}

// Kill is kill -9.
func (p *Process) Kill() {
	p.t.Helper()
	if err := p.cmd.Process.Kill(); err != nil {
		p.t.Fatal(err)
	}
	<-p.done
}

// Interrupt is Ctrl-C.
func (p *Process) Interrupt() {
	p.t.Helper()
	if err := p.cmd.Process.Signal(os.Interrupt); err != nil {
		p.t.Fatal(err)
	}
}

// Wait returns the exit code when the program has ended.
func (p *Process) Wait() int {
	p.t.Helper()
	select {
	case <-p.done:
	case <-time.After(patience):
		p.t.Fatalf("the program does not end:\n%s", p.Output())
	}
	return p.cmd.ProcessState.ExitCode()
}

// Do sends a request with a body, if it is not empty, and decodes the JSON answer
// into v, if it is not nil. It returns the status code.
func Do(t *testing.T, method, url, body string, v any) int {
	t.Helper()
	answer := Send(t, method, url, nil, body)
	if v != nil && answer.Status != 0 {
		if err := json.Unmarshal([]byte(answer.Body), v); err != nil {
			t.Errorf("%s %s: %d %q: %v", method, url, answer.Status, answer.Body, err)
		}
	}
	return answer.Status
}

// Answer is what came back for a request.
type Answer struct {
	Status int
	Header http.Header
	Body   string
}

// Send sends a request. It may be called from any goroutine: if it fails, so does
// the test, and the answer is empty.
func Send(t *testing.T, method, url string, header http.Header, body string) Answer {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		t.Error(err)
		return Answer{}
	}
	if header != nil {
		req.Header = header
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Error(err)
		return Answer{}
	}
	defer res.Body.Close()
	data, err := io.ReadAll(res.Body)
	if err != nil {
		t.Error(err)
		return Answer{}
	}
	return Answer{res.StatusCode, res.Header, string(data)}
}

// Paste gives a shell the lines that the program has printed for it so far, those
// that begin with two spaces, and returns what they print. It skips the test on a
// machine that lacks a tool.
func (p *Process) Paste(tools ...string) string {
	p.t.Helper()
	for _, tool := range append(tools, "sh") {
		if _, err := exec.LookPath(tool); err != nil {
			p.t.Skip(err)
		}
	}
	var script strings.Builder
	for line := range strings.Lines(p.Output()) {
		if strings.HasPrefix(line, "  ") {
			script.WriteString(line)
		}
	}
	out, err := exec.CommandContext(p.t.Context(), "sh", "-c", script.String()).Output()
	if err != nil {
		p.t.Fatalf("%v\n%s", err, &script)
	}
	return string(out)
}
