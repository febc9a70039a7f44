package run_test

import (
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/tenter-dev/tenter/internal/run"
)

func TestHeaderSurvivesJSON(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.String()
		bytes := rapid.Map(rapid.SliceOf(rapid.Byte()), func(b []byte) string { return string(b) })
		values := rapid.SliceOf(rapid.OneOf(text, bytes))
		want := run.Header(rapid.MapOf(rapid.StringMatching(`[A-Z][a-z-]{0,5}`), values).Draw(t, "header"))
		data, err := json.Marshal(want)
		if err != nil {
			t.Fatal(err)
		}
		var got run.Header
		if err := json.Unmarshal(data, &got); err != nil {
			t.Fatalf("%s: %v", data, err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", data, diff)
		}
	})
}

func TestHeaderRefused(t *testing.T) {
	t.Parallel()
	for _, data := range []string{`[]`, `{"A":"b"}`, `{"A":[1]}`, `{"A":[{"base64":1}]}`} {
		var h run.Header
		if err := json.Unmarshal([]byte(data), &h); err == nil {
			t.Errorf("%s was decoded to %v", data, h)
		}
	}
}
