package routers

import (
	"net/http"

	"github.com/tenter-dev/tenter/server"
)

func netHTTP(h handlers) http.Handler {
	mux := http.NewServeMux()
	mux.Handle(server.WebhookPath, h.public)
	mux.Handle("POST /chat/{channel}", h.chat)
	mux.Handle(server.AnswerPath, h.answers)
	mux.Handle("POST /reviews/{id}/decision", h.decide)
	mux.Handle(server.APIPath, h.api)
	mux.Handle("/dashboard/", h.pages)
	return mux
}
