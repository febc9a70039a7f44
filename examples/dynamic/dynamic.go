package main

import (
	"context"
	"fmt"
	"net/http"

	"github.com/tenter-dev/tenter/workflow"
)

// Payment is what callers send.
type Payment struct {
	From   string `json:"from"`
	Amount int    `json:"amount"`
}

// decide is the answer to a payment.
func decide(req *workflow.Request) (Payment, workflow.Response) {
	var p Payment
	switch err := req.JSON(&p); {
	case err != nil:
		return p, workflow.Text(http.StatusBadRequest, "send {\"from\":\"…\",\"amount\":1}\n")
	case p.Amount > 1000:
		return p, workflow.JSON(http.StatusPaymentRequired, map[string]any{"accepted": false, "reason": "more than 1000"})
	default:
		return p, workflow.JSON(http.StatusOK, map[string]any{"accepted": true, "from": p.From})
	}
}

// FromStep answers in a step: that is for answers that take I/O to find.
var FromStep = workflow.Define("from-step", func(ctx workflow.Context, _ struct{}) (int, error) {
	return payments(ctx, "from a step", func(ctx workflow.Context, req *workflow.Request) (Payment, error) {
		return workflow.Step(ctx, "answer", func(ctx context.Context) (Payment, error) {
			p, answer := decide(req)
			return p, req.Respond(ctx, answer)
		})
	})
})

// FromWorkflow answers straight from the workflow, which costs no step.
var FromWorkflow = workflow.Define("from-workflow", func(ctx workflow.Context, _ struct{}) (int, error) {
	return payments(ctx, "from the workflow", func(ctx workflow.Context, req *workflow.Request) (Payment, error) {
		p, answer := decide(req)
		return p, req.Respond(ctx, answer)
	})
})

// payments has respond answer each request, and then works on.
func payments(ctx workflow.Context, how string, respond func(workflow.Context, *workflow.Request) (Payment, error)) (int, error) {
	hook, err := workflow.NewWebhook(ctx, workflow.RespondManually())
	if err != nil {
		return 0, err
	}
	defer hook.Close()

	err = workflow.Do(ctx, "tell", func(context.Context) error {
		_, err := fmt.Printf("Answered %[1]s:\n\n  curl -i %[2]s -d '{\"from\":\"Ada\",\"amount\":10}'\n  curl -i %[2]s -d '{\"from\":\"Bob\",\"amount\":5000}'\n\n",
			how, hook.URL())
		return err
	})
	if err != nil {
		return 0, err
	}

	n := 0
	for req, err := range hook.All(ctx) {
		if err != nil {
			return n, err
		}
		p, err := respond(ctx, req)
		if err != nil {
			return n, err
		}
		// The caller has its answer and is gone. The run is still here.
		err = workflow.Do(ctx, "book", func(context.Context) error {
			_, err := fmt.Printf("Payment of %d from %s was answered %s.\n", p.Amount, p.From, how)
			return err
		})
		if err != nil {
			return n, err
		}
		n++
	}
	return n, nil
}
