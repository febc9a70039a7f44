package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/tenter-dev/tenter/workflow"
)

// Approval asks for the approval of an expense.
var Approval = workflow.Declare[Expense, string]("expense-approval")

// Expense is what somebody has to approve.
type Expense struct {
	ID       string `json:"id"`
	By       string `json:"by"`
	For      string `json:"for"`
	Amount   int    `json:"amount"`
	Approver string `json:"approver"` // mail address
}

// Decisions are the hooks of those who are asked.
var Decisions = workflow.DefineHook[Decision]("decision")

// Decision is what they answer. Approved becomes the buttons of the page.
type Decision struct {
	Approved bool   `json:"approved" title:"May it be paid?"`
	Reason   string `json:"reason,omitempty"`
}

type office struct{ post *postman }

func (o *office) approve(ctx workflow.Context, e Expense) (string, error) {
	hook, err := Decisions.New(ctx, workflow.Metadata(e))
	if err != nil {
		return "", err
	}
	defer hook.Close() // with it, the link ends

	link, err := workflow.AnswerLink(ctx, hook,
		workflow.Addressee(e.Approver), workflow.ExpiresIn(72*time.Hour),
		workflow.PageTitle("Expense "+e.ID), workflow.CommentWith("reason", false))
	if err != nil {
		return "", err
	}
	if err := workflow.Do(ctx, "mail", func(ctx context.Context) error { return o.ask(ctx, e, link) }); err != nil {
		return "", err
	}

	soon, stop := workflow.WithTimeout(ctx, 72*time.Hour)
	defer stop()
	d, err := hook.Wait(soon)
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		return fmt.Sprintf("Nobody has decided about expense %s.", e.ID), nil
	case err != nil:
		return "", err
	case !d.Approved:
		return fmt.Sprintf("Expense %s is rejected: %s", e.ID, d.Reason), nil
	}
	return fmt.Sprintf("Expense %s is paid.", e.ID), nil
}

// ask sends the mail. If a crash makes this happen twice, there are two mails with the same links
// and the same Message-ID, which many mail programs show once.
func (o *office) ask(ctx context.Context, e Expense, link *workflow.Link) error {
	yes, err := link.ChoiceURL(true)
	if err != nil {
		return err
	}
	no, err := link.ChoiceURL(false)
	if err != nil {
		return err
	}
	return o.post.send(ctx, letter{
		ID: link.ID(), To: e.Approver,
		Subject: fmt.Sprintf("Expense %s: %d for %s", e.ID, e.Amount, e.For),
		Expense: e, Approve: yes, Reject: no, Until: link.ExpiresAt(),
	})
}
