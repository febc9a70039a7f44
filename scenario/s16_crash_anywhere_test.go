package scenario_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/tenter-dev/tenter/workflow"
)

// S16, a little of it: a process is killed at random moments under mixed load; then
// the database is checked.

func TestS16CrashAnywhere(t *testing.T) {
	t.Parallel()
	onEachStore(t, crashAnywhere)
}

func crashAnywhere(t *testing.T, db *database) {
	t.Helper()
	services := []*service{newService(t, db, shortLease), newService(t, db, shortLease)}
	over := make(chan struct{})
	time.AfterFunc(3*time.Second, func() { close(over) })
	// loop repeats something with rising numbers until the time is over.
	loop := func(do func(s *service, i int)) (n int) {
		for ; ; n++ {
			select {
			case <-over:
				return n
			default:
				do(services[n%len(services)], n)
			}
		}
	}
	var load sync.WaitGroup
	load.Go(func() {
		loop(func(_ *service, i int) {
			<-time.After(rand.N(500 * time.Millisecond))
			services[i%len(services)].kill()
		})
	})
	var doubles, decisions int
	load.Go(func() {
		doubles = loop(func(s *service, i int) { s.start("healthy", fmt.Sprint("double-", i), i) })
	})
	load.Go(func() {
		decisions = loop(func(s *service, i int) {
			id := fmt.Sprint("approval-", i)
			s.start("approval", id, "doc")
			var info workflow.HookInfo
			args := ResumeArgs{Token: s.token(id), Key: id, Payload: encode(t, decision{i%2 == 0, id})}
			if err := s.call("Resume", args, &info); err != nil || info.RunID != id {
				t.Errorf("approval of %s: %+v, %v", id, info, err)
			}
		})
	})
	sent := make([][]string, 3) // by channel
	say := func(s *service, channel int, text string) {
		var info workflow.HookInfo
		args := ResumeArgs{Token: fmt.Sprint("channel:", channel), Key: text, Payload: encode(t, text), OrStart: true}
		if err := s.call("Resume", args, &info); err != nil {
			t.Errorf("%s: %v", text, err)
		}
	}
	for channel := range sent {
		load.Go(func() {
			loop(func(s *service, i int) {
				if i%10 == 9 {
					say(s, channel, fmt.Sprintf("/stop %d", i))
					return
				}
				text := fmt.Sprintf("%d says %d", channel, i)
				say(s, channel, text)
				sent[channel] = append(sent[channel], text)
			})
		})
	}
	load.Wait()
	for channel := range sent {
		say(services[0], channel, "/stop for good")
	}

	ctx := within(t, 60*time.Second)
	for i := range doubles {
		if got, err := workflow.Get[int](db.api, fmt.Sprint("double-", i)).Result(ctx); err != nil || got != 2*i {
			t.Errorf("double of %d: %d, %v", i, got, err)
		}
	}
	for i := range decisions {
		id := fmt.Sprint("approval-", i)
		if got, err := workflow.Get[decision](db.api, id).Result(ctx); err != nil || got != (decision{i%2 == 0, id}) {
			t.Errorf("%s: %v, %v", id, got, err)
		}
	}
	heard := make([][]string, len(sent))
	for _, r := range runs(t, db.st) {
		if r.Workflow != channelLog.Name() {
			continue
		}
		said, err := channelLog.Get(db.api, r.ID).Result(ctx)
		if err != nil {
			t.Fatal(err)
		}
		for _, text := range said {
			var channel int
			if _, err := fmt.Sscanf(text, "%d says", &channel); err != nil {
				t.Fatal(err)
			}
			heard[channel] = append(heard[channel], text)
		}
	}
	for channel := range sent {
		want, got := slices.Sorted(slices.Values(sent[channel])), slices.Sorted(slices.Values(heard[channel]))
		if !slices.Equal(want, got) {
			t.Errorf("channel %d: sent and not heard %v, heard and not sent %v, sent %d, heard %d",
				channel, difference(want, got), difference(got, want), len(want), len(got))
		}
	}
	deaths := 0
	for _, s := range services {
		s.close()
		deaths += s.died()
	}
	t.Logf("%d processes died during %d runs and %d messages", deaths, doubles+decisions, len(slices.Concat(sent...)))
	checkRuns(t, db.st, processWorkflows())
}
