// Package newcomers has workflows as people write them in their first week, with nothing wrong.
package newcomers

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/tenter-dev/tenter/workflow"
)

// ProcessOrder reserves, charges and ships, and undoes what it did if something fails.
var ProcessOrder = workflow.Declare[Order, OrderResult]("process-order")

// Order is its input.
type Order struct {
	ID       string         `json:"id"`
	Customer string         `json:"customer"`
	Items    map[string]int `json:"items"`
}

// OrderResult is its result.
type OrderResult struct {
	Charge   string    `json:"charge"`
	Tracking string    `json:"tracking"`
	At       time.Time `json:"at"`
}

// OrderService has what orders need.
type OrderService struct {
	http  *http.Client
	base  string
	mu    sync.Mutex
	calls int
}

func (s *OrderService) call(ctx context.Context, path string, body, into any) error {
	s.mu.Lock()
	s.calls++
	s.mu.Unlock()
	data, err := json.Marshal(body)
	if err != nil {
		return workflow.Fatal(err)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, s.base+path, strings.NewReader(string(data)))
	if err != nil {
		return err
	}
	req.Header.Set("Idempotency-Key", workflow.InfoOf(ctx).StepID)
	res, err := s.http.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if res.StatusCode >= 400 {
		text, _ := io.ReadAll(res.Body)
		return fmt.Errorf("%s: %s", res.Status, text)
	}
	return json.NewDecoder(res.Body).Decode(into)
}

func (s *OrderService) charge(ctx context.Context, order Order) (string, error) {
	var answer struct{ ID string }
	err := s.call(ctx, "/charge", order, &answer)
	return answer.ID, err
}

func (s *OrderService) run(ctx workflow.Context, order Order) (result OrderResult, err error) {
	log := workflow.Logger(ctx)
	log.Info("processing order", "order", order.ID)
	var undo []func(workflow.Context) error
	defer func() {
		if err == nil {
			return
		}
		ctx := workflow.WithoutCancel(ctx)
		for i := len(undo) - 1; i >= 0; i-- {
			if undoErr := undo[i](ctx); undoErr != nil {
				err = errors.Join(err, undoErr)
			}
		}
	}()

	total := 0
	for _, n := range order.Items {
		total += n
	}
	if total == 0 {
		return result, errors.New("empty order")
	}

	err = workflow.Do(ctx, "reserve", func(ctx context.Context) error {
		var ignored struct{}
		return s.call(ctx, "/reserve", order, &ignored)
	}, workflow.MaxAttempts(5))
	if err != nil {
		return result, err
	}
	undo = append(undo, func(ctx workflow.Context) error {
		return workflow.Do(ctx, "release", func(ctx context.Context) error {
			return s.call(ctx, "/release", order.ID, new(struct{}))
		})
	})

	result.Charge, err = workflow.Step(ctx, "charge", func(ctx context.Context) (string, error) {
		return s.charge(ctx, order)
	}, workflow.Timeout(30*time.Second))
	if err != nil {
		return result, err
	}
	undo = append(undo, func(ctx workflow.Context) error {
		return workflow.Do(ctx, "refund", func(ctx context.Context) error {
			return s.call(ctx, "/refund", result.Charge, new(struct{}))
		})
	})

	if err = workflow.Sleep(ctx, time.Minute); err != nil {
		return result, err
	}
	result.Tracking, err = workflow.Step(ctx, "ship", func(ctx context.Context) (string, error) {
		var answer struct{ Tracking string }
		if err := s.call(ctx, "/ship", order, &answer); err != nil {
			return "", err
		}
		return answer.Tracking, nil
	})
	result.At = workflow.Now(ctx)
	return result, err
}
