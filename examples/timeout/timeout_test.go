package main

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tenter-dev/tenter/examples/internal/exampletest"
)

func TestMain(m *testing.M) { exampletest.Main(m, main) }

func TestTimeout(t *testing.T) {
	t.Parallel()
	const want = `contract: ask
contract: approved
budget: ask
budget: escalate
budget: approved, late
`
	got := exampletest.Output(t, "-patience", "100ms")
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("output (-want +got):\n%s", diff)
	}
}
