package main

import (
	"regexp"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tenter-dev/tenter/examples/internal/exampletest"
)

func TestMain(m *testing.M) { exampletest.Main(m, main) }

func TestRemote(t *testing.T) {
	t.Parallel()
	const want = `"tea for two" waits for a decision at decide:tea for two
  refused: payload for token "decide:tea for two": an editor has to sign
  printed: TEA FOR TWO
"grey" waits for a decision at decide:grey
  refused: payload for token "decide:grey": an editor has to sign
  it is dull
1 completed, 1 failed
start: forbidden
`
	got := exampletest.Output(t, "-addr", "127.0.0.1:0")
	got = regexp.MustCompile(`(?m)^.* WARN run failed .*\n`).ReplaceAllString(got, "") // the log of the server
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("output (-want +got):\n%s", diff)
	}
}
