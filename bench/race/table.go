package main

import (
	"fmt"
	"strings"

	"github.com/tenter-dev/tenter/bench/internal/report"
)

// group is a table: metrics side by side under what they are of.
type group struct {
	title   string
	metrics []*metric
}

var groups = []group{
	{"Speed", []*metric{&runsPerSecond, &apartPerSecond, &stepP50, &stepP99, &resumesPerSecond, &resumeP50, &resumeP99}},
	{"Long runs and memory", []*metric{&per100, &per1000, &per5000, &parked2000, &parked20000}},
}

// tables are all that the race has found.
func tables(outcomes []*outcome, l limits) string {
	var s strings.Builder
	for _, g := range groups {
		fmt.Fprintf(&s, "\n### %s\n\n", g.title)
		s.WriteString("| |")
		for _, m := range g.metrics {
			fmt.Fprintf(&s, " %s |", m.heading)
		}
		s.WriteString("\n|---|" + strings.Repeat("--:|", len(g.metrics)) + "\n")
		for _, o := range outcomes {
			fmt.Fprintf(&s, "| %s |", o.label())
			for _, m := range g.metrics {
				fmt.Fprintf(&s, " %s |", o.cell(m))
			}
			s.WriteString("\n")
		}
	}
	s.WriteString("\nMedians; lowest – highest of the rounds below them.")
	s.WriteString(remarks(outcomes))
	s.WriteString("\n### The contenders, and what their acknowledgements mean\n\n" +
		"| | version | settings | what is acknowledged is … | started by one process, executed by another |\n|---|---|---|---|---|\n")
	for _, o := range outcomes {
		fmt.Fprintf(&s, "| %s | %s | %s | %s | %s |\n", o.label(), o.version, o.settings, o.promise, o.apart)
	}
	s.WriteString("\n### The limits beside it\n\n" + l.table(outcomes))
	return s.String()
}

func (o *outcome) label() string {
	if o.ours {
		return "**" + o.name + "**"
	}
	return o.name
}

func (o *outcome) cell(m *metric) string {
	median, lowest, highest, ok := o.of(m)
	switch {
	case !ok:
		return "–"
	case len(o.values[m]) == 1:
		return report.Number(median)
	}
	return fmt.Sprintf("%s<br>%s – %s", report.Number(median), report.Number(lowest), report.Number(highest))
}

func oneLine(err error) string { return strings.ReplaceAll(err.Error(), "\n", " ") }

// remarks are notes, and what could not be raced.
func remarks(outcomes []*outcome) string {
	var s strings.Builder
	for _, o := range outcomes {
		for _, n := range o.notes {
			fmt.Fprintf(&s, "\n- %s: %s", o.name, n)
		}
		if o.err != nil {
			fmt.Fprintf(&s, "\n- %s: **failed**: %v", o.name, oneLine(o.err))
		}
	}
	if s.Len() == 0 {
		return "\n"
	}
	return "\n" + s.String() + "\n"
}
