package main

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tenter-dev/tenter/examples/internal/exampletest"
)

func TestMain(m *testing.M) { exampletest.Main(m, main) }

func TestLegs(t *testing.T) {
	t.Parallel()
	const want = `trip: open is run:{id}:0
trip: open is run:{id}:1
trip: open is run:{id}:2
trip: leg 0: all is well, leg 1: no news, leg 2: all is well
patrol: news 0, news 1, news 2, news 3, news 4, quiet rounds: true
checklist: doors, lights, brakes
checklist: not all answered in time
`
	got := exampletest.Output(t, "-patience", "1s", "-round", "20ms")
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("output (-want +got):\n%s", diff)
	}
}
