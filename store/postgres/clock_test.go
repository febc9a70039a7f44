package postgres

import (
	"testing"
	"time"
)

func TestTheClockIsNotAheadOfTheServer(t *testing.T) {
	t.Parallel()
	ahead := 5 * time.Hour
	server := func() time.Time { return time.Now().Add(ahead) }
	ask := func(c *clock, to, fro time.Duration) {
		t.Helper()
		err := c.ask(func() (time.Time, error) {
			wait(to)
			at := server()
			wait(fro)
			return at, nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	within := func(c *clock, most time.Duration) {
		t.Helper()
		before := c.now()
		if behind := server().Sub(before); behind < 0 || behind > most {
			t.Errorf("it is %v behind, want 0 to %v", behind, most)
		}
	}
	const trip, fast = 20 * time.Millisecond, 0
	var c clock
	ask(&c, trip, fast)
	within(&c, 5*time.Second)
	ask(&c, fast, trip)
	within(&c, 5*time.Second)
	ahead = 0 // another server
	ask(&c, fast, trip)
	within(&c, 5*time.Second)
}
