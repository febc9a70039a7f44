// Command mailapproval asks for the approval of an expense by mail. The mail has two buttons,
// which lead to the answer page of the run.
package main

import (
	"context"
	"flag"
	"fmt"
	"net/http"
	"os"

	"github.com/tenter-dev/tenter/engine"
	"github.com/tenter-dev/tenter/examples/internal/demo"
	"github.com/tenter-dev/tenter/examples/internal/mailbox"
	"github.com/tenter-dev/tenter/server"
	"github.com/tenter-dev/tenter/workflow"
)

func main() {
	key, err := demo.AnswerKey("mailapproval.key")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	box, err := mailbox.Listen()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	go show(box)
	p := &postman{from: "expenses@example.com"}
	flag.StringVar(&p.server, "smtp", box.Addr(), "mail server, host and port; the default prints mails, and sends them nowhere")
	opts := engine.Options{
		Workflows:  []workflow.Definition{Approval.Implement((&office{p}).approve)},
		Hooks:      []workflow.HookDefinition{Decisions}, // the answer page is made from it
		AnswerKeys: []engine.AnswerKey{key},
	}
	demo.Site(opts, routes, func(ctx context.Context, eng *engine.Engine, _ string) error {
		run, err := Approval.Start(ctx, eng, Expense{ID: "E-17", By: "Bob", For: "a crane", Amount: 70_000, Approver: "ada@example.com"})
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

// show prints mails as they come.
func show(box *mailbox.Mailbox) {
	for mail := range box.Mails() {
		fmt.Printf("A mail:\n\n%s\n", mail)
	}
}
