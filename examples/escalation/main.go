// Command escalation asks one person for a decision by a link, sends a reminder, and then asks the
// boss. Whoever is asked can delegate the decision.
package main

import (
	"context"
	"crypto/rand"
	"flag"
	"fmt"
	"net/http"
	"time"

	"github.com/tenter-dev/tenter/engine"
	"github.com/tenter-dev/tenter/examples/internal/demo"
	"github.com/tenter-dev/tenter/server"
	"github.com/tenter-dev/tenter/workflow"
)

func main() {
	patience := flag.Duration("patience", time.Minute, "time from a mail to the reminder, and from there to the escalation")
	key := make([]byte, 32)
	rand.Read(key) // a real program has it among its secrets, so that links outlive it
	o := &office{mail: printMail}
	opts := engine.Options{
		Workflows:  []workflow.Definition{Approval.Implement(o.approval)},
		Hooks:      []workflow.HookDefinition{Decisions},
		AnswerKeys: []engine.AnswerKey{{ID: "demo", Key: key}},
	}
	demo.Site(opts, routes, func(ctx context.Context, eng *engine.Engine, _ string) error {
		run, err := Approval.Start(ctx, eng, Purchase{"a lathe", "ada@example.com", "boss@example.com", *patience})
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

func routes(mux *http.ServeMux, eng *engine.Engine) {
	mux.Handle(server.AnswerPath, server.Answers(eng, server.AnswerOptions{}))
}

// printMail stands for the mail. Open the link in a browser, and be that person.
func printMail(_ context.Context, to, subject, text string) error {
	_, err := fmt.Printf("To: %s\nSubject: %s\n\n  %s\n\n", to, subject, text)
	return err
}
