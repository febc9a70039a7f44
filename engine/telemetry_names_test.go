package engine_test

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/metric/noop"

	"github.com/tenter-dev/tenter/engine"
)

// catalog notes the instruments that are made, as rows of a table.
type catalog struct {
	noop.Meter
	rows []string
}

// catalogProvider is the provider of a catalog.
type catalogProvider struct {
	noop.MeterProvider
	c *catalog
}

func (p catalogProvider) Meter(string, ...metric.MeterOption) metric.Meter { return p.c }

func (c *catalog) add(name, kind, unit, about string) {
	c.rows = append(c.rows, "| `"+name+"` | "+kind+" | `"+unit+"` | "+about+" |")
}

func (c *catalog) Int64Counter(name string, opts ...metric.Int64CounterOption) (metric.Int64Counter, error) {
	is := metric.NewInt64CounterConfig(opts...)
	c.add(name, "counter", is.Unit(), is.Description())
	return c.Meter.Int64Counter(name)
}

func (c *catalog) Int64Histogram(name string, opts ...metric.Int64HistogramOption) (metric.Int64Histogram, error) {
	is := metric.NewInt64HistogramConfig(opts...)
	c.add(name, "histogram", is.Unit(), is.Description())
	return c.Meter.Int64Histogram(name)
}

func (c *catalog) Float64Histogram(name string, opts ...metric.Float64HistogramOption) (metric.Float64Histogram, error) {
	is := metric.NewFloat64HistogramConfig(opts...)
	c.add(name, "histogram", is.Unit(), is.Description())
	return c.Meter.Float64Histogram(name)
}

func (c *catalog) Int64ObservableUpDownCounter(name string, opts ...metric.Int64ObservableUpDownCounterOption) (metric.Int64ObservableUpDownCounter, error) {
	is := metric.NewInt64ObservableUpDownCounterConfig(opts...)
	c.add(name, "gauge", is.Unit(), is.Description())
	return c.Meter.Int64ObservableUpDownCounter(name)
}

// The table of docs/telemetry.md has exactly the instruments that there are. Their
// attributes are checked where they are used.
func TestDocumentedMetrics(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../docs/telemetry.md")
	if err != nil {
		t.Fatal(err)
	}
	var c catalog
	inLab(t, func(t *testing.T, l *lab) { l.run(engine.Options{MeterProvider: catalogProvider{c: &c}}, payment) })
	documented := map[string]bool{}
	row := regexp.MustCompile("(?m)^(\\| `tenter\\.[a-z.]+` \\| \\w+ \\| `[^`]+` )\\|[^|]*(\\|.*)$")
	for _, m := range row.FindAllStringSubmatch(string(page), -1) {
		documented[m[1]+m[2]] = true
	}
	made := map[string]bool{}
	for _, r := range c.rows {
		made[r] = true
	}
	same(t, "the table", documented, made)
	for _, name := range []string{"run", "workflow", "version", "status", "step", "step_id", "attempt", "hook", "hook_id"} {
		if !strings.Contains(string(page), "`tenter."+name+"`") {
			t.Errorf("docs/telemetry.md does not describe the attribute tenter.%s of spans", name)
		}
	}
}
