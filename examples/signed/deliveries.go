package main

import (
	"context"
	"fmt"

	"github.com/tenter-dev/tenter/workflow"
)

// Deliveries counts the pushes to a branch until it is deleted.
var Deliveries = workflow.Define("deliveries", deliveries)

type push struct {
	Pusher  string `json:"pusher"`
	Deleted bool   `json:"deleted"`
}

func deliveries(ctx workflow.Context, branch string) (int, error) {
	hook, err := workflow.NewWebhook(ctx,
		workflow.Token("github:"+branch), // can be guessed, which does no harm to a signed webhook
		workflow.From("github"),
	)
	if err != nil {
		return 0, err
	}
	defer hook.Close()

	if err := workflow.Do(ctx, "tell", func(context.Context) error { return tell(hook.URL()) }); err != nil {
		return 0, err
	}

	n := 0
	for req, err := range hook.All(ctx) {
		if err != nil {
			return n, err
		}
		var p push
		if err := req.JSON(&p); err != nil {
			workflow.Logger(ctx).Warn("a delivery that is not a push", "request", req, "error", err)
			continue
		}
		if p.Deleted {
			return n, nil
		}
		n++
		err = workflow.Do(ctx, "build", func(context.Context) error {
			_, err := fmt.Printf("%d. Build what %s has pushed.\n", n, p.Pusher)
			return err
		})
		if err != nil {
			return n, err
		}
	}
	return n, nil
}

// tell prints shell lines that do what GitHub does.
func tell(url string) error {
	_, err := fmt.Printf(`To be GitHub, which signs what it sends:

  secret=${GITHUB_WEBHOOK_SECRET:-"It's a Secret to Everybody"}
  sign() { printf %%s "$2" | openssl dgst -sha256 -hmac "$1" | sed 's/.* //'; }
  deliver() { curl -s -w '%%{http_code}\n' '%s' -d "$3" -H "X-GitHub-Delivery: $2" -H "X-Hub-Signature-256: sha256=$(sign "$1" "$3")"; }

  deliver "$secret" first '{"pusher":"ada"}'
  for i in 1 2 3 4 5; do deliver "$secret" second '{"pusher":"bob"}'; done
  deliver guessed third '{"pusher":"eve"}'
  deliver "$secret" fourth '{"deleted":true}'

`, url)
	return err
}
