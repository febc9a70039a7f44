package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"github.com/tenter-dev/tenter/workflow"
)

// Approvals are hooks that take an Approval.
var Approvals = workflow.DefineHook[Approval]("approval")

// Approval is what the boss sends.
type Approval struct {
	Approved bool   `json:"approved"`
	By       string `json:"by"`
}

// Validate says what is wrong with a.
func (a Approval) Validate() error {
	if a.By == "" {
		return errors.New("by is missing")
	}
	return nil
}

func offerToken(supplier string) string    { return "offer:" + supplier }
func approvalToken(supplier string) string { return "approval:" + supplier }

// Purchase waits for a supplier's offer, and then for the boss.
var Purchase = workflow.Define("purchase", purchase)

// Tender is what a purchase begins with.
type Tender struct {
	Supplier string
	URL      string // where supplier and boss answer
}

type offer struct {
	Item  string `json:"item"`
	Price int    `json:"price"`
}

func purchase(ctx workflow.Context, t Tender) (string, error) {
	approvals, err := Approvals.New(ctx, workflow.Token(approvalToken(t.Supplier)))
	if err != nil {
		return "", err
	}
	// The run answers each offer itself. Its URL is not used: nothing is served there.
	offers, err := workflow.NewWebhook(ctx, workflow.Token(offerToken(t.Supplier)), workflow.RespondManually())
	if err != nil {
		return "", err
	}
	if err := workflow.Do(ctx, "tell", func(context.Context) error { return tell(t) }); err != nil {
		return "", err
	}

	o, err := takeOffer(ctx, offers)
	if err != nil {
		return "", err
	}
	a, err := approvals.Wait(ctx)
	if err != nil {
		return "", err
	}
	if !a.Approved {
		return fmt.Sprintf("%s does not want the %s for %d.", a.By, o.Item, o.Price), nil
	}
	return fmt.Sprintf("%s buys the %s for %d.", a.By, o.Item, o.Price), nil
}

// takeOffer waits for an offer that can be read, and takes no more.
func takeOffer(ctx workflow.Context, offers *workflow.Webhook) (o offer, err error) {
	defer offers.Close()
	for {
		req, err := offers.Wait(ctx)
		if err != nil {
			return o, err
		}
		if err := req.JSON(&o); err == nil && o.Item != "" {
			return o, req.Respond(ctx, workflow.JSON(http.StatusCreated, o))
		}
		if err := req.Respond(ctx, workflow.Text(http.StatusBadRequest, "send an item and a price\n")); err != nil {
			return o, err
		}
	}
}

func tell(t Tender) error {
	_, err := fmt.Printf(`The supplier and the boss have a key each:

  curl -i %[1]s/offer -H 'Authorization: Bearer %[2]s-key' -d '{"item":"crane","price":70000}'
  curl -i %[1]s/approval -H 'Authorization: Bearer boss-key' -d '{"approved":"yes"}'
  curl -i %[1]s/approval -H 'Authorization: Bearer boss-key' -d '{"approved":true,"by":"Ada"}'

`, t.URL, t.Supplier)
	return err
}
