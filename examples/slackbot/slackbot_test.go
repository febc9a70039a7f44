package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tenter-dev/tenter/examples/internal/exampletest"
	"github.com/tenter-dev/tenter/workflow"
)

func TestMain(m *testing.M) { exampletest.Main(m, main) }

func TestSlackbot(t *testing.T) {
	t.Parallel()
	t.Run("scene", func(t *testing.T) {
		t.Parallel()
		out := exampletest.Output(t)
		want := []string{
			`#general 1. ada says "Good morning"`,
			`#general 2. cyd says "Is the deploy out?"`,
			`#general 1. ada says "Still there?"`,
		}
		if diff := cmp.Diff(want, said(out, "general")); diff != "" {
			t.Errorf("in #general (-want +got):\n%s", diff)
		}
		if diff := cmp.Diff([]string{`#random 1. bob says "Tea, anyone?"`}, said(out, "random")); diff != "" {
			t.Errorf("in #random (-want +got):\n%s", diff)
		}
		if !strings.HasSuffix(out, "A new bot answered, and stopped after 1.\n") {
			t.Errorf("no new bot:\n%s", out)
		}
	})

	t.Run("many first messages at once", func(t *testing.T) {
		t.Parallel()
		p := exampletest.Start(t, t.TempDir(), "-addr", "127.0.0.1:0")
		url := p.WaitFor(`At (\S+) until`)[1]
		const n = 100
		var infos [n]workflow.HookInfo
		var all sync.WaitGroup
		for i := range infos {
			all.Go(func() { infos[i] = tell(t, url, Message{fmt.Sprint(i), "new", "bob", fmt.Sprint(i)}) })
		}
		all.Wait()
		started := 0
		for _, info := range infos {
			if info.RunID == "" || info.RunID != infos[0].RunID {
				t.Fatalf("the messages went to several runs: %+v", infos)
			}
			if info.Started {
				started++
			}
		}
		if started != 1 {
			t.Errorf("%d messages started a run, want 1", started)
		}
		if again := tell(t, url, Message{"0", "new", "bob", "0"}); !again.Duplicate {
			t.Errorf("a repeated event: %+v, want a duplicate", again)
		}
		p.WaitFor(fmt.Sprintf(`#new %d\. `, n))

		seen := make(map[string]bool)
		for i, line := range said(p.Output(), "new") {
			var count int
			var text string
			if _, err := fmt.Sscanf(line, "#new %d. bob says %q", &count, &text); err != nil || count != i+1 || seen[text] {
				t.Errorf("answer %d is %q", i+1, line)
			}
			seen[text] = true
		}
		if len(seen) != n {
			t.Errorf("%d messages were answered, want %d", len(seen), n)
		}
		p.Interrupt()
		if code := p.Wait(); code != 0 {
			t.Errorf("exit code after Ctrl-C is %d:\n%s", code, p.Output())
		}
	})

	t.Run("bad request", func(t *testing.T) {
		t.Parallel()
		p := exampletest.Start(t, t.TempDir(), "-addr", "127.0.0.1:0")
		if code := exampletest.Do(t, http.MethodPost, p.WaitFor(`At (\S+) until`)[1], `{`, nil); code != http.StatusBadRequest {
			t.Errorf("broken JSON: %d, want 400", code)
		}
	})
}

// said returns what the bots have posted in a channel.
func said(out, channel string) []string {
	var lines []string
	for line := range strings.Lines(out) {
		if strings.HasPrefix(line, "#"+channel+" ") {
			lines = append(lines, strings.TrimSuffix(line, "\n"))
		}
	}
	return lines
}

func tell(t *testing.T, url string, msg Message) (info workflow.HookInfo) {
	t.Helper()
	body, err := json.Marshal(msg)
	if err != nil {
		t.Error(err)
		return info
	}
	exampletest.Do(t, http.MethodPost, url, string(body), &info)
	return info
}
