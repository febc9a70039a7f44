package server_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"html/template"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/tenter-dev/tenter/engine"
	"github.com/tenter-dev/tenter/inspect"
	"github.com/tenter-dev/tenter/server"
	"github.com/tenter-dev/tenter/store/sqlite"
	"github.com/tenter-dev/tenter/workflow"
)

// Release is the payload of a hook: the decision of a person.
type Release struct {
	Approved bool `json:"approved"`
}

// ownPage is a page in another language than that of server.Answers, for Release alone.
var ownPage = template.Must(template.New("page").Parse(`<!doctype html><html lang="de"><title>{{.Title}}</title>
<h1>{{.Title}}</h1><form method="post"><input type="hidden" name="token" value="{{.FormToken}}">
<button name="approved" value="true">Ja</button> <button name="approved" value="false">Nein</button></form>`))

// serveOwnPage serves what links lead to.
func serveOwnPage(eng *engine.Engine) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "no-store")
		w.Header().Set("Referrer-Policy", "strict-origin") // the path is a secret
		page, err := eng.AnswerPage(r.Context(), path.Base(r.URL.Path))
		switch {
		case errors.Is(err, workflow.ErrLinkNotFound):
			http.Error(w, "Diesen Link gibt es nicht.", http.StatusNotFound)
			return
		case err != nil:
			http.Error(w, "Bitte noch einmal versuchen.", http.StatusInternalServerError)
			return
		case page.Link().State == inspect.LinkCarried:
			http.Error(w, "Bitte noch einmal versuchen.", http.StatusServiceUnavailable)
			return
		case page.Link().State != inspect.LinkOpen:
			http.Error(w, "Das ist schon erledigt.", http.StatusGone)
			return
		}
		if r.Method == http.MethodPost {
			r.Body = http.MaxBytesReader(w, r.Body, 4<<10)
			if _, current := page.CheckForm(r.PostFormValue("token")); current {
				answer, err := json.Marshal(Release{Approved: r.PostFormValue("approved") == "true"})
				if err == nil {
					_, err = page.Answer(r.Context(), answer)
				}
				if err != nil {
					http.Error(w, "Bitte noch einmal versuchen.", http.StatusInternalServerError)
					return
				}
				_, _ = io.WriteString(w, "Danke!")
				return
			}
		}
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		_ = ownPage.Execute(w, page)
	}
}

// A site that wants its own language or look builds its own page on engine.AnswerPage.
func ExampleAnswers_ownPage() {
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

	mux := http.NewServeMux()
	srv := httptest.NewServer(mux)
	defer srv.Close()
	releases := workflow.DefineHook[Release]("release")
	links := make(chan string, 1)
	wf := workflow.Define("release", func(ctx workflow.Context, version string) (bool, error) {
		hook, err := releases.New(ctx)
		if err != nil {
			return false, err
		}
		link, err := workflow.AnswerLink(ctx, hook, workflow.Addressee("ada@example.com"), workflow.PageTitle("Version "+version+" freigeben?"))
		if err != nil {
			return false, err
		}
		if err := workflow.Do(ctx, "mail", func(context.Context) error { links <- link.URL(); return nil }); err != nil {
			return false, err
		}
		r, err := hook.Wait(ctx)
		return r.Approved, err
	})
	eng, err := engine.New(st, engine.Options{
		Workflows: []workflow.Definition{wf}, Hooks: []workflow.HookDefinition{releases}, PublicURL: srv.URL,
		AnswerKeys: []engine.AnswerKey{{ID: "2026-12", Key: bytes.Repeat([]byte("k"), 32)}}, // from crypto/rand
		Logger:     slog.New(slog.DiscardHandler),
	})
	if err != nil {
		panic(err)
	}
	defer func() { _ = eng.Close() }()
	mux.Handle(server.AnswerPath, http.NewCrossOriginProtection().Handler(serveOwnPage(eng)))
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- eng.Run(ctx) }()

	run, err := wf.Start(ctx, eng, "1.2")
	if err != nil {
		panic(err)
	}
	link := <-links
	visit := func(method string, form url.Values) string {
		req, err := http.NewRequestWithContext(ctx, method, link, strings.NewReader(form.Encode()))
		if err != nil {
			panic(err)
		}
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		resp, err := srv.Client().Do(req)
		if err != nil {
			panic(err)
		}
		defer func() { _ = resp.Body.Close() }()
		text, err := io.ReadAll(resp.Body)
		if err != nil {
			panic(err)
		}
		return string(text)
	}
	page := visit("GET", nil)
	fmt.Println(regexp.MustCompile("<h1>.*</h1>").FindString(page))
	token := regexp.MustCompile(`name="token" value="([^"]*)"`).FindStringSubmatch(page)[1]
	fmt.Println(visit("POST", url.Values{"token": {token}, "approved": {"true"}}))
	fmt.Print(visit("GET", nil))
	fmt.Println(run.Result(ctx))
	stop()
	if err := <-ended; err != nil {
		panic(err)
	}
	// Output:
	// <h1>Version 1.2 freigeben?</h1>
	// Danke!
	// Das ist schon erledigt.
	// true <nil>
}
