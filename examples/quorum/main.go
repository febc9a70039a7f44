// Command quorum asks three people about a document, by a link to a page for each. None of them
// needs an account. Two who say the same decide.
package main

import (
	"context"
	"crypto/rand"
	"fmt"
	"net/http"

	"github.com/tenter-dev/tenter/engine"
	"github.com/tenter-dev/tenter/examples/internal/demo"
	"github.com/tenter-dev/tenter/server"
	"github.com/tenter-dev/tenter/workflow"
)

func main() {
	key := make([]byte, 32)
	rand.Read(key) // a real program has it among its secrets, so that links outlive it
	o := &office{mail: printMail}
	opts := engine.Options{
		Workflows:  []workflow.Definition{Publication.Implement(o.publication)},
		Hooks:      []workflow.HookDefinition{Votes},
		AnswerKeys: []engine.AnswerKey{{ID: "demo", Key: key}},
	}
	demo.Site(opts, routes, func(ctx context.Context, eng *engine.Engine, _ string) error {
		run, err := Publication.Start(ctx, eng, "contract.pdf")
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

// printMail stands for the mail. Open it in a browser, and be that person.
func printMail(_ context.Context, to, subject, text string) error {
	_, err := fmt.Printf("To: %s\nSubject: %s\n\n  %s\n\n", to, subject, text)
	return err
}
