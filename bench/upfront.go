package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/tenter-dev/tenter/bench/internal/plot"
	"github.com/tenter-dev/tenter/bench/internal/report"
)

const upFrontArg = "upfront"

// upFrontMain has the bot of yearsMain get messages that were all sent while its process was down: a
// tenth of them, and in a database of its own all of them. It shows what a message costs, and what
// is used.
func upFrontMain(ctx context.Context, args []string) error {
	e := &env{}
	flags := flag.NewFlagSet("bench upfront", flag.ExitOnError)
	messages := flags.Int("messages", 1_000_000, "how many messages the bot gets on each store, and before that a tenth of them")
	stores := flags.String("stores", "sqlite,postgres", "which stores")
	doc := flags.String("doc", "../docs/performance.md", "`file` whose table is replaced; empty: none")
	file := flags.String("plot", "../docs/img/upfront.svg", "`file` for the plot; empty: none")
	flags.StringVar(&e.dir, "dir", os.TempDir(), "`directory` for the databases")
	if err := flags.Parse(args); err != nil {
		return err
	}
	text := report.Machine(ctx, fmt.Sprint("make upfront MESSAGES=", *messages), e.dir)
	var all []*flood
	err := onStores(ctx, e, *stores, func(title string) error {
		for _, n := range []int{*messages / 10, *messages} {
			f := &flood{years: years{store: title, e: e, messages: n / 100 * 100}}
			all = append(all, f)
			if err := f.withBot(ctx, func() error { return f.measure(ctx) }); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	for few, many := range floodPairs(all) {
		text += floodMarkdown(few, many)
	}
	fmt.Print("\n" + text)
	if err := plot.Write(*file, "What a bot costs whose messages were all sent up front", floodCharts(all)); err != nil {
		return err
	}
	if *doc == "" {
		return nil
	}
	return report.ReplaceSection(*doc, "upfront", text)
}

// flood is a bot whose messages were all sent before its process begins.
type flood struct {
	years
	perSecond float64 // messages that were sent
	full      float64 // MB of the database when all were sent
	samples   []floodSample
}

// floodSample is what the process used in a hundredth of the messages.
type floodSample struct {
	messages int     // that the bot has got
	each     float64 // µs from one to the next
	cpu      float64 // µs
	memory   float64 // MB
	database float64 // MB
}

func (f *flood) measure(ctx context.Context) (err error) {
	if err := f.process.close(); err != nil {
		return err
	}
	if err := f.sendAll(ctx); err != nil {
		return err
	}
	if f.full, err = databaseMB(ctx, f.e, f.client.db); err != nil {
		return err
	}
	fmt.Fprintf(os.Stderr, "%s: %s messages are sent, load average %s\n", f.store, report.Number(float64(f.sent)), report.LoadAverage())
	if f.process, err = startProcess(ctx, f.url, 0); err != nil {
		return err
	}
	for block := range 100 {
		if err := f.hear(ctx, block); err != nil {
			return err
		}
	}
	return nil
}

// sendAll sends the messages as fast as the store takes them, in order from each sender.
func (f *flood) sendAll(ctx context.Context) error {
	began := time.Now()
	var all errgroup.Group
	for s := range yearsSenders {
		all.Go(func() error {
			for i := s; i < f.messages; i += yearsSenders {
				if err := f.send(ctx, s); err != nil {
					return err
				}
			}
			return nil
		})
	}
	err := all.Wait()
	f.perSecond = float64(f.messages) / time.Since(began).Seconds()
	return err
}

// hear samples what was used for a hundredth of the messages, unless it is the first of a tenth: then
// the process is killed amid them.
func (f *flood) hear(ctx context.Context, block int) error {
	n := f.messages / 100
	heard := block * n
	if block%(100/yearsLives) == 0 {
		if err := f.process.call("Heard", heard+n/2, &none{}); err != nil {
			return err
		}
		if err := f.kill(ctx); err != nil {
			return err
		}
		// If the bot was done already, the next process would not execute it, and hear nothing.
		if err := f.send(ctx, 0); err != nil {
			return err
		}
		return f.process.call("Heard", heard+n, &none{})
	}
	// The bot goes on while this looks, so what it has got meanwhile is counted.
	var before, after Spent
	var from, to int
	began := time.Now()
	if err := errors.Join(f.process.call("Got", none{}, &from), f.process.call("Spent", none{}, &before)); err != nil {
		return err
	}
	if err := f.process.call("Heard", heard+n, &none{}); err != nil {
		return err
	}
	took := time.Since(began)
	if err := errors.Join(f.process.call("Got", none{}, &to), f.process.call("Spent", none{}, &after)); err != nil {
		return err
	}
	if to-from < n/2 {
		return nil // it was most of the way already
	}
	sample := floodSample{
		messages: to,
		each:     float64(took.Microseconds()) / float64(to-from),
		cpu:      float64(after.since(before).CPU.Microseconds()) / float64(to-from),
	}
	var err error
	if sample.database, err = databaseMB(ctx, f.e, f.client.db); err != nil {
		return err
	}
	err = f.process.call("Memory", none{}, &sample.memory)
	f.samples = append(f.samples, sample)
	return err
}

// floodMeasures are what a sample has.
var floodMeasures = []struct {
	name string
	of   func(s floodSample) float64
}{
	{"a message: until the bot has the next one, µs", func(s floodSample) float64 { return s.each }},
	{"a message: CPU of the process that executes, µs", func(s floodSample) float64 { return s.cpu }},
	{"memory (RSS), MB", func(s floodSample) float64 { return s.memory }},
	{"database, MB", func(s floodSample) float64 { return s.database }},
}

// floodPairs yields the floods of each store: of a tenth of the messages, and of all.
func floodPairs(all []*flood) func(yield func(few, many *flood) bool) {
	return func(yield func(few, many *flood) bool) {
		for pair := range slices.Chunk(all, 2) {
			if !yield(pair[0], pair[1]) {
				return
			}
		}
	}
}

// floodMarkdown is a table of the median and the highest of each measure.
func floodMarkdown(few, many *flood) string {
	var b strings.Builder
	fmt.Fprintf(&b, "\n**%s**: all messages were got once and in order, with a restart each %s and %d kills. They were sent at %s a second.\n\n",
		many.store, report.Number(yearsPer), yearsLives, report.Number(many.perSecond))
	fmt.Fprintf(&b, "| messages sent up front | %s: median | highest | %s: median | highest |\n|---|--:|--:|--:|--:|\n",
		report.Number(float64(few.messages)), report.Number(float64(many.messages)))
	for _, m := range floodMeasures {
		fmt.Fprintf(&b, "| %s |", m.name)
		for _, f := range []*flood{few, many} {
			values := make([]float64, len(f.samples))
			for i, s := range f.samples {
				values[i] = m.of(s)
			}
			slices.Sort(values)
			fmt.Fprintf(&b, " %s | %s |", report.Number(values[len(values)/2]), report.Number(values[len(values)-1]))
		}
		b.WriteString("\n")
	}
	fmt.Fprintf(&b, "| database when all were sent, kB a message | %s | | %s | |\n", report.Number(few.full*1024/float64(few.messages)), report.Number(many.full*1024/float64(many.messages)))
	return b.String()
}

// rounded is a number of messages, short enough for a legend.
func rounded(n int) string {
	if n%1_000_000 == 0 {
		return fmt.Sprintf("%d M", n/1_000_000)
	}
	return fmt.Sprintf("%d k", n/1000)
}

func floodCharts(all []*flood) (charts []plot.Chart) {
	for _, m := range floodMeasures {
		c := plot.Chart{Title: m.name, X: "messages that the bot has got"}
		for _, f := range all {
			l := plot.Line{Name: f.store + " " + rounded(f.messages)}
			for _, s := range f.samples {
				l.Points = append(l.Points, plot.Point{X: float64(s.messages), Y: m.of(s)})
			}
			c.Lines = append(c.Lines, l)
		}
		charts = append(charts, c)
	}
	return charts
}
