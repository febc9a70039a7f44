package main

import (
	"net/http"
	"strings"
	"testing"

	"github.com/tenter-dev/tenter/examples/internal/exampletest"
)

func TestMain(m *testing.M) { exampletest.Main(m, main) }

func TestTypedHook(t *testing.T) {
	t.Parallel()
	t.Run("scene", func(t *testing.T) {
		t.Parallel()
		out := exampletest.Output(t)
		rest := out
		for _, want := range []string{
			"doc-7 waits for a review\n",
			"< 400 Bad Request",
			"< 422 Unprocessable Entity", "reviewer is missing",
			"< 422 Unprocessable Entity", "a rejection needs a comment",
			"< 200 OK",
			"doc-7 is rejected by Ada: page 3 is missing\n",
		} {
			_, after, found := strings.Cut(rest, want)
			if !found {
				t.Fatalf("%q is missing or out of order:\n%s", want, out)
			}
			rest = after
		}
	})

	t.Run("over HTTP", func(t *testing.T) {
		t.Parallel()
		p := exampletest.Start(t, t.TempDir(), "-addr", "127.0.0.1:0")
		url := p.WaitFor(`At (\S+) until`)[1]
		var started struct{ RunID string }
		exampletest.Do(t, http.MethodPost, url+"/documents/a%20b", "", &started)
		p.WaitFor(`a b waits for a review\n`)

		const good = `{"approved":true,"reviewer":"Ada"}`
		for _, tt := range []struct {
			path, body string
			status     int
		}{
			{"/documents/other/approval", good, http.StatusNotFound},
			{"/documents/a%20b/approval", `{"approved":1}`, http.StatusBadRequest},
			{"/documents/a%20b/approval", `{}`, http.StatusUnprocessableEntity},
		} {
			var problem struct {
				Title, Detail string
				Status        int
			}
			code := exampletest.Do(t, http.MethodPost, url+tt.path, tt.body, &problem)
			if code != tt.status || problem.Status != tt.status || problem.Title == "" || problem.Detail == "" {
				t.Errorf("%s to %s: %d %+v, want a problem with status %d", tt.body, tt.path, code, problem, tt.status)
			}
		}

		var resumed struct{ RunID string }
		code := exampletest.Do(t, http.MethodPost, url+"/documents/a%20b/approval", good, &resumed)
		if code != http.StatusOK || resumed.RunID == "" || resumed != started {
			t.Errorf("a good request: %d, run %q, want 200 and run %q", code, resumed.RunID, started.RunID)
		}
	})
}
