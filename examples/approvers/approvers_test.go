package main

import (
	"regexp"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tenter-dev/tenter/examples/internal/exampletest"
)

func TestMain(m *testing.M) { exampletest.Main(m, main) }

func TestApprovers(t *testing.T) {
	t.Parallel()
	want := []string{
		"ada says true",
		"bob says false",
		"ada, bob and cyd say false, true and true",
		"2 say yes, 0 no",
		"1 say yes, 2 no",
	}
	out := exampletest.Output(t)
	var got []string
	for _, match := range regexp.MustCompile(`(?m)^.*, and (.*)$`).FindAllStringSubmatch(out, -1) {
		got = append(got, match[1])
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("results (-want +got):\n%s\n%s", diff, out)
	}
}
