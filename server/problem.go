package server

import (
	"encoding/json"
	"net/http"

	"github.com/tenter-dev/tenter/internal/api"
)

// problem is the body of an error answer (RFC 9457).
type problem api.Problem

func (p *problem) Error() string { return p.Title + ": " + p.Detail }

func (p problem) write(w http.ResponseWriter) {
	if p.Title == "" {
		p.Title = http.StatusText(p.Status)
	}
	if p.Code != "" {
		p.Type = api.ProblemType + p.Code
	}
	body, err := json.Marshal(p)
	if err != nil {
		panic("server: encode problem: " + err.Error()) // it has texts and numbers only
	}
	w.Header().Set("Content-Type", "application/problem+json")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(p.Status)
	_, _ = w.Write(append(body, '\n')) // the caller has gone: nobody to tell
}
