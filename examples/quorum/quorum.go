package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/tenter-dev/tenter/workflow"
)

// Vote is what an approver answers. The page is made from it.
type Vote struct {
	Approved bool   `json:"approved" title:"May it be published?"`
	Reason   string `json:"reason,omitempty" jsonschema:"The author reads it." contentMediaType:"text/plain"`
}

// Votes are asked for by links.
var Votes = workflow.DefineHook[Vote]("vote")

// Publication asks three people about a document. Two of them decide.
var Publication = workflow.Declare[string, string]("publication")

var approvers = []string{"ada@example.com", "bob@example.com", "cyd@example.com"}

// quorum is how many approvers have to say the same.
const quorum = 2

// office sends mails.
type office struct {
	mail func(ctx context.Context, to, subject, text string) error
}

func (o *office) publication(ctx workflow.Context, document string) (string, error) {
	hook, err := Votes.New(ctx, workflow.Metadata(map[string]string{"document": document}))
	if err != nil {
		return "", err
	}
	defer hook.Close() // then the page says that nothing is needed any more
	for _, who := range approvers {
		if err := o.invite(ctx, hook, document, who); err != nil {
			return "", err
		}
	}
	var yes, no []string
	for vote, err := range hook.All(ctx) {
		if err != nil {
			return "", err
		}
		who := hook.By().Name // who has one vote, however many links
		if vote.Approved {
			yes = append(yes, who)
		} else {
			no = append(no, who+" ("+vote.Reason+")")
		}
		if len(yes) == quorum || len(no) == quorum {
			break
		}
	}
	if len(yes) == quorum {
		return document + " is published: approved by " + strings.Join(yes, ", "), nil
	}
	return document + " is rejected by " + strings.Join(no, ", "), nil
}

// invite sends somebody a link.
func (o *office) invite(ctx workflow.Context, hook *workflow.Hook[Vote], document, who string) error {
	link, err := workflow.AnswerLink(ctx, hook, workflow.Addressee(who), workflow.ExpiresIn(72*time.Hour),
		workflow.PageTitle("Publish "+document+"?"), workflow.CommentWith("reason", false))
	if err != nil {
		return err
	}
	return workflow.Do(ctx, "mail", func(ctx context.Context) error {
		return o.mail(ctx, who, fmt.Sprintf("May %s be published?", document), link.URL())
	})
}
