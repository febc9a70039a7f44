// Package clock has time and chance.
package clock

import (
	"context"
	crand "crypto/rand"
	"io"
	"math/rand"
	randv2 "math/rand/v2"
	"time"

	"github.com/google/uuid"

	"github.com/tenter-dev/tenter/workflow"
)

func clocks(ctx workflow.Context, began time.Time) (bool, error) {
	now := time.Now()     // want `time.Now gives another time on replay: use workflow.Now\(ctx\)`
	_ = time.Since(began) // want `time.Since gives another time on replay`
	_ = time.Until(began) // want `time.Until gives another time on replay`
	clock := time.Now     // want `time.Now gives another time`
	return clock().After(now), nil
}

func timers(ctx workflow.Context, _ string) (string, error) {
	time.Sleep(time.Second)                            // want `time.Sleep begins again on replay and holds up the worker: use workflow.Sleep, workflow.OnTimer or workflow.WithTimeout`
	_ = time.After(time.Second)                        // want `time.After begins again`
	_ = time.Tick(time.Second)                         // want `time.Tick begins again`
	_ = time.NewTimer(time.Second)                     // want `time.NewTimer begins again`
	_ = time.NewTicker(time.Second)                    // want `time.NewTicker begins again`
	time.AfterFunc(time.Second, func() {})             // want `time.AfterFunc begins again`
	_, cancel := context.WithTimeout(ctx, time.Second) // want `context.WithTimeout begins again`
	defer cancel()
	_, cancel = context.WithDeadline(ctx, workflow.Now(ctx)) // want `context.WithDeadline begins again`
	cancel()
	return "", nil
}

func chance(ctx workflow.Context, _ string) (string, error) {
	_ = rand.Int()                     // want `rand.Int gives another value on replay: use workflow.Rand\(ctx\), or workflow.NewID\(ctx\) for an ID`
	_ = randv2.IntN(6)                 // want `rand.IntN gives another value`
	rand.Shuffle(0, func(int, int) {}) // want `rand.Shuffle gives another value`
	_ = crand.Text()                   // want `rand.Text gives another value`
	key := make([]byte, 8)
	_, err := io.ReadFull(crand.Reader, key) // want `rand.Reader gives another value`
	_ = uuid.New()                           // want `uuid.New gives another value`
	return uuid.NewString(), err             // want `uuid.NewString gives another value`
}

var _ = workflow.Define("literal", func(ctx workflow.Context, _ string) (time.Time, error) {
	return time.Now(), nil // want `time.Now gives another time`
})

// What is the same on replay.

func fine(ctx workflow.Context, in string) (time.Duration, error) {
	began := workflow.Now(ctx)
	if err := workflow.Sleep(ctx, time.Hour); err != nil {
		return 0, err
	}
	deadline := time.Date(2030, time.January, 1, 0, 0, 0, 0, time.UTC).Add(3 * time.Hour)
	if _, err := time.Parse(time.RFC3339, in); err != nil || deadline.Before(began) {
		return 0, err
	}
	dice := rand.New(rand.NewSource(1))
	_ = dice.Intn(6)
	_ = randv2.New(randv2.NewPCG(1, 2)).IntN(6)
	_ = workflow.Rand(ctx).IntN(6)
	_, err := uuid.Parse(workflow.NewID(ctx))
	return workflow.Now(ctx).Sub(began), err
}

func inStep(ctx workflow.Context, _ string) (time.Time, error) {
	return workflow.Step(ctx, "clock", func(ctx context.Context) (time.Time, error) {
		ctx, cancel := context.WithTimeout(ctx, time.Minute)
		defer cancel()
		time.Sleep(time.Duration(rand.Int()))
		return time.Now(), ctx.Err()
	})
}

func notAWorkflow() time.Time { return time.Now() }
