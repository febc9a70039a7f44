package engine_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tenter-dev/tenter/engine"
	"github.com/tenter-dev/tenter/workflow"
)

// What was done is undone in reverse if the workflow fails, is canceled or panics, each once, and not
// if it completes.
func TestCompensate(t *testing.T) {
	t.Parallel()
	errShip := errors.New("no courier")
	for name, tt := range map[string]struct {
		ship    func(ctx workflow.Context) error
		cancel  bool
		refund  error // of the compensation
		want    []string
		wantErr []string
	}{
		"completes":              {ship: func(workflow.Context) error { return nil }, want: []string{"charge", "reserve"}},
		"fails":                  {ship: func(workflow.Context) error { return errShip }, want: []string{"charge", "reserve", "release", "refund"}, wantErr: []string{"no courier"}},
		"panics":                 {ship: func(workflow.Context) error { panic("no courier") }, want: []string{"charge", "reserve", "release", "refund"}, wantErr: []string{"panic: no courier", "compensate_test.go"}},
		"is canceled":            {ship: func(ctx workflow.Context) error { return workflow.Sleep(ctx, time.Hour) }, cancel: true, want: []string{"charge", "reserve", "release", "refund"}, wantErr: []string{"context canceled"}},
		"fails to compensate":    {ship: func(workflow.Context) error { return errShip }, refund: errors.New("no money"), want: []string{"charge", "reserve", "release", "refund"}, wantErr: []string{"no courier", "compensate: step refund", "no money"}},
		"restarts and completes": {ship: nil, want: []string{"charge", "reserve", "charge", "reserve"}},
	} {
		for _, cache := range []int{0, noCache} {
			t.Run(name+strings.Repeat(", replayed", -cache), func(t *testing.T) {
				t.Parallel()
				inLab(t, func(t *testing.T, l *lab) {
					var did []string
					do := func(what string, err error) func(context.Context) error {
						return func(context.Context) error {
							did = append(did, what)
							if err != nil {
								return workflow.Fatal(err)
							}
							return nil
						}
					}
					w := workflow.Declare[int, string]("order")
					l.run(engine.Options{CacheSize: cache}, w.Implement(func(ctx workflow.Context, n int) (_ string, err error) {
						if err := workflow.Do(ctx, "charge", do("charge", nil)); err != nil {
							return "", err
						}
						defer workflow.Compensate(ctx, &err, "refund", do("refund", tt.refund))
						if err := workflow.Do(ctx, "reserve", do("reserve", nil)); err != nil {
							return "", err
						}
						defer workflow.Compensate(ctx, &err, "release", do("release", nil))
						if err := workflow.Sleep(ctx, time.Minute); err != nil { // it is evicted here, if it is
							return "", err
						}
						if tt.ship == nil {
							if n == 0 {
								return w.Restart(ctx, 1)
							}
							return "shipped", nil
						}
						return "shipped", tt.ship(ctx)
					}))
					r := mustStart(l, w, 0)
					l.advance(2 * time.Minute)
					if tt.cancel {
						if err := r.Cancel(t.Context()); err != nil {
							t.Fatal(err)
						}
					}
					_, err := resultSoon(l, r)
					if (err != nil) != (tt.wantErr != nil) {
						t.Errorf("the run ended with the error %v", err)
					}
					if err != nil {
						wantContains(l, err.Error(), tt.wantErr...)
					}
					if diff := cmp.Diff(tt.want, did); diff != "" {
						t.Errorf("(-want +got):\n%s", diff)
					}
				})
			})
		}
	}
}
