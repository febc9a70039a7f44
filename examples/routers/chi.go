package routers

import (
	"net/http"

	"github.com/go-chi/chi/v5"

	"github.com/tenter-dev/tenter/server"
)

func withChi(h handlers) http.Handler {
	r := chi.NewRouter()
	r.Handle(server.WebhookPath+"*", h.public) // without the * it is only that very path
	r.Method("POST", "/chat/{channel}", h.chat)
	r.Handle(server.AnswerPath+"*", h.answers)
	r.Method("POST", "/reviews/{id}/decision", h.decide)
	r.Handle(server.APIPath+"*", h.api)
	r.Handle("/dashboard/*", h.pages)
	return r
}
