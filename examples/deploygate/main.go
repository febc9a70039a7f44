// Command deploygate is a custom deployment protection rule of GitHub: a deployment waits until
// somebody has let it through.
package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"net/http"
	"os"

	"github.com/tenter-dev/tenter/engine"
	"github.com/tenter-dev/tenter/examples/internal/demo"
	"github.com/tenter-dev/tenter/sender"
	"github.com/tenter-dev/tenter/server"
	"github.com/tenter-dev/tenter/workflow"
)

func main() {
	gh := &github{}
	flag.StringVar(&gh.api, "github", "https://api.github.com", "URL of GitHub's API")
	flag.StringVar(&gh.app, "app", "1", "ID of the GitHub App")
	flag.StringVar(&gh.keyFile, "key", "deploygate.pem", "file with the private key of the App")
	key, err := demo.AnswerKey("deploygate.key")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	secret := cmp.Or(os.Getenv("GITHUB_WEBHOOK_SECRET"), "It's a Secret to Everybody")
	opts := engine.Options{
		Workflows:  []workflow.Definition{Gate.Implement((&keeper{gh}).keep, workflow.StartedByRequest())},
		Hooks:      []workflow.HookDefinition{Decisions},
		Senders:    map[string]*sender.Sender{"github": sender.Must(sender.GitHub(secret))},
		AnswerKeys: []engine.AnswerKey{key},
	}
	demo.Site(opts, routes, func(ctx context.Context, _ *engine.Engine, url string) error {
		fmt.Printf("The Webhook URL of the App is %s/github.\n", url)
		<-ctx.Done()
		return nil
	})
}

func routes(mux *http.ServeMux, eng *engine.Engine) {
	mux.Handle(server.AnswerPath, server.Answers(eng, server.AnswerOptions{}))
	rule := server.Webhook(eng, func(r *http.Request) (string, error) {
		e, err := parse(json.NewDecoder(r.Body).Decode)
		return e.token(), err
	}, server.OrStart(Gate, func(_ string, r *workflow.Request) (Event, error) {
		return parse(r.JSON)
	}, workflow.From("github")))
	mux.HandleFunc("POST /github", func(w http.ResponseWriter, r *http.Request) {
		// An App also gets events about its installations, which are nothing to a gate.
		if r.Header.Get("X-GitHub-Event") != "deployment_protection_rule" {
			w.WriteHeader(http.StatusNoContent)
			return
		}
		rule.ServeHTTP(w, r)
	})
}

// Event is what the example reads of the event deployment_protection_rule.
type Event struct {
	Action      string `json:"action"`
	Environment string `json:"environment"`
	CallbackURL string `json:"deployment_callback_url"`
	Deployment  struct {
		ID      int64  `json:"id"`
		Ref     string `json:"ref"`
		SHA     string `json:"sha"`
		Creator struct {
			Login string `json:"login"`
		} `json:"creator"`
	} `json:"deployment"`
	Repository struct {
		FullName string `json:"full_name"`
	} `json:"repository"`
	Installation struct {
		ID int64 `json:"id"`
	} `json:"installation"`
}

func parse(decode func(any) error) (e Event, err error) {
	err = decode(&e)
	if err == nil && (e.Action != "requested" || e.Deployment.ID == 0) {
		err = errors.New("it requests no decision about a deployment")
	}
	return e, err
}

// token is the address of the run that decides about the deployment of e.
func (e Event) token() string { return fmt.Sprint("github-deployment:", e.Deployment.ID) }
