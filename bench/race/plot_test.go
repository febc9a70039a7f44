package main

import (
	"encoding/xml"
	"errors"
	"io"
	"strings"
	"testing"
)

func TestPlotIsWellFormed(t *testing.T) {
	fast, none := &outcome{contender: contender{name: "fast & ours", ours: true}}, &outcome{contender: contender{name: "none"}}
	for _, m := range charts {
		for _, v := range []float64{1200, 0.3, 9} {
			fast.add(m, v)
		}
	}
	for d := xml.NewDecoder(strings.NewReader(string(draw([]*outcome{fast, none})))); ; {
		if _, err := d.Token(); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
	}
}

func TestTablesTellWhatFailed(t *testing.T) {
	fast := &outcome{contender: contender{name: "Tenter", ours: true, store: "sqlite", promise: "on disk", apart: "a client"}}
	for _, m := range []*metric{&runsPerSecond, &stepP50, &resumeP50} {
		for _, v := range []float64{1, 3, 2} {
			fast.add(m, v)
		}
	}
	gone := &outcome{contender: contender{name: "Gone"}, err: errors.New("no such module")}
	got := tables([]*outcome{fast, gone}, limits{sqlite: databaseLimits{commits: 1000, rows: 100}, postgres: databaseLimits{err: errors.New("not installed")}})
	for _, want := range []string{
		"| **Tenter** | 2<br>1 – 3 | – | 2<br>1 – 3 |",
		"| on disk | a client |",
		"Gone: **failed**: no such module",
		"takes Tenter 1 × the time of its 2 commits",
		"give Tenter's journal 10 /s: 10 %",
		"not to be had: not installed",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("the tables lack %q:\n%s", want, got)
		}
	}
}
