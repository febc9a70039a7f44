package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/cookiejar"
	"strings"
	"testing"

	"github.com/tenter-dev/tenter/engine"
	"github.com/tenter-dev/tenter/examples/internal/database"
	"github.com/tenter-dev/tenter/examples/internal/exampletest"
	"github.com/tenter-dev/tenter/internal/pgtest"
	"github.com/tenter-dev/tenter/workflow"
)

func TestMain(m *testing.M) { exampletest.Main(m, main) }

type answer struct {
	Success bool
	RunID   string
	Error   string
}

type listed struct {
	RunID, Status, Result string
	WaitsFor              []struct{ Document, Token string }
}

func status(t *testing.T, url string) (runs []listed) {
	t.Helper()
	exampletest.Do(t, http.MethodGet, url+"/status", "", &runs)
	return runs
}

// waitUntilParked returns when the first run waits: the question is printed by a
// step, a moment before.
func waitUntilParked(t *testing.T, url string) {
	t.Helper()
	for status(t, url)[0].Status != "waiting" {
		if t.Context().Err() != nil {
			t.Fatal(t.Context().Err())
		}
	}
}

// question is what the program prints for a run that waits.
const question = `(\S+) waits for a decision[^\n]*\n\n  curl (http://\S+)/approve -d '{"token":"([^"]+)"`

func TestApproval(t *testing.T) {
	t.Parallel()
	t.Run("sqlite", func(t *testing.T) {
		t.Parallel()
		testApproval(t, func(*testing.T) string { return "sqlite:approval.db" })
	})
	t.Run("postgres", func(t *testing.T) {
		t.Parallel()
		testApproval(t, func(t *testing.T) string { return pgtest.Database(t) })
	})
}

func testApproval(t *testing.T, database func(*testing.T) string) {
	// start returns the program with its URL and the token of its first question.
	start := func(t *testing.T, dir, db string) (p *exampletest.Process, url, token string) {
		t.Helper()
		p = exampletest.Start(t, dir, "-addr", "127.0.0.1:0", "-db", db)
		match := p.WaitFor(question)
		return p, match[2], match[3]
	}
	approve := func(t *testing.T, url, token string) (int, answer) {
		t.Helper()
		var a answer
		body := fmt.Sprintf(`{"token":%q,"approved":true,"comment":"Well done"}`, token)
		return exampletest.Do(t, http.MethodPost, url+"/approve", body, &a), a
	}
	interrupt := func(t *testing.T, p *exampletest.Process) {
		t.Helper()
		p.Interrupt()
		if code := p.Wait(); code != 0 {
			t.Errorf("exit code after Ctrl-C is %d:\n%s", code, p.Output())
		}
	}

	t.Run("approve", func(t *testing.T) {
		t.Parallel()
		p, url, token := start(t, t.TempDir(), database(t))
		if code, a := approve(t, url, "unknown"); code != http.StatusNotFound || a.Error == "" {
			t.Errorf("an unknown token: %d %+v, want 404 and an error", code, a)
		}
		if code, a := approve(t, url, ""); code != http.StatusNotFound || a.Error == "" {
			t.Errorf("no token: %d %+v, want 404 and an error", code, a)
		}
		code, a := approve(t, url, token)
		if code != http.StatusOK || !a.Success || a.RunID == "" {
			t.Errorf("approve: %d %+v, want 200, success and the run's ID", code, a)
		}
		p.WaitFor(`contract.pdf is published: Well done\n`)
		if code, _ := approve(t, url, token); code != http.StatusNotFound {
			t.Errorf("approve again: %d, want 404", code)
		}
		interrupt(t, p)
	})

	t.Run("reject", func(t *testing.T) {
		t.Parallel()
		p, url, token := start(t, t.TempDir(), database(t))
		body := fmt.Sprintf(`{"token":%q,"approved":false,"comment":"No"}`, token)
		if code := exampletest.Do(t, http.MethodPost, url+"/approve", body, nil); code != http.StatusOK {
			t.Errorf("reject: %d, want 200", code)
		}
		p.WaitFor(`contract.pdf is rejected: No\n`)
	})

	t.Run("start and status", func(t *testing.T) {
		t.Parallel()
		p, url, _ := start(t, t.TempDir(), database(t))
		var started answer
		if code := exampletest.Do(t, http.MethodPost, url+"/start", `{"document":"plan.txt"}`, &started); code != http.StatusOK {
			t.Fatalf("start: %d", code)
		}
		token := p.WaitFor(`plan.txt waits[^']*'{"token":"([^"]+)"`)[1]
		if _, a := approve(t, url, token); a.RunID != started.RunID {
			t.Errorf("approved run %s, want %s", a.RunID, started.RunID)
		}
		p.WaitFor(`plan.txt is published`)

		runs := status(t, url)
		if len(runs) != 2 || runs[0].RunID != started.RunID || len(runs[1].WaitsFor) != 1 || runs[1].WaitsFor[0].Document != "contract.pdf" {
			t.Errorf("status is %+v, want run %s, and before it the one that waits for contract.pdf", runs, started.RunID)
		}
	})

	t.Run("bad requests", func(t *testing.T) {
		t.Parallel()
		_, url, _ := start(t, t.TempDir(), database(t))
		for path, body := range map[string]string{"/start": `{}`, "/approve": `{`} {
			var a answer
			if code := exampletest.Do(t, http.MethodPost, url+path, body, &a); code != http.StatusBadRequest || a.Error == "" {
				t.Errorf("%s with %s: %d %+v, want 400 and an error", path, body, code, a)
			}
		}
	})

	t.Run("kill -9 while it waits", func(t *testing.T) {
		t.Parallel()
		dir, db := t.TempDir(), database(t)
		p, url, token := start(t, dir, db)
		waitUntilParked(t, url)
		p.Kill()

		p, url, again := start(t, dir, db)
		if again != token {
			t.Errorf("the token is %s after the crash, %s before", again, token)
		}
		if code, a := approve(t, url, token); code != http.StatusOK {
			t.Errorf("approve: %d %+v", code, a)
		}
		p.WaitFor(`contract.pdf is published`)
	})

	t.Run("in the browser", func(t *testing.T) {
		t.Parallel()
		dir, db := t.TempDir(), database(t)
		p, url, _ := start(t, dir, db)
		waitUntilParked(t, url)
		link := p.WaitFor(`Or in the browser: (\S+)\n`)[1]
		if _, page := browse(t, url+"/tenter/hooks"); !strings.Contains(page, "<title>Sign in") {
			t.Errorf("without the link there is %s", page)
		}
		if at, page := browse(t, link); at != url+"/tenter/hooks" || !strings.Contains(page, "contract.pdf") {
			t.Errorf("the link leads to %s: %s", at, page)
		}
		p.Kill()

		p, again, _ := start(t, dir, db)
		link = strings.Replace(link, url, again, 1) // the port is another one
		if got := p.WaitFor(`Or in the browser: (\S+)\n`)[1]; got != link {
			t.Errorf("after the crash the link is %s, want %s", got, link)
		}
	})

	t.Run("Ctrl-C while it waits", func(t *testing.T) {
		t.Parallel()
		dir, db := t.TempDir(), database(t)
		p, _, token := start(t, dir, db)
		interrupt(t, p)

		p, url, _ := start(t, dir, db)
		approve(t, url, token)
		p.WaitFor(`contract.pdf is published`)
		interrupt(t, p)
	})
}

