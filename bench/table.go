package main

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/tenter-dev/tenter/bench/internal/report"
)

// metric is a number that a round has found.
type metric struct {
	name   string
	value  float64
	unit   string
	budget budget

	missing string // why it was not measured
}

// budget is the bound of a metric in DESIGN §8; the zero value is none.
type budget struct {
	sign  string
	bound float64
}

func atLeast(bound float64) budget { return budget{"≥", bound} }
func atMost(bound float64) budget  { return budget{"≤", bound} }

func (b budget) met(v float64) bool {
	return b.sign == "≥" && v >= b.bound || b.sign == "≤" && v <= b.bound
}

// row is a metric over all rounds.
type row struct {
	metric          // the median
	lowest, highest float64
}

type table []row

// rows merges the metrics of rounds, which have the same in the same order.
func rows(rounds [][]metric) []row {
	var t []row
	for i, m := range rounds[0] {
		values := make([]float64, len(rounds))
		for j, round := range rounds {
			values[j] = round[i].value
		}
		slices.Sort(values)
		m.value = values[len(values)/2]
		t = append(t, row{m, values[0], values[len(values)-1]})
	}
	return t
}

func (t table) markdown() string {
	var s strings.Builder
	s.WriteString("| what | median | lowest – highest | budget | |\n|---|--:|--:|--:|---|\n")
	for _, r := range t {
		if r.missing != "" {
			fmt.Fprintf(&s, "| %s | not measured: %s | | | |\n", r.name, r.missing)
			continue
		}
		bound, met := "–", ""
		if r.budget.sign != "" {
			bound = r.budget.sign + " " + report.Number(r.budget.bound)
			met = "met"
			if !r.budget.met(r.value) {
				met = "**missed**"
			}
		}
		fmt.Fprintf(&s, "| %s | %s %s | %s – %s | %s | %s |\n",
			r.name, report.Number(r.value), r.unit, report.Number(r.lowest), report.Number(r.highest), bound, met)
	}
	return s.String()
}

// percentile returns the p-th percentile of values, which it sorts.
func percentile[T cmp.Ordered](values []T, p int) T {
	slices.Sort(values)
	return values[min(len(values)*p/100, len(values)-1)]
}
