// Package routers mounts what package server and package dashboard serve in the routers that programs
// use most: each file has one. Copy what you need; the tests drive all of it, in each router.
package routers

import (
	"net/http"

	"github.com/tenter-dev/tenter/access"
	"github.com/tenter-dev/tenter/dashboard"
	"github.com/tenter-dev/tenter/engine"
	"github.com/tenter-dev/tenter/server"
	"github.com/tenter-dev/tenter/workflow"
)

// handlers are those to be mounted.
type handlers struct {
	public  http.Handler // webhooks below server.WebhookPath
	chat    http.Handler // a webhook at a path of the app's own
	answers http.Handler // answer pages below server.AnswerPath
	decide  http.Handler // resumes a hook, at a path of the app's own
	api     http.Handler // below server.APIPath
	pages   http.Handler // the dashboard, below its prefix
}

type decision struct {
	Approved bool `json:"approved"`
}

var decisions = workflow.DefineHook[decision]("decision")

func newHandlers(eng *engine.Engine, may access.Policy) handlers {
	return handlers{
		public: server.Webhooks(eng),
		chat: server.Webhook(eng, func(r *http.Request) (string, error) {
			return "chat:" + r.PathValue("channel"), nil
		}),
		answers: server.Answers(eng, server.AnswerOptions{}),
		decide: server.Resume(eng, decisions, func(r *http.Request) (string, error) {
			return "review:" + r.PathValue("id"), nil // once it has checked who sends it
		}, server.Options{}),
		api:   server.API(eng, server.APIOptions{Access: may}),
		pages: http.StripPrefix("/dashboard", dashboard.New(eng, dashboard.Options{Access: may})),
	}
}
