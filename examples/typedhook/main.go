// Command typedhook has a hook that is typed at both ends: the compiler checks what
// workflow and endpoint say to each other, and Validate what people send. What does
// not pass is refused before anything is written.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/tenter-dev/tenter/engine"
	"github.com/tenter-dev/tenter/examples/internal/demo"
	"github.com/tenter-dev/tenter/workflow"
)

func main() {
	addr := flag.String("addr", "", "serve here until Ctrl-C, instead of playing a scene")
	asked := make(chan string, 1)
	r := &reviewer{asked: func(documentID string) {
		if *addr == "" {
			asked <- documentID
		}
	}}
	opts := engine.Options{
		Workflows: []workflow.Definition{Review.Implement(r.review)},
		Hooks:     []workflow.HookDefinition{Approvals}, // so that any client's payloads are checked
	}
	demo.Main(opts, func(ctx context.Context, eng *engine.Engine) error {
		return demo.Serve(ctx, *addr, routes(eng), func(url string) error {
			return play(ctx, eng, url, asked)
		})
	})
}

func routes(eng *engine.Engine) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /documents/{id}", func(w http.ResponseWriter, r *http.Request) {
		run, err := Review.Start(r.Context(), eng, r.PathValue("id"))
		if err != nil {
			problem(w, http.StatusInternalServerError, err)
			return
		}
		reply(w, http.StatusOK, "application/json", map[string]string{"runId": run.ID()})
	})
	mux.HandleFunc("POST /documents/{id}/approval", func(w http.ResponseWriter, r *http.Request) {
		var payload ApprovalRequest
		if err := json.NewDecoder(r.Body).Decode(&payload); err != nil {
			problem(w, http.StatusBadRequest, err)
			return
		}
		// A payload of another type does not compile here.
		hook, err := Approvals.Resume(r.Context(), eng, token(r.PathValue("id")), payload)
		if refused, ok := errors.AsType[*workflow.PayloadError](err); ok {
			problem(w, http.StatusUnprocessableEntity, refused.Err)
			return
		}
		switch {
		case errors.Is(err, workflow.ErrHookNotFound):
			problem(w, http.StatusNotFound, err)
		case err != nil:
			problem(w, http.StatusInternalServerError, err)
		default:
			reply(w, http.StatusOK, "application/json", map[string]string{"runId": hook.RunID})
		}
	})
	return mux
}

// problem answers as RFC 9457 has it.
func problem(w http.ResponseWriter, status int, err error) {
	reply(w, status, "application/problem+json", map[string]any{
		"title": http.StatusText(status), "status": status, "detail": err.Error(),
	})
}

func reply(w http.ResponseWriter, status int, contentType string, v any) {
	w.Header().Set("Content-Type", contentType)
	w.WriteHeader(status)
	json.NewEncoder(w).Encode(v)
}

// play is a reviewer who learns the rules.
func play(ctx context.Context, eng *engine.Engine, url string, asked <-chan string) error {
	run, err := Review.Start(ctx, eng, "doc-7")
	if err != nil {
		return err
	}
	select {
	case <-asked:
	case <-ctx.Done():
		return ctx.Err()
	}
	for _, body := range []string{
		`{"approved":"yes"}`,
		`{"approved":true}`,
		`{"approved":false,"reviewer":"Ada"}`,
		`{"approved":false,"reviewer":"Ada","comment":"page 3 is missing"}`,
	} {
		fmt.Println("\n>", body)
		if err := post(ctx, url+"/documents/doc-7/approval", body); err != nil {
			return err
		}
	}
	result, err := run.Result(ctx)
	if err != nil {
		return err
	}
	fmt.Printf("\n%s\n", result)
	return nil
}

func post(ctx context.Context, url, body string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, strings.NewReader(body))
	if err != nil {
		return err
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	answer, err := io.ReadAll(res.Body)
	fmt.Printf("< %s %s", res.Status, answer)
	return err
}
