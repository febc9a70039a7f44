package main

import (
	"encoding/json"
	"errors"
	"net/http"

	"github.com/tenter-dev/tenter/access"
	"github.com/tenter-dev/tenter/dashboard"
	"github.com/tenter-dev/tenter/inspect"
	"github.com/tenter-dev/tenter/workflow"
)

func (a *app) routes() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /start", a.handleStart)
	mux.HandleFunc("POST /approve", a.handleApprove)
	mux.HandleFunc("GET /status", a.handleStatus)
	// People sign in with the API key, or with the link that the program prints, which has it.
	mux.Handle("/tenter/", http.StripPrefix("/tenter", dashboard.New(a.engine, dashboard.Options{
		Title: "approval", Access: access.Policy{APIKeys: []access.APIKey{a.key}},
	})))
	return http.MaxBytesHandler(mux, 1<<20)
}

type (
	success struct {
		Success bool   `json:"success"`
		RunID   string `json:"runId"`
	}
	failure struct {
		Error string `json:"error"`
	}
)

func (a *app) handleStart(w http.ResponseWriter, r *http.Request) {
	var in struct{ Document string }
	if err := json.NewDecoder(r.Body).Decode(&in); err != nil || in.Document == "" {
		reply(w, http.StatusBadRequest, failure{`send {"document":"…"}`})
		return
	}
	run, err := Approval.Start(r.Context(), a.engine, in.Document)
	if err != nil {
		reply(w, http.StatusInternalServerError, failure{err.Error()})
		return
	}
	reply(w, http.StatusOK, success{true, run.ID()})
}

func (a *app) handleApprove(w http.ResponseWriter, r *http.Request) {
	var in struct {
		Token string
		Decision
	}
	if err := json.NewDecoder(r.Body).Decode(&in); err != nil {
		reply(w, http.StatusBadRequest, failure{`send {"token":"…","approved":true,"comment":"…"}`})
		return
	}
	hook, err := workflow.Resume(r.Context(), a.engine, in.Token, in.Decision)
	switch {
	case errors.Is(err, workflow.ErrHookNotFound), errors.Is(err, workflow.ErrInvalidToken):
		reply(w, http.StatusNotFound, failure{"nothing waits for this token"})
	case err != nil:
		reply(w, http.StatusInternalServerError, failure{err.Error()})
	default: // the decision is on disk
		reply(w, http.StatusOK, success{true, hook.RunID})
	}
}

// handleStatus lists the newest runs. It shows the tokens because this is a demonstration: anyone
// with a token can decide.
func (a *app) handleStatus(w http.ResponseWriter, r *http.Request) {
	type waiting struct {
		Document json.RawMessage `json:"document"`
		Token    string          `json:"token"`
	}
	type status struct {
		RunID    string          `json:"runId"`
		Status   workflow.Status `json:"status"`
		WaitsFor []waiting       `json:"waitsFor,omitempty"`
		Result   string          `json:"result,omitempty"`
	}
	all := []status{}
	runs, err := a.engine.Runs(r.Context(), inspect.RunFilter{Workflow: Approval.Name()})
	for _, run := range runs {
		s := status{RunID: run.ID, Status: run.Status}
		var hooks []workflow.HookInfo
		if run.Status == workflow.StatusCompleted {
			s.Result, err = Approval.Get(a.engine, run.ID).Result(r.Context())
		} else {
			hooks, err = a.engine.Hooks(r.Context(), inspect.HookFilter{RunID: run.ID})
		}
		if err != nil {
			break
		}
		for _, h := range hooks {
			s.WaitsFor = append(s.WaitsFor, waiting{h.Metadata, h.Token})
		}
		all = append(all, s)
	}
	if err != nil {
		reply(w, http.StatusInternalServerError, failure{err.Error()})
		return
	}
	reply(w, http.StatusOK, all)
}

func reply(w http.ResponseWriter, code int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	json.NewEncoder(w).Encode(v)
}
