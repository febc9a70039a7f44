package main

import (
	"regexp"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tenter-dev/tenter/examples/internal/exampletest"
)

func TestMain(m *testing.M) { exampletest.Main(m, main) }

func TestConflict(t *testing.T) {
	t.Parallel()
	const want = `run A, "the printer smokes": has the token
run B, "it burns": went to run A
run C, "solved": went to run A
run A has ended: the printer smokes, it burns, solved

run D, "the new printer is lonely": has the token
run E, "solved": went to run D
run D has ended: the new printer is lonely, solved

`
	got := exampletest.Output(t)
	letters := make(map[string]string) // by run ID
	got = regexp.MustCompile(`run \w+`).ReplaceAllStringFunc(got, func(run string) string {
		if letters[run] == "" {
			letters[run] = "run " + string(rune('A'+len(letters)))
		}
		return letters[run]
	})
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("output (-want +got):\n%s", diff)
	}
}
