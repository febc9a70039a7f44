package main

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tenter-dev/tenter/examples/internal/exampletest"
)

func TestMain(m *testing.M) { exampletest.Main(m, main) }

const printed = `curl (\S+)/chat/general -d 'Still there\?'\n\n`

func TestChat(t *testing.T) {
	t.Parallel()
	start := func(t *testing.T, args ...string) (p *exampletest.Process, url string) {
		t.Helper()
		p = exampletest.Start(t, t.TempDir(), append(args, "-addr", "127.0.0.1:0")...)
		return p, p.WaitFor(printed)[1]
	}

	t.Run("as printed", func(t *testing.T) {
		t.Parallel()
		p, _ := start(t)
		want := []string{
			`#general 1. You say "Good morning".`,
			`#random 1. You say "Tea, anyone?".`,
			`#general 2. You say "Is the deploy out?".`,
			`#general 3. You say "bye".`,
			`#general 1. You say "Still there?".`, // another run
		}
		if diff := cmp.Diff(want, strings.Split(strings.TrimSpace(p.Paste("curl")), "\n")); diff != "" {
			t.Errorf("answers (-want +got):\n%s", diff)
		}
	})

	t.Run("many first messages at once", func(t *testing.T) {
		t.Parallel()
		_, url := start(t)
		const n = 50
		answers := make([]string, n)
		var all sync.WaitGroup
		for i := range n {
			all.Go(func() { answers[i] = say(t, url, "new", "", fmt.Sprint(i)) })
		}
		all.Wait()
		var numbers []int
		for i, a := range answers {
			var number, text int
			if _, err := fmt.Sscanf(a, `#new %d. You say "%d".`, &number, &text); err != nil || text != i {
				t.Errorf("message %d is answered %q", i, a)
			}
			numbers = append(numbers, number)
		}
		slices.Sort(numbers)
		for i, number := range numbers {
			if number != i+1 {
				t.Fatalf("the messages have the numbers %v: they went to several runs", numbers)
			}
		}
	})

	t.Run("killed, and a message that comes twice", func(t *testing.T) {
		t.Parallel()
		db := t.TempDir() + "/chat.db"
		p, url := start(t, "-db", db)
		first := say(t, url, "general", "m1", "one")
		p.Kill()
		_, url = start(t, "-db", db)
		if again := say(t, url, "general", "m1", "one"); again != first || first != "#general 1. You say \"one\".\n" {
			t.Errorf("the message is answered %q, and its repeat %q", first, again)
		}
		if got := say(t, url, "general", "m2", "bye"); got != "#general 2. You say \"bye\".\n" {
			t.Errorf("the next one is answered %q", got)
		}
		if again := say(t, url, "general", "m1", "one"); again != first {
			t.Errorf("when the run has ended, the repeat is answered %q", again)
		}
		if got := say(t, url, "general", "m3", "two"); got != "#general 1. You say \"two\".\n" {
			t.Errorf("after the end, a message is answered %q", got)
		}
	})
}

// say sends a message, and returns the answer.
func say(t *testing.T, url, channel, id, text string) string {
	t.Helper()
	header := http.Header{}
	if id != "" {
		header.Set("Message-Id", id)
	}
	a := exampletest.Send(t, http.MethodPost, url+"/chat/"+channel, header, text)
	if a.Status != http.StatusOK {
		t.Errorf("%s: %d %s", text, a.Status, a.Body)
	}
	return a.Body
}
