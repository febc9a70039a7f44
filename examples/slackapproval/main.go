// Command slackapproval asks for an approval in Slack, with a message that has two buttons, and
// puts the decision in their place.
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
	s := &slack{token: os.Getenv("SLACK_BOT_TOKEN")}
	flag.StringVar(&s.api, "slack", "https://slack.com/api", "URL of Slack's Web API")
	channel := flag.String("channel", "C0RELEASES", "ID of the channel to ask in")
	secret := cmp.Or(os.Getenv("SLACK_SIGNING_SECRET"), "the signing secret of nobody")
	opts := engine.Options{
		Workflows: []workflow.Definition{Release.Implement((&office{s}).release)},
		Senders:   map[string]*sender.Sender{"slack": sender.Must(sender.Slack(secret))},
	}
	demo.Site(opts, routes, func(ctx context.Context, eng *engine.Engine, url string) error {
		fmt.Printf("The Request URL of the app's interactivity is %s/slack/interactive.\n", url)
		run, err := Release.Start(ctx, eng, Question{Channel: *channel, Version: "v1.4.0"})
		if err != nil {
			return err
		}
		result, err := run.Result(ctx)
		if err != nil {
			return err
		}
		fmt.Println(result)
		return nil
	})
}

// routes has the one URL to which Slack sends all clicks of an app. The button says which run a
// click is for: its value is the token of the webhook, and what Slack sends is signed.
func routes(mux *http.ServeMux, eng *engine.Engine) {
	mux.Handle("POST /slack/interactive", server.Webhook(eng, func(r *http.Request) (string, error) {
		click, err := parseClick(r.PostFormValue("payload"))
		if err != nil {
			return "", err
		}
		return click.Actions[0].Value, nil
	}))
}

// click is what the example reads of the interaction payload block_actions.
type click struct {
	Type string `json:"type"`
	User struct {
		ID string `json:"id"`
	} `json:"user"`
	Actions []struct {
		ActionID string `json:"action_id"`
		Value    string `json:"value"`
	} `json:"actions"`
}

func parseClick(payload string) (c click, err error) {
	err = json.Unmarshal([]byte(payload), &c)
	if err == nil && (c.Type != "block_actions" || len(c.Actions) == 0) {
		err = errors.New("it is not a click")
	}
	return c, err
}

// clickOf reads the click of a request that the run got.
func clickOf(req *workflow.Request) (click, error) {
	form, err := req.Form()
	if err != nil {
		return click{}, err
	}
	return parseClick(form.Get("payload"))
}
