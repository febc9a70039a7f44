package main

import (
	"encoding/json"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// family is what Prometheus makes of a metric.
type family struct {
	labels    []string
	histogram bool
}

// families are the metrics of docs/telemetry.md, by the names that Prometheus has for
// them.
func families(t *testing.T) map[string]family {
	t.Helper()
	page, err := os.ReadFile("../../docs/telemetry.md")
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]family{}
	row := regexp.MustCompile("(?m)^\\| `(tenter\\.[a-z.]+)` \\| (\\w+) \\| `([^`]+)` \\|([^|]*)\\|")
	for _, m := range row.FindAllStringSubmatch(string(page), -1) {
		name, kind, unit := strings.ReplaceAll(m[1], ".", "_"), m[2], m[3]
		if unit == "s" {
			name += "_seconds"
		}
		if kind == "counter" {
			name += "_total"
		}
		f := family{histogram: kind == "histogram"}
		for label := range strings.FieldsFuncSeq(m[4], func(r rune) bool { return r == ' ' || r == ',' }) {
			f.labels = append(f.labels, "tenter_"+label)
		}
		all[name] = f
	}
	if len(all) < 10 {
		t.Fatalf("docs/telemetry.md has only %d metrics", len(all))
	}
	return all
}

var (
	sampleLine = regexp.MustCompile(`(?m)^(tenter_\w+)\{([^}]*)\}`)
	metricName = regexp.MustCompile(`\btenter_[a-z_]+(\{[^}]*\})?\[|\b(?:sum|max|label_values)\((tenter_[a-z_]+)[,)]`)
	labelName  = regexp.MustCompile(`\b(tenter_[a-z]+)(?:=~?"|[,)}])`)
)

// find returns the metric that a series belongs to.
func find(all map[string]family, series string) (string, bool) {
	if f, ok := all[series]; ok && !f.histogram {
		return series, true
	}
	for _, suffix := range []string{"_bucket", "_sum", "_count"} {
		if name, ok := strings.CutSuffix(series, suffix); ok && all[name].histogram {
			return name, true
		}
	}
	return "", false
}

// What is scraped is what the docs have, by name and by label.
func TestScrapeIsDocumented(t *testing.T) {
	r := newReceiver(t)
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", r.url)
	all, seen := families(t), map[string]bool{}
	for _, m := range sampleLine.FindAllStringSubmatch(orderInTwo(t), -1) {
		name, ok := find(all, m[1])
		if !ok {
			t.Errorf("%s is scraped, and not in docs/telemetry.md", m[1])
			continue
		}
		seen[name] = true
		for _, label := range regexp.MustCompile(`(tenter_\w+)=`).FindAllStringSubmatch(m[2], -1) {
			if !slices.Contains(all[name].labels, label[1]) {
				t.Errorf("%s has the label %s, which docs/telemetry.md does not say", m[1], label[1])
			}
		}
		for _, label := range all[name].labels {
			if !strings.Contains(m[2], label+"=") {
				t.Errorf("%s has no label %s, which docs/telemetry.md promises", m[1], label)
			}
		}
	}
	// The others have nothing to tell in this scene.
	if len(seen) < 14 {
		t.Errorf("only these are scraped: %v", slices.Sorted(maps.Keys(seen)))
	}
}

// The dashboard asks for metrics that there are, by labels that they have, and for all
// of them.
func TestDashboardAsksForWhatThereIs(t *testing.T) {
	data, err := os.ReadFile("dashboard.json")
	if err != nil {
		t.Fatal(err)
	}
	var dashboard struct {
		Templating struct{ List []struct{ Query string } }
		Panels     []struct {
			Title   string
			Targets []struct{ Expr, LegendFormat string }
		}
	}
	if err := json.Unmarshal(data, &dashboard); err != nil {
		t.Fatal(err)
	}
	all, asked := families(t), map[string]bool{}
	check := func(title, expr string) {
		if strings.Count(expr, "(") != strings.Count(expr, ")") {
			t.Errorf("%s: %s: the parentheses do not match", title, expr)
		}
		var labels []string
		for _, m := range metricName.FindAllStringSubmatch(expr, -1) {
			series := m[2]
			if series == "" {
				series = regexp.MustCompile(`tenter_[a-z_]+`).FindString(m[0])
			}
			name, ok := find(all, series)
			if !ok {
				t.Errorf("%s: there is no %s", title, series)
			}
			asked[name] = true
			labels = append(labels, all[name].labels...)
		}
		for _, m := range labelName.FindAllStringSubmatch(expr, -1) {
			if _, metric := find(all, m[1]); !metric && !slices.Contains(labels, m[1]) {
				t.Errorf("%s: %s has no label %s", title, expr, m[1])
			}
		}
	}
	for _, p := range dashboard.Panels {
		for _, target := range p.Targets {
			check(p.Title, target.Expr)
			for _, m := range regexp.MustCompile(`\{\{(\w+)\}\}`).FindAllStringSubmatch(target.LegendFormat, -1) {
				if !strings.Contains(target.Expr, m[1]) {
					t.Errorf("%s: the legend has %s, the query has not", p.Title, m[1])
				}
			}
		}
	}
	for _, v := range dashboard.Templating.List {
		check("variable", v.Query)
	}
	for name := range all {
		if !asked[name] {
			t.Errorf("the dashboard does not show %s", name)
		}
	}
}
