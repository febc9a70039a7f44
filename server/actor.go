package server

import (
	"encoding/json"
	"net/http"

	"github.com/tenter-dev/tenter/access"
	"github.com/tenter-dev/tenter/internal/api"
	"github.com/tenter-dev/tenter/internal/run"
	"github.com/tenter-dev/tenter/workflow"
)

// actedBy is a request whose context says who sends it, for the journal: whom access knows, or whom
// the request names, if it may. Where neither is so, an actor that the context has stays, which a
// handler around this one has put there.
func actedBy(r *http.Request, caller access.Caller) (*http.Request, error) {
	a := workflow.Actor{Name: caller.Name, Via: caller.Via}
	if names := r.Header[http.CanonicalHeaderKey(api.ActorHeader)]; len(names) > 0 {
		if !caller.NamesOthers {
			return nil, &problem{
				Status: http.StatusForbidden, Code: codeForbidden,
				Detail: "the request says in " + api.ActorHeader + " who sends it, which needs an API key that may name others",
			}
		}
		a = workflow.Actor{}
		if err := json.Unmarshal([]byte(names[0]), &a); err != nil || len(names) > 1 {
			return nil, badRequest(api.ActorHeader, `it has to be one JSON object such as {"name":"ada"}`)
		}
		if bad := run.BadActor(a.Name, a.Via, a.Link); bad != "" {
			return nil, badRequest(api.ActorHeader, bad)
		}
	}
	if a == (workflow.Actor{}) {
		return r, nil
	}
	return r.WithContext(workflow.WithActor(r.Context(), a)), nil
}