// browse is what a browser shows that opens a URL, and at which URL.
func browse(t *testing.T, url string) (at, page string) {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	res, err := (&http.Client{Jar: jar}).Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res.Request.URL.String(), string(body)
}

func TestAddressTaken(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	p := exampletest.Start(t, t.TempDir(), "-addr", l.Addr().String())
	free := p.WaitFor(`so this is (\S+)\.\n`)[1]
	if url := p.WaitFor(question)[2]; url != "http://"+free {
		t.Errorf("it says %s and prints %s", free, url)
	}
}

// What others wait for in the same database is none of its business.
func TestOthersInDatabase(t *testing.T) {
	t.Parallel()
	db := pgtest.Database(t)
	st, err := database.Open(t.Context(), db)
	if err != nil {
		t.Fatal(err)
	}
	defer st.Close()
	other := workflow.Define("other", func(ctx workflow.Context, _ int) (string, error) {
		hook, err := workflow.NewHook[string](ctx)
		if err != nil {
			return "", err
		}
		return hook.Wait(ctx)
	})
	eng, err := engine.New(st, engine.Options{Workflows: []workflow.Definition{other}})
	if err != nil {
		t.Fatal(err)
	}
	defer eng.Close()
	run, err := other.Start(t.Context(), eng, 0)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- eng.Run(ctx) }()
	for status := workflow.StatusRunning; status != workflow.StatusWaiting && err == nil; {
		status, err = run.Status(t.Context())
	}
	stop()
	if err := errors.Join(err, <-ended); err != nil {
		t.Fatal(err)
	}

	p := exampletest.Start(t, t.TempDir(), "-addr", "127.0.0.1:0", "-db", db)
	if document := p.WaitFor(question)[1]; document != "contract.pdf" {
		t.Errorf("it asks about %s", document)
	}
}
