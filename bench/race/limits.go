package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/tenter-dev/tenter/bench/internal/floor"
	"github.com/tenter-dev/tenter/bench/internal/report"
)

// limits are what the disk and the databases can do without any engine, a second.
type limits struct {
	overwrites, appends float64
	sqlite, postgres    databaseLimits
}

type databaseLimits struct {
	commits float64 // of one row, one after the other
	rows    float64 // in batches of 100
	err     error
}

func (r *race) measureLimits(ctx context.Context, quick bool) (l limits, err error) {
	d := time.Second
	if quick {
		d /= 10
	}
	if l.overwrites, err = floor.Overwrites(r.dir, d); err != nil {
		return l, err
	}
	if l.appends, err = floor.Appends(r.dir, d); err != nil {
		return l, err
	}
	l.sqlite = databaseLimitsOf(func(rows int) (float64, error) { return floor.SQLite(r.dir, rows, d) })
	l.postgres.err = r.postgres.err
	if r.postgres.err == nil {
		url, drop, err := r.postgres.create(ctx)
		if err != nil {
			return l, err
		}
		l.postgres = databaseLimitsOf(func(rows int) (float64, error) { return floor.Postgres(ctx, url, rows, 1, d) })
		if err := drop(); err != nil {
			return l, err
		}
	}
	return l, nil
}

func databaseLimitsOf(commits func(rows int) (float64, error)) (l databaseLimits) {
	if l.commits, l.err = commits(1); l.err != nil {
		return l
	}
	const batch = 100
	n, err := commits(batch)
	l.rows, l.err = n*batch, err
	return l
}

// What Tenter writes for a run: rows of the journal, and commits that come one after the
// other if the run is alone.
const (
	rowsOf3Steps    = 5
	commitsOf1Step  = 2
	commitsOfResume = 1
)

// table has the limits, and what of them Tenter reaches.
func (l limits) table(outcomes []*outcome) string {
	var s strings.Builder
	s.WriteString("| limit | | |\n|---|--:|---|\n")
	row := func(what string, perSecond float64, note string) {
		fmt.Fprintf(&s, "| %s | %s /s | %s |\n", what, report.Number(perSecond), note)
	}
	row("4 KiB overwritten in place and synced", l.overwrites, "")
	row("4 KiB appended and synced", l.appends, "")
	for _, d := range []struct {
		name, store string
		l           databaseLimits
	}{{"SQLite", "sqlite", l.sqlite}, {"PostgreSQL", "postgres", l.postgres}} {
		if d.l.err != nil {
			fmt.Fprintf(&s, "| %s | – | not to be had: %v |\n", d.name, d.l.err)
			continue
		}
		row(d.name+": commits of one row, one after the other", d.l.commits, shareOfLatency(outcomes, d.store, d.l.commits))
		row(d.name+": rows inserted, 100 in each commit", d.l.rows, shareOfRows(outcomes, d.store, d.l.rows))
	}
	return s.String()
}

// shareOfLatency sets latencies beside the time that their commits take.
func shareOfLatency(outcomes []*outcome, store string, commits float64) string {
	o := tenterOn(outcomes, store)
	if o == nil {
		return ""
	}
	step, _, _, ok1 := o.of(&stepP50)
	resume, _, _, ok2 := o.of(&resumeP50)
	if !ok1 || !ok2 {
		return ""
	}
	one := 1000 / commits
	return fmt.Sprintf("start → 1 step → result takes Tenter %s × the time of its %d commits, resume → run completed %s × that of its %d",
		report.Number(step/(commitsOf1Step*one)), commitsOf1Step, report.Number(resume/(commitsOfResume*one)), commitsOfResume)
}

func shareOfRows(outcomes []*outcome, store string, rows float64) string {
	o := tenterOn(outcomes, store)
	if o == nil {
		return ""
	}
	runs, _, _, ok := o.of(&runsPerSecond)
	if !ok {
		return ""
	}
	return fmt.Sprintf("3-step runs, 64 at a time, give Tenter's journal %s /s: %s %%, beside runs, mailbox and indexes",
		report.Number(runs*rowsOf3Steps), report.Number(100*runs*rowsOf3Steps/rows))
}

func tenterOn(outcomes []*outcome, store string) *outcome {
	for _, o := range outcomes {
		if o.ours && o.store == store {
			return o
		}
	}
	return nil
}
