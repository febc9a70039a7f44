package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/tenter-dev/tenter/workflow"
)

// Approval asks whether something may be bought, until somebody decides.
var Approval = workflow.Declare[Purchase, string]("purchase-approval")

// Purchase is what has to be decided on.
type Purchase struct {
	Item     string        `json:"item"`
	Approver string        `json:"approver"` // mail address
	Boss     string        `json:"boss"`     // mail address
	Patience time.Duration `json:"patience"` // from a mail to the next one
}

// Decisions are the hooks of those who are asked.
var Decisions = workflow.DefineHook[Decision]("purchase-decision")

// Decision is what they answer. Answer becomes the buttons of the page.
type Decision struct {
	Answer string `json:"answer" title:"May it be bought?" enum:"approve,reject,delegate"`
	To     string `json:"to,omitempty" title:"Delegate to" format:"email"`
}

// The answers.
const (
	approve  = "approve"
	reject   = "reject"
	delegate = "delegate"
)

// Validate checks what the tags can't say.
func (d Decision) Validate() error {
	if d.Answer == delegate && d.To == "" {
		return errors.New("to delegate, say to whom")
	}
	return nil
}

// office sends mails.
type office struct {
	mail func(ctx context.Context, to, subject, text string) error
}

func (o *office) approval(ctx workflow.Context, p Purchase) (string, error) {
	who := p.Approver
	for {
		d, err := o.ask(ctx, p, who)
		switch {
		case errors.Is(err, workflow.ErrHookClosed) && who == p.Boss:
			return "nobody has decided about " + p.Item, nil
		case errors.Is(err, workflow.ErrHookClosed):
			who = p.Boss // escalation
		case err != nil:
			return "", err
		case d.Answer == delegate:
			who = d.To
		case d.Answer == reject:
			return who + " rejects " + p.Item, nil
		default:
			return who + " approves " + p.Item, nil
		}
	}
}

// ask asks one person, and once more after a while. It fails with workflow.ErrHookClosed if no answer
// comes then either.
func (o *office) ask(ctx workflow.Context, p Purchase, who string) (Decision, error) {
	hook, err := Decisions.New(ctx, workflow.Metadata(map[string]string{"item": p.Item}))
	if err != nil {
		return Decision{}, err
	}
	defer hook.Close() // its links end with it
	for _, prefix := range []string{"", "Reminder: "} {
		if err := o.invite(ctx, hook, p, who, prefix); err != nil {
			return Decision{}, err
		}
		soon, stop := workflow.WithTimeout(ctx, p.Patience)
		d, err := hook.Wait(soon)
		stop()
		if !errors.Is(err, context.DeadlineExceeded) {
			return d, err
		}
	}
	hook.Close()
	return hook.Wait(ctx) // what was answered at the last moment counts
}

// invite sends a person a link. All links of one person to a hook share one answer.
func (o *office) invite(ctx workflow.Context, hook *workflow.Hook[Decision], p Purchase, who, prefix string) error {
	link, err := workflow.AnswerLink(ctx, hook, workflow.Addressee(who), workflow.PageTitle("Buy "+p.Item+"?"))
	if err != nil {
		return err
	}
	return workflow.Do(ctx, "mail", func(ctx context.Context) error {
		return o.mail(ctx, who, fmt.Sprintf("%sMay %s be bought?", prefix, p.Item), link.URL())
	})
}
