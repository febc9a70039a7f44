package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/tenter-dev/tenter/engine"
	"github.com/tenter-dev/tenter/workflow"
)

// Order reserves an item, waits for an approval, and pays.
var Order = workflow.Declare[string, string]("order")

// Approvals are sent to "order:" and the ID of the run.
var Approvals = workflow.DefineHook[string]("approval")

// Payment is a workflow of its own: a child of each order.
var Payment = workflow.Define("payment", func(ctx workflow.Context, item string) (string, error) {
	return workflow.Step(ctx, "transfer", func(context.Context) (string, error) { return "paid for " + item, nil })
})

type shop struct {
	engine *engine.Engine
	url    string
	client *http.Client // continues the trace of the context that a request has
}

func (s *shop) order(ctx workflow.Context, item string) (string, error) {
	approval, err := Approvals.New(ctx, workflow.Token("order:"+workflow.InfoOf(ctx).RunID))
	if err != nil {
		return "", err
	}
	defer approval.Close()
	err = workflow.Do(ctx, "reserve", func(ctx context.Context) error { return s.reserve(ctx, item) },
		workflow.Backoff(100*time.Millisecond, time.Second))
	if err != nil {
		return "", err
	}
	if answer, err := approval.Wait(ctx); err != nil || answer != "yes" {
		return "not approved: " + answer, err
	}
	return Payment.Call(ctx, item)
}

// reserve asks the stock, which is elsewhere. The first attempt of each order finds it
// busy, so that there is a retry to be seen.
func (s *shop) reserve(ctx context.Context, item string) error {
	url := fmt.Sprintf("%s/stock/%s?attempt=%d", s.url, item, workflow.InfoOf(ctx).Attempt)
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	resp, err := s.client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return errors.New("the stock says " + resp.Status)
	}
	return nil
}

func (s *shop) routes() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /orders", func(w http.ResponseWriter, r *http.Request) {
		item, err := io.ReadAll(http.MaxBytesReader(w, r.Body, 1000))
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		run, err := Order.Start(r.Context(), s.engine, string(item))
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		_, _ = fmt.Fprintln(w, run.ID())
	})
	mux.HandleFunc("POST /approvals/{id}", func(w http.ResponseWriter, r *http.Request) {
		answer, err := io.ReadAll(http.MaxBytesReader(w, r.Body, 1000))
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		_, err = Approvals.Resume(r.Context(), s.engine, "order:"+r.PathValue("id"), string(answer))
		switch {
		case errors.Is(err, workflow.ErrHookNotFound):
			http.Error(w, "nobody waits for that", http.StatusNotFound)
		case err != nil:
			http.Error(w, err.Error(), http.StatusInternalServerError)
		}
	})
	mux.HandleFunc("GET /stock/{item}", func(w http.ResponseWriter, r *http.Request) {
		if r.FormValue("attempt") == "1" {
			http.Error(w, "come again", http.StatusServiceUnavailable)
		}
	})
	return mux
}
