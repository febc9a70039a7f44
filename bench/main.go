package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"regexp"
	"slices"

	"github.com/tenter-dev/tenter/bench/internal/report"
)

// env is what the flags have chosen.
type env struct {
	dir    string // of the databases
	quick  bool
	server *postgresServer // where databases are made; nil: they are SQLite files
}

// size returns how many of something to measure with.
func (e *env) size(full int) int {
	if e.quick {
		return max(full/100, 50)
	}
	return full
}

// commands are what this program does if its first argument says so; else it is bench.
var commands = map[string]func(ctx context.Context, args []string) error{
	childArg: childMain, growthArg: growthMain, soakArg: soakMain, yearsArg: yearsMain, upFrontArg: upFrontMain,
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	run, args := bench, os.Args[1:]
	if len(args) > 0 {
		if other := commands[args[0]]; other != nil {
			run, args = other, args[1:]
		}
	}
	if err := run(ctx, args); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// bench is the main function, but for child processes.
func bench(ctx context.Context, args []string) (err error) {
	e := &env{}
	flags := flag.NewFlagSet("bench", flag.ExitOnError)
	pattern := flags.String("run", "", "measure only what this regular `expression` matches")
	rounds := flags.Int("rounds", 3, "how often to measure each")
	doc := flags.String("doc", "../docs/performance.md", "`file` whose table is replaced if all is measured; empty: none")
	profile := flags.String("profile", "", "write pprof profiles to this `directory`")
	postgres := flags.String("postgres", "", "measure on the server at this `URL`, whose role may make databases, instead of a private one")
	var settings []string
	flags.Func("set", "setting of the private PostgreSQL, as in shared_buffers=1GB; more than once", func(s string) error {
		settings = append(settings, s)
		return nil
	})
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
	text := report.Machine(ctx, "make bench", e.dir)
	stopProfiles, err := startProfiles(*profile)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, stopProfiles()) }()
	if chosen := selectBenchmarks(onSQLite, selected); len(chosen) > 0 {
		t, err := measure(ctx, e, chosen, *rounds)
		if err != nil {
			return err
		}
		text += "\n### SQLite\n\n" + t.markdown()
	}
	if chosen := selectBenchmarks(onPostgres, selected); len(chosen) > 0 {
		about, t, err := measureOnServer(ctx, e, *postgres, settings, chosen, *rounds)
		if err != nil {
			return err
		}
		text += "\n### PostgreSQL\n\n" + about + t.markdown()
	}
	fmt.Print("\n" + text)
	if *doc != "" && *pattern == "" && !e.quick {
		return report.ReplaceSection(*doc, "bench", text)
	}
	return nil
}

func selectBenchmarks(all []benchmark, selected *regexp.Regexp) []benchmark {
	return slices.DeleteFunc(slices.Clone(all), func(b benchmark) bool { return !selected.MatchString(b.name) })
}

// measureOnServer measures on PostgreSQL: the server at a URL, or a private one.
// Without any the table says that it was not measured, and why.
func measureOnServer(ctx context.Context, e *env, url string, settings []string, chosen []benchmark, rounds int) (about string, t table, err error) {
	if url != "" {
		e.server, err = useServer(ctx, url)
	} else if e.server, err = startServer(ctx, e.dir, settings); err != nil {
		for _, b := range chosen {
			t = append(t, row{metric: metric{name: b.name, missing: err.Error()}})
		}
		return "", t, nil
	}
	if err != nil {
		return "", nil, err
	}
	defer func() { err = errors.Join(err, e.server.close(context.WithoutCancel(ctx))) }()
	if about, err = e.server.describe(ctx); err != nil {
		return "", nil, err
	}
	t, err = measure(ctx, e, chosen, rounds)
	return about + "\n", t, err
}

// measure goes through the rounds of benchmarks.
func measure(ctx context.Context, e *env, chosen []benchmark, rounds int) (table, error) {
	var t table
	for _, b := range chosen {
		n := rounds
		if b.once {
			n = 1
		}
		var all [][]metric
		for range n {
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
