package journal_test

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/tenter-dev/tenter/internal/journal"
	"github.com/tenter-dev/tenter/store"
)

// kinds are the kinds of events as databases have them.
var kinds = map[store.Kind]string{
	store.Started: "started", store.PayloadReceived: "payload_received", store.CancelRequested: "cancel_requested", store.Woken: "woken",
	store.Retried: "retried", store.Forked: "forked", store.ChildCompleted: "child_completed", store.ChildFailed: "child_failed", store.ChildStarted: "child_started",
	store.ChildExists: "child_exists", store.StepStarted: "step_started", store.StepRetried: "step_retried", store.StepCompleted: "step_completed",
	store.StepFailed: "step_failed", store.TimerFired: "timer_fired", store.HookClaimed: "hook_claimed", store.HookConflict: "hook_conflict",
	store.HookDrained: "hook_drained", store.Responded: "responded", store.RespondConflict: "respond_conflict", store.RunCompleted: "completed",
	store.RunFailed: "failed", store.RunCanceled: "canceled", store.HookMismatch: "hook_mismatch", store.Restarted: "restarted",
	store.AwaitedCompleted: "awaited_completed", store.AwaitedFailed: "awaited_failed", store.AwaitRefused: "await_refused",
	store.Resumed: "resumed", store.RetryNow: "retry_now",
}

func TestKindsArePinned(t *testing.T) {
	t.Parallel()
	for kind, want := range kinds {
		if string(kind) != want {
			t.Errorf("a kind is %q, want %q: runs that have such events would be blocked as non-deterministic%s", kind, want, pinned)
		}
	}
}

// SQL can't use the constants of Go, so this test compares its literals with them.
func TestSQLSpeaksTheSameLanguage(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		store, files string
		kinds        []store.Kind // that it has to know
		hooks        bool         // it makes IDs of hooks
	}{
		{"sqlite", "queries.go", []store.Kind{store.PayloadReceived, store.CancelRequested, store.Woken, store.Retried, store.RetryNow, store.Resumed}, false},
		{"postgres", "*/*.sql", []store.Kind{
			store.Started, store.PayloadReceived, store.CancelRequested, store.Woken, store.Retried, store.RetryNow, store.Resumed, store.ChildCompleted, store.ChildFailed, store.StepCompleted, store.Forked,
			store.AwaitedCompleted, store.AwaitedFailed, store.AwaitRefused,
		}, true},
	} {
		sql := read(t, filepath.Join("..", "..", "store", tt.store, tt.files))
		had := map[store.Kind]bool{}
		for _, word := range kindLiterals(sql) {
			if kinds[store.Kind(word)] == "" {
				t.Errorf("the SQL of %s has the kind %q, which package store does not know", tt.store, word)
			}
			had[store.Kind(word)] = true
		}
		for _, kind := range tt.kinds {
			if !had[kind] {
				t.Errorf("the SQL of %s does not have the kind %q: is it written in another way, or does this test no longer find it?", tt.store, kind)
			}
		}
		suffixes := regexp.MustCompile(`'\.[^']*'`).FindAllString(sql, -1)
		for _, s := range suffixes {
			if want := journal.ReservedHookID(""); strings.Trim(s, "'") != want {
				t.Errorf("the SQL of %s makes an ID with %s, want '%s': payloads would not find the hooks that they have reserved", tt.store, s, want)
			}
		}
		if tt.hooks != (len(suffixes) > 0) {
			t.Errorf("the SQL of %s has %d suffixes of IDs: does this test no longer find them?", tt.store, len(suffixes))
		}
	}
}

// kindLiterals are the literals that are compared with a kind, or put into mailboxes.
func kindLiterals(sql string) []string {
	var words []string
	for _, place := range regexp.MustCompile(
		`kind (=|<>|IN|NOT IN) ?(\([^)]*\)|'[^']*')|(put_mail|send_to)\([^,]*, '[^']*'|INSERT INTO mailbox [^;]*;`).FindAllString(sql, -1) {
		for _, literal := range regexp.MustCompile(`'[a-z_0-9]+'`).FindAllString(place, -1) {
			word := strings.Trim(literal, "'")
			notKinds := []string{"id", "input", "data", "base64", "run", "actor"} // fields of JSON
			if !slices.Contains(notKinds, word) {
				words = append(words, word)
			}
		}
	}
	return words
}

func read(t *testing.T, pattern string) string {
	t.Helper()
	files, err := filepath.Glob(pattern)
	if err != nil || len(files) == 0 {
		t.Fatalf("no files %s, %v", pattern, err)
	}
	var all strings.Builder
	for _, f := range files {
		data, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		all.Write(data)
	}
	return all.String()
}
