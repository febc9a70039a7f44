package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"regexp"
)

// benchmark is something that is measured. One call is one round.
type benchmark struct {
	name  string
	round func(ctx context.Context, e *env) ([]metric, error)
}

// benchmarks are in the order of the table.
func benchmarks() []benchmark {
	var all []benchmark
	for _, group := range [][]benchmark{
		throughput, latency, resumes, webhooks, longRun, replay, parked, floor,
	} {
		all = append(all, group...)
	}
	return all
}

// env is what the flags have chosen.
type env struct {
	dir   string // of the databases
	quick bool
}

// size returns how many of something to measure with.
func (e *env) size(full int) int {
	if e.quick {
		return max(full/100, 50)
	}
	return full
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	run := bench
	if len(os.Args) > 1 && os.Args[1] == childArg {
		run = child
	}
	if err := run(ctx, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// bench is the main function, but for child processes.
func bench(ctx context.Context, args []string) error {
	e := &env{}
	flags := flag.NewFlagSet("bench", flag.ExitOnError)
	pattern := flags.String("run", "", "measure only what this regular `expression` matches")
	rounds := flags.Int("rounds", 3, "how often to measure each")
	doc := flags.String("doc", "../docs/performance.md", "`file` whose table is replaced if all is measured; empty: none")
	profile := flags.String("profile", "", "write pprof profiles to this `directory`")
	flags.StringVar(&e.dir, "dir", os.TempDir(), "`directory` for the databases: its disk is what is measured")
	flags.BoolVar(&e.quick, "quick", false, "one short round: the numbers mean little")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if e.quick {
		*rounds = 1
	}
	selected, err := regexp.Compile(*pattern)
	if err != nil {
		return fmt.Errorf("-run: %w", err)
	}
	load := loadAverage()
	stopProfiles, err := startProfiles(*profile)
	if err != nil {
		return err
	}
	t, err := measure(ctx, e, selected, *rounds)
	if err := errors.Join(err, stopProfiles()); err != nil {
		return err
	}
	report := machine(ctx, e.dir, load) + "\n" + t.markdown()
	fmt.Print("\n" + report)
	if *doc != "" && *pattern == "" && !e.quick {
		return replaceSection(*doc, report)
	}
	return nil
}

// measure goes through the rounds of all selected benchmarks.
func measure(ctx context.Context, e *env, selected *regexp.Regexp, rounds int) (table, error) {
	var t table
	for _, b := range benchmarks() {
		if !selected.MatchString(b.name) {
			continue
		}
		var all [][]metric
		for range rounds {
			fmt.Fprintf(os.Stderr, "%s …\n", b.name)
			ms, err := b.round(ctx, e)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", b.name, err)
			}
			all = append(all, ms)
		}
		t = append(t, rows(all)...)
	}
	return t, nil
}
