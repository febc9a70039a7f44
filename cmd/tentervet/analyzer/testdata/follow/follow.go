// Package follow has workflow code that calls other functions of its package.
package follow

import (
	"context"
	"net/http"
	"os"
	"slices"
	"time"

	"github.com/tenter-dev/tenter/workflow"
)

type shop struct {
	client *http.Client
	now    func() time.Time
}

func (s *shop) stamp() string { return today().String() }

func today() time.Time { return time.Now() }

func (s *shop) post(ctx context.Context, url string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, http.NoBody)
	if err != nil {
		return err
	}
	res, err := s.client.Do(req)
	if err != nil {
		return err
	}
	return res.Body.Close()
}

func (s *shop) order(ctx workflow.Context, url string) (string, error) {
	if err := s.post(ctx, url); err != nil { // want `shop.post reaches http.Client.Do \(follow.go:28\), which is executed again on each replay, maybe with another result: call shop.post in a step$`
		return "", err
	}
	if err := workflow.Do(ctx, "post", func(ctx context.Context) error { return s.post(ctx, url) }); err != nil {
		return "", err
	}
	_ = today()           // want `today reaches time.Now \(follow.go:21\), which gives another time on replay: call today in a step, or use workflow.Now\(ctx\)`
	return s.stamp(), nil // want `shop.stamp reaches time.Now \(in today, follow.go:21\), which gives another time`
}

// Steps are not followed: by name, as method values, as results of functions.

func region(context.Context) (string, error) { return os.Getenv("REGION"), nil }

func (s *shop) read(context.Context) ([]byte, error) { return os.ReadFile("prices") }

func (s *shop) poster(url string) func(context.Context) error {
	return func(ctx context.Context) error { return s.post(ctx, url) }
}

func generic[T any](context.Context) (T, error) {
	var zero T
	time.Sleep(time.Second)
	return zero, nil
}

func (s *shop) steps(ctx workflow.Context, url string) error {
	if _, err := workflow.Step(ctx, "region", region); err != nil {
		return err
	}
	if _, err := workflow.Step(ctx, "read", s.read); err != nil {
		return err
	}
	if _, err := workflow.Step(ctx, "generic", generic[string]); err != nil {
		return err
	}
	step := s.read
	if _, err := workflow.Step(ctx, "variable", step); err != nil {
		return err
	}
	return workflow.Do(ctx, "result", s.poster(url))
}

// Functions that are given to other functions are followed.

func byAge(a, b int) int { return int(time.Now().Unix()) + a - b }

func tired() error { time.Sleep(time.Second); return nil }

func values(ctx workflow.Context, in []int) error {
	slices.SortFunc(in, byAge) // want `byAge reaches time.Now`
	slices.SortFunc(in, func(a, b int) int {
		return int(time.Now().Unix()) // want `time.Now gives another time`
	})
	return workflow.Select(ctx,
		workflow.OnTimer(time.Hour, tired), // want `tired reaches time.Sleep`
		workflow.OnTimer(time.Hour, func() error {
			time.Sleep(time.Second) // want `time.Sleep begins again`
			return nil
		}),
	)
}

func deferred(ctx workflow.Context, _ string) (err error) {
	defer func() {
		_ = time.Now() // want `time.Now gives another time`
	}()
	defer tired() // want `tired reaches time.Sleep`
	defer func() {
		if ctx.Err() != nil {
			_ = workflow.Do(workflow.WithoutCancel(ctx), "release", func(context.Context) error { return tired() })
		}
	}()
	local := func() time.Time {
		return time.Now() // want `time.Now gives another time`
	}
	_ = local()
	later := func() time.Time { return time.Now() } // only a step calls it
	return workflow.Do(ctx, "later", func(context.Context) error {
		_ = later()
		return nil
	})
}

// Workflow code without a parameter that says so.

type run struct {
	ctx workflow.Context
}

func (r *run) main() error {
	_ = time.Now() // want `time.Now gives another time`
	if err := r.wait(); err != nil {
		return err
	}
	return workflow.Sleep(r.ctx, time.Second)
}

func (r *run) wait() error { return workflow.Sleep(r.ctx, time.Until(time.Time{})) } // want `time.Until gives another time`

func started(ctx workflow.Context, _ string) (string, error) {
	r := &run{ctx}
	return "", r.main()
}

// Functions that call each other.

func even(n int) bool { return n == 0 || odd(n-1) }

func odd(n int) bool { return n != 0 && time.Now().IsZero() == even(n-1) }

func recursive(ctx workflow.Context, n int) (bool, error) {
	var down func(int) int
	down = func(n int) int {
		if n == 0 {
			return time.Now().Nanosecond() // want `time.Now gives another time`
		}
		return down(n - 1)
	}
	_ = down(n)
	return even(n), nil // want `even reaches time.Now \(in odd, follow.go:\d+\)`
}

// What is only made, not called, and what nobody in a workflow calls.

func makes(ctx workflow.Context, _ string) (func() time.Time, error) {
	var kept []func() time.Time
	kept = append(kept, func() time.Time { return time.Now() })
	return kept[0], nil
}

func returns(ctx workflow.Context, _ string) (func() time.Time, error) {
	return func() time.Time { return time.Now() }, nil
}

func main() { _ = today(); time.Sleep(time.Second) }
