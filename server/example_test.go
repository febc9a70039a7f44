package server_test

import (
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"

	"github.com/tenter-dev/tenter/access"
	"github.com/tenter-dev/tenter/engine"
	"github.com/tenter-dev/tenter/server"
	"github.com/tenter-dev/tenter/store/sqlite"
)

// The API is JSON for any program that has a token.
func ExampleAPI() {
	dir, err := os.MkdirTemp("", "tenter")
	if err != nil {
		panic(err)
	}
	defer func() { _ = os.RemoveAll(dir) }()
	st, err := sqlite.Open(filepath.Join(dir, "app.db"))
	if err != nil {
		panic(err)
	}
	defer func() { _ = st.Close() }()
	quiet := slog.New(slog.DiscardHandler)
	eng, err := engine.New(st, engine.Options{Elsewhere: []string{"greet"}, Logger: quiet}) // workers have the workflow
	if err != nil {
		panic(err)
	}
	defer func() { _ = eng.Close() }()

	mux := http.NewServeMux()
	mux.Handle(server.APIPath, server.API(eng, server.APIOptions{
		Access: access.Policy{APIKeys: []access.APIKey{{Secret: "correct-horse-battery", Scope: access.Write}}}, Logger: quiet,
	}))
	srv := httptest.NewServer(mux)
	defer srv.Close()

	call := func(method, path, body string) {
		req, err := http.NewRequest(method, srv.URL+server.APIPath+path, strings.NewReader(body)) //nolint:noctx // an example
		if err != nil {
			panic(err)
		}
		req.Header.Set("Authorization", "Bearer correct-horse-battery")
		req.Header.Set("Content-Type", "application/json")
		resp, err := srv.Client().Do(req)
		if err != nil {
			panic(err)
		}
		defer func() { _ = resp.Body.Close() }()
		answer, err := io.ReadAll(resp.Body)
		if err != nil {
			panic(err)
		}
		fmt.Println(strings.TrimSpace(fmt.Sprint(resp.StatusCode, " ", string(answer))))
	}
	call("POST", "runs", `{"workflow": "greet", "input": "Ada", "run_id": "greet-1"}`)
	call("GET", "counts", "")
	call("GET", "runs/greet-1/result", "")
	call("DELETE", "runs/greet-1", "")
	// Output:
	// 201 {"run_id":"greet-1"}
	// 200 {"counts":{"blocked":0,"canceled":0,"completed":0,"failed":0,"running":1,"waiting":0}}
	// 204
	// 405 {"type":"urn:tenter:problem:method_not_allowed","title":"Method Not Allowed","status":405,"detail":"the methods of this path are GET","code":"method_not_allowed"}
}
