package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/tenter-dev/tenter/workflow"
)

// Approvals are hooks that take an ApprovalRequest.
var Approvals = workflow.DefineHook[ApprovalRequest]("approval")

// ApprovalRequest is what a reviewer sends.
type ApprovalRequest struct {
	Approved bool   `json:"approved"`
	Reviewer string `json:"reviewer"`
	Comment  string `json:"comment"`
}

// Validate says what is wrong with r.
func (r ApprovalRequest) Validate() error {
	switch {
	case r.Reviewer == "":
		return errors.New("reviewer is missing")
	case !r.Approved && r.Comment == "":
		return errors.New("a rejection needs a comment")
	default:
		return nil
	}
}

func token(documentID string) string { return "approval:" + documentID }

// Review waits for the approval of a document.
var Review = workflow.Declare[string, string]("review")

type reviewer struct {
	asked func(documentID string) // somebody has to look at a document
}

func (rv *reviewer) review(ctx workflow.Context, documentID string) (string, error) {
	hook, err := Approvals.New(ctx, workflow.Token(token(documentID)))
	if err != nil {
		return "", err
	}
	defer hook.Close()

	err = workflow.Do(ctx, "ask", func(context.Context) error {
		fmt.Println(documentID, "waits for a review")
		rv.asked(documentID)
		return nil
	})
	if err != nil {
		return "", err
	}

	r, err := hook.Wait(ctx) // an ApprovalRequest
	if err != nil {
		return "", err
	}
	if !r.Approved {
		return fmt.Sprintf("%s is rejected by %s: %s", documentID, r.Reviewer, r.Comment), nil
	}
	return fmt.Sprintf("%s is approved by %s", documentID, r.Reviewer), nil
}
