package plot

import (
	"encoding/xml"
	"errors"
	"io"
	"strings"
	"testing"
)

func TestDraw(t *testing.T) {
	t.Parallel()
	svg := string(Draw("A & B", []Chart{
		{Title: "µs < ms", X: "runs", LogX: true, Lines: []Line{
			{Name: "SQLite", Points: []Point{{1000, 3}, {1_000_000, 4}}},
			{Name: "PostgreSQL", Points: []Point{{1000, 0}, {1_000_000, 0}}},
		}},
		{Title: "one point", X: "min", Lines: []Line{{Name: "only", Points: []Point{{0, 0}}}}},
	}))
	d := xml.NewDecoder(strings.NewReader(svg))
	for {
		if _, err := d.Token(); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatalf("the plot is not XML: %v\n%s", err, svg)
		}
	}
	for _, want := range []string{"A &amp; B", "µs &lt; ms", "SQLite", "10,000", `points="56.0,`} {
		if !strings.Contains(svg, want) {
			t.Errorf("the plot lacks %q:\n%s", want, svg)
		}
	}
	for _, bad := range []string{"NaN", "Inf"} {
		if strings.Contains(svg, bad) {
			t.Errorf("the plot has %q:\n%s", bad, svg)
		}
	}
}
