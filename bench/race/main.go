package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"regexp"
	"time"

	"github.com/tenter-dev/tenter/bench/internal/report"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := raceAll(ctx, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "race:", err)
		os.Exit(1)
	}
}

// race is what all contenders have in common.
type race struct {
	dir      string // of the databases
	sizes    sizes
	builds   map[string]build
	postgres *postgres
}

func raceAll(ctx context.Context, args []string) (err error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		return err
	}
	r := &race{}
	flags := flag.NewFlagSet("race", flag.ExitOnError)
	only := flags.String("only", "", "race only those whose names this regular `expression` matches")
	rounds := flags.Int("rounds", 3, "how often to race each")
	quick := flags.Bool("quick", false, "one short round: the numbers mean little")
	doc := flags.String("doc", "../docs/performance.md", "`file` whose tables are replaced if all are raced; empty: none")
	plot := flags.String("plot", "../docs/img/race.svg", "`file` for the plot if all are raced")
	flags.StringVar(&cache, "cache", filepath.Join(cache, "tenter-race"), "`directory` for what is built and downloaded")
	flags.StringVar(&r.dir, "dir", "/tmp", "`directory` for the databases, with a short path: its disk is what is measured")
	if err := flags.Parse(args); err != nil {
		return err
	}
	selected, err := regexp.Compile(*only)
	if err != nil {
		return fmt.Errorf("-only: %w", err)
	}
	var outcomes []*outcome
	var chosen []contender
	for _, c := range contenders {
		if selected.MatchString(c.name) {
			outcomes = append(outcomes, &outcome{contender: c})
			chosen = append(chosen, c)
		}
	}
	if *quick {
		*rounds = 1
	}
	r.sizes = sizesOf(*quick)
	r.builds = buildAll(ctx, cache, chosen)

	began, load := time.Now(), report.LoadAverage()
	machine := report.Machine(ctx, "make race", r.dir)
	if r.postgres, err = startPostgres(ctx, r.dir); err != nil {
		r.postgres = &postgres{err: err}
	}
	defer func() { err = errors.Join(err, r.postgres.close(ctx)) }()
	limits, err := r.measureLimits(ctx, *quick)
	if err != nil {
		return err
	}
	r.rounds(ctx, outcomes, *rounds)
	if err := ctx.Err(); err != nil {
		return err
	}
	about, err := r.postgres.describe(ctx)
	if err != nil {
		return err
	}
	text := machine + fmt.Sprintf("It took %v; load average before: %s, after: %s. PostgreSQL %s.\n",
		time.Since(began).Round(time.Second), load, report.LoadAverage(), about) + tables(outcomes, limits)
	fmt.Print("\n" + text)
	if *doc == "" || *only != "" || *quick {
		return nil
	}
	if err := os.MkdirAll(filepath.Dir(*plot), 0o755); err != nil {
		return err
	}
	return errors.Join(os.WriteFile(*plot, draw(outcomes), 0o644), report.ReplaceSection(*doc, "race", text))
}

// rounds races all, in an order that changes, and then weighs them. An engine that fails is out.
func (r *race) rounds(ctx context.Context, outcomes []*outcome, rounds int) {
	for _, o := range outcomes {
		o.version = r.builds[o.peer].version
	}
	step := func(what string, o *outcome, f func(context.Context, *outcome) error) {
		if o.err != nil || ctx.Err() != nil {
			return
		}
		began := time.Now()
		o.err = f(ctx, o)
		fmt.Fprintf(os.Stderr, "%s: %s: %v, load average %s\n", what, o.name, time.Since(began).Round(time.Second), report.LoadAverage())
		if o.err != nil {
			fmt.Fprintf(os.Stderr, "\t%v\n", o.err)
		}
	}
	for round := range rounds {
		for i := range outcomes {
			step(fmt.Sprintf("round %d of %d", round+1, rounds), outcomes[(i+round*len(outcomes)/rounds)%len(outcomes)], r.raceOnce)
		}
	}
	for _, o := range outcomes {
		step("memory", o, r.weigh)
	}
}

func closed(err error, p *process) error { return errors.Join(err, p.close()) }
