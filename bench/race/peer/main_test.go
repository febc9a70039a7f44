package peer

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// fake is a system whose runs take some time.
type fake struct {
	role      Role
	elsewhere bool // steps are executed by another process
	takes     time.Duration
	ids       atomic.Int64
	resumed   atomic.Int64
	closed    bool
	err       error
}

func (f *fake) Run(ctx context.Context, steps int) error {
	if f.elsewhere {
		steps = 0
	}
	for range steps {
		if _, err := Step(); err != nil {
			return err
		}
	}
	select {
	case <-time.After(f.takes):
		return f.err
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (f *fake) Park(context.Context) (func(context.Context) error, error) {
	Waiting("fake"+strconv.FormatInt(f.ids.Add(1), 10), "")
	return func(context.Context) error {
		f.resumed.Add(1)
		return nil
	}, nil
}

func (f *fake) Close() error {
	f.closed = true
	return nil
}

// talk has a system execute commands, and returns the results.
func talk(t *testing.T, f *fake, commands ...Command) []Result {
	t.Helper()
	var in, out bytes.Buffer
	lines := json.NewEncoder(&in)
	config := Config{Role: f.role, Store: "sqlite", Port: 7233}
	if err := lines.Encode(config); err != nil {
		t.Fatal(err)
	}
	for _, c := range commands {
		if err := lines.Encode(c); err != nil {
			t.Fatal(err)
		}
	}
	open := func(_ context.Context, c Config) (System, error) {
		if c != config {
			t.Errorf("the configuration is %+v, not %+v", c, config)
		}
		return f, nil
	}
	if err := serve(t.Context(), open, &in, &out); err != nil {
		t.Fatal(err)
	}
	if !f.closed {
		t.Error("the system was not closed")
	}
	var results []Result
	for d := json.NewDecoder(&out); ; {
		var r Result
		if err := d.Decode(&r); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		results = append(results, r)
	}
	if len(results) != len(commands)+1 {
		t.Fatalf("%d results of %d commands; the first says that the system is ready", len(results), len(commands))
	}
	return results[1:]
}

func TestRuns(t *testing.T) {
	got := talk(t, &fake{}, Command{Do: DoRuns, N: 10, AtATime: 3, Steps: 2})[0]
	if got.Done != 10 || got.Steps != 20 || got.Error != "" {
		t.Errorf("10 runs of 2 steps: %+v", got)
	}
}

func TestRunsEndWithTheTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		got := talk(t, &fake{takes: 4 * time.Second}, Command{Do: DoRuns, AtATime: 2, Steps: 1, Time: 10 * time.Second})[0]
		want := Result{Done: 6, Steps: 6, Took: 12 * time.Second, P50: 4 * time.Second, P99: 4 * time.Second}
		if got != want {
			t.Errorf("runs of 4 s for 10 s, two at a time: %+v, not %+v", got, want)
		}
	})
}

func TestCutRunIsNoError(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		got := talk(t, &fake{takes: time.Minute}, Command{Do: DoRuns, N: 1, AtATime: 1, Steps: 7, Time: time.Second, Cut: true})[0]
		if want := (Result{Steps: 7, Took: time.Second}); got != want {
			t.Errorf("a run of a minute that was cut after a second: %+v, not %+v", got, want)
		}
	})
}

func TestFailedRunIsTold(t *testing.T) {
	got := talk(t, &fake{err: errors.New("no luck")}, Command{Do: DoRuns, N: 5, AtATime: 1, Steps: 1})[0]
	if got.Done != 0 || !strings.Contains(got.Error, "no luck") {
		t.Errorf("runs that fail: %+v", got)
	}
}

func TestStepsMustBeExecuted(t *testing.T) {
	got := talk(t, &fake{elsewhere: true}, Command{Do: DoRuns, N: 2, AtATime: 1, Steps: 3})[0]
	if !strings.Contains(got.Error, "2 runs of 3 steps have executed 0") {
		t.Errorf("runs that execute nothing: %+v", got)
	}
}

func TestClientExecutesNothing(t *testing.T) {
	runs := Command{Do: DoRuns, N: 2, AtATime: 1, Steps: 3}
	if got := talk(t, &fake{role: RoleClient, elsewhere: true}, runs)[0]; got.Done != 2 || got.Steps != 0 || got.Error != "" {
		t.Errorf("a client whose runs are executed elsewhere: %+v", got)
	}
	if got := talk(t, &fake{role: RoleClient}, runs)[0]; !strings.Contains(got.Error, "the client has executed 6 steps") {
		t.Errorf("a client that executes its runs itself: %+v", got)
	}
}

func TestCountIsOfAllSteps(t *testing.T) {
	got := talk(t, &fake{role: RoleWorker},
		Command{Do: DoCount},
		Command{Do: DoRuns, N: 2, AtATime: 1, Steps: 3},
		Command{Do: DoRuns, N: 1, AtATime: 1, Steps: 4},
		Command{Do: DoCount},
	)
	if n := got[3].Steps - got[0].Steps; n != 10 {
		t.Errorf("2 runs of 3 steps and one of 4 were counted as %d", n)
	}
}

func TestParkedRunsAreResumedOnce(t *testing.T) {
	f := &fake{}
	got := talk(t, f,
		Command{Do: DoPark, N: 10, AtATime: 4},
		Command{Do: DoResume, N: 6, AtATime: 3},
		Command{Do: DoResume, N: 6, AtATime: 1},
	)
	if got[0].Done != 10 || got[1].Done != 6 || got[2].Done != 4 || f.resumed.Load() != 10 {
		t.Errorf("10 parked, 6 and 6 to be resumed: %+v, %d resumed", got, f.resumed.Load())
	}
}

func TestUnknownCommand(t *testing.T) {
	if got := talk(t, &fake{}, Command{Do: "dance"})[0]; !strings.Contains(got.Error, "dance") {
		t.Errorf("unknown command: %+v", got)
	}
}
