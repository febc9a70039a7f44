package newcomers

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"time"

	"github.com/tenter-dev/tenter/workflow"
)

// Purchase is what somebody wants to buy.
type Purchase struct {
	ID     string
	Amount int
	Boss   string
}

// PurchaseApproval asks the boss on Slack, with a link to answer, and gives up after a day.
var PurchaseApproval = workflow.Define("purchase-approval", func(ctx workflow.Context, p Purchase) (string, error) {
	webhook, err := workflow.NewWebhook(ctx, workflow.RespondManually())
	if err != nil {
		return "", err
	}
	defer webhook.Close()

	if _, err := workflow.Step(ctx, "notify", notify(p, webhook.URL())); err != nil {
		return "", err
	}

	status := "expired"
	deadline, cancel := workflow.WithTimeout(ctx, 24*time.Hour)
	defer cancel()
	for req, err := range webhook.All(deadline) {
		if err != nil {
			break
		}
		form, err := req.Form()
		if err != nil {
			_ = req.Respond(ctx, workflow.Text(http.StatusBadRequest, "Send a form."))
			continue
		}
		status = form.Get("decision")
		if err := req.Respond(ctx, workflow.JSON(http.StatusOK, map[string]string{"status": status})); err != nil {
			return "", err
		}
		break
	}
	return status, workflow.Do(ctx, "audit", func(context.Context) error {
		fmt.Printf("%s: purchase %s is %s\n", time.Now().Format(time.RFC3339), p.ID, status)
		return nil
	})
})

func notify(p Purchase, url string) func(context.Context) (int, error) {
	return func(ctx context.Context) (int, error) {
		body, err := json.Marshal(map[string]any{"channel": p.Boss, "text": fmt.Sprintf("%d: %s", p.Amount, url)})
		if err != nil {
			return 0, err
		}
		req, err := http.NewRequestWithContext(ctx, http.MethodPost, "https://slack.example.com/api/chat.postMessage", bytes.NewReader(body))
		if err != nil {
			return 0, err
		}
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			return 0, err
		}
		defer res.Body.Close()
		return res.StatusCode, nil
	}
}
