package sqlite

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"

	"github.com/tenter-dev/tenter/store"
)

// TestKill kills a process that writes, and looks whether all that it had been
// told was written is there.
func TestKill(t *testing.T) {
	if path := os.Getenv("TENTER_TEST_KILL"); path != "" {
		writeUntilKilled(t, path)
		return
	}
	path := filepath.Join(t.TempDir(), "a.db")
	seen := map[string]bool{}
	for _, lines := range []int{1, 50, 2000} {
		cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestKill$")
		cmd.Env = append(os.Environ(), "TENTER_TEST_KILL="+path)
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		sc := bufio.NewScanner(out)
		for n := 0; sc.Scan(); n++ {
			seen[sc.Text()] = true
			if n == lines {
				_ = cmd.Process.Kill()
			}
		}
		_ = cmd.Wait() // it was killed
		check(t, path, seen)
	}
}

func check(t *testing.T, path string, seen map[string]bool) {
	t.Helper()
	s, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	for id := range seen {
		if l, err := s.Load(t.Context(), id, 0); err != nil || len(l.Mail) != 2 {
			t.Fatalf("run %s has %+v, %v", id, l.Mail, err)
		}
	}
	if err := consistent(s); err != nil {
		t.Error(err)
	}
	if got, err := lookUp(s, "PRAGMA integrity_check"); err != nil || got != "ok" {
		t.Errorf("integrity check: %s, %v", got, err)
	}
}

// writeUntilKilled starts runs and prints what was acknowledged, a line each.
func writeUntilKilled(t *testing.T, path string) {
	s, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for w := range 16 {
		wg.Go(func() {
			for i := 0; ; i++ {
				id := fmt.Sprintf("%d-%d-%d", os.Getpid(), w, i)
				run := store.NewRun{ID: id, Workflow: "w", Version: 1, Secret: []byte("s")}
				if _, err := s.Accept(t.Context(), store.Payload{Token: "t" + id, OrStart: &run}); err != nil {
					t.Error(err)
					return
				}
				// One write, so that lines stay whole.
				_, _ = os.Stdout.WriteString(id + "\n")
			}
		})
	}
	wg.Wait()
}
