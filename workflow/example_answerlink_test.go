package workflow_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path"
	"path/filepath"
	"time"

	"github.com/tenter-dev/tenter/engine"
	"github.com/tenter-dev/tenter/store/sqlite"
	"github.com/tenter-dev/tenter/workflow"
)

// A manager who has no account approves a purchase by a link.
func ExampleAnswerLink() {
	type decision struct {
		Approved bool   `json:"approved"`
		Reason   string `json:"reason,omitempty"`
	}
	decisions := workflow.DefineHook[decision]("purchase decision")
	mails := make(chan string, 1)
	purchase := workflow.Define("buy", func(ctx workflow.Context, item string) (string, error) {
		hook, err := decisions.New(ctx, workflow.Metadata(map[string]string{"item": item}))
		if err != nil {
			return "", err
		}
		defer hook.Close()
		link, err := workflow.AnswerLink(ctx, hook, workflow.Addressee("ada@example.com"), workflow.ExpiresIn(72*time.Hour),
			workflow.PageTitle("Buy "+item+"?"), workflow.CommentWith("reason", false))
		if err != nil {
			return "", err
		}
		err = workflow.Do(ctx, "mail", func(context.Context) error {
			mails <- link.URL()
			return nil
		})
		if err != nil {
			return "", err
		}
		d, err := hook.Wait(ctx)
		return fmt.Sprintf("approved: %t, by %v", d.Approved, hook.By()), err
	})

	dir := must(os.MkdirTemp("", "tenter"))
	defer func() { _ = os.RemoveAll(dir) }()
	st := must(sqlite.Open(filepath.Join(dir, "app.db")))
	defer func() { _ = st.Close() }()
	eng := must(engine.New(st, engine.Options{
		Workflows:  []workflow.Definition{purchase},
		Hooks:      []workflow.HookDefinition{decisions}, // the page is made from it
		PublicURL:  "https://example.com",
		AnswerKeys: []engine.AnswerKey{{ID: "2026-11", Key: bytes.Repeat([]byte("k"), 32)}}, // of crypto/rand
		Logger:     slog.New(slog.DiscardHandler),
	}))
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- eng.Run(ctx) }()

	run := must(purchase.Start(ctx, eng, "a lathe"))
	url := <-mails // https://example.com/.well-known/workflow/v1/answer/…
	// server.Answers shows the page, and does this with its form.
	page := must(eng.AnswerPage(ctx, path.Base(url)))
	fmt.Println(page.Title())
	_, err := page.Answer(ctx, json.RawMessage(`{"approved": false}`))
	wrong, _ := errors.AsType[*engine.MemberError](err)
	fmt.Println(wrong)
	must(page.Answer(ctx, json.RawMessage(`{"approved": true}`)))
	fmt.Println(run.Result(ctx))
	stop()
	must(true, <-done)
	// Output:
	// Buy a lathe?
	// reason: say why
	// approved: true, by the link issued to ada@example.com <nil>
}
